// The view: which columns are shown, on which time axis, and where the cursor is. What changes it calls `redraw`.
const LEFT = 56,
  RIGHT = 8;
const view = { from: 0, to: count, seconds: false, cursor: null, alone: null };
const LEAST = 6; // columns that a screen shows at most enlarged

/** How far along the axis a column begins. */
const along = (column) => (view.seconds ? secondAt(column) : column);
const width = () => Math.max(60, byId("lanes").clientWidth - LEFT - RIGHT);
const xOf = (column) => {
  const from = along(view.from),
    to = along(view.to);
  return LEFT + (to > from ? (along(column) - from) / (to - from) : 0) * width();
};

/** The column, with its fraction, that is drawn at `x`: found by halving, since both axes only grow. */
const columnAt = (x) => {
  let [low, high] = [view.from, view.to];
  for (let step = 0; step < 30; step++) {
    const middle = (low + high) / 2;
    if (xOf(middle) <= x) low = middle;
    else high = middle;
  }
  return low;
};
const cursorAt = (x) =>
  Math.max(Math.ceil(view.from - 1e-6), Math.min(Math.floor(columnAt(x)), Math.ceil(view.to) - 1));

/** Shows columns `from` to `to`, at least a few, and none that do not exist. */
const show = (from, to) => {
  const span = Math.min(count, Math.max(to - from, Math.min(LEAST, count)));
  view.from = Math.max(0, Math.min(from, count - span));
  view.to = view.from + span;
  redraw();
};
const zoom = (factor, around = view.cursor ? view.cursor.column + 0.5 : (view.from + view.to) / 2) =>
  show(around - (around - view.from) * factor, around + (view.to - around) * factor);
const whole = () => view.from === 0 && view.to === count;
const range = () => [Math.floor(view.from + 1e-6), Math.ceil(view.to - 1e-6)];
