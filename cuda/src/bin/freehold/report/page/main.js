// The page comes to life: filled once, drawn again whenever the view, the width or the colour scheme changes.
const redraw = () => {
  LANES.forEach((lane) => DRAW[lane]());
  drawAxis();
  drawAbove();
  fillMatrix();
  if (view.cursor) tell(...pointOf(view.cursor));
  byId("by-event").setAttribute("aria-pressed", String(!view.seconds));
  byId("by-second").setAttribute("aria-pressed", String(view.seconds));
  byId("reset").disabled = byId("zoom-out").disabled = whole();
};
const repaint = () => {
  readPalette();
  paintKeys();
  redraw();
  drawLatency();
};
hideEmptyLanes();
hideEmptyCards();
fillHead();
fillLegend();
fillLatency();
fillTables();
fillText();
listen();
repaint();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
new ResizeObserver(repaint).observe(byId("lanes"));
document.documentElement.dataset.ready = "yes";
