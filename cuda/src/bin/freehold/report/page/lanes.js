// The lanes: places, resident, evicted, uploaded, refused, one below the other on one time axis.
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
let palette = {};
const readPalette = () => {
  for (const name of ["ink", "soft", "line", "faint", "card", "first", "again", "needless", "budget", "free"])
    palette[name] = css(`--${name}`);
  palette.shades = data.groups.map((_, group) => {
    const hue = hueOf(group);
    return [hue, mixed(hue, palette.ink, 0.42), mixed(hue, palette.ink, 0.7), mixed(hue, palette.card, 0.5)];
  });
};
const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const mixed = (one, other, share) => {
  const [a, b] = [parts(one), parts(other)];
  return `rgb(${a.map((part, i) => Math.round(part * (1 - share) + b[i] * share)).join(",")})`;
};

/** A canvas of its width on this screen, cleared: the pen, and how wide and high. */
const open = (canvas, tall = Number(canvas.dataset.height)) => {
  const ratio = window.devicePixelRatio || 1,
    wide = canvas.parentElement.clientWidth;
  canvas.style.height = `${tall}px`;
  if (canvas.width !== Math.round(wide * ratio)) canvas.width = Math.round(wide * ratio);
  if (canvas.height !== Math.round(tall * ratio)) canvas.height = Math.round(tall * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, wide, tall);
  pen.font = "11px system-ui, 'DejaVu Sans', sans-serif";
  return { pen, wide, tall };
};
const labelled = (pen, text, y, baseline = "middle") => {
  pen.fillStyle = palette.soft;
  pen.textAlign = "right";
  pen.textBaseline = baseline;
  pen.fillText(text, LEFT - 6, y);
};
const dimmed = (group) => (view.alone !== null && view.alone !== group ? 0.1 : 1);
/** A place on the screen's own grid, so that neighbours meet without a seam. */
const snapped = (x) => Math.round(x * (window.devicePixelRatio || 1)) / (window.devicePixelRatio || 1);
/** Where columns `from` to `to` are drawn: from where, and how wide, at least one point of the screen. */
const stretch = (from, to = from + 1) => {
  const x = snapped(xOf(Math.max(from, view.from)));
  return [x, Math.max(snapped(xOf(Math.min(to, view.to))) - x, snapped(1))];
};

const drawPlaces = () => {
  const { pen, tall } = open(byId("lane-places"));
  pen.fillStyle = palette.free;
  pen.fillRect(LEFT, 0, width(), tall);
  const high = tall / rows.length;
  for (const runs of rows) {
    for (const run of runs) {
      if (run.to <= view.from || run.from >= view.to) continue;
      const [, , , group, standing] = data.raster.blocks[run.block];
      const [x, wide] = stretch(run.from, run.to),
        top = snapped(run.row * high);
      pen.globalAlpha = [0, 0.35, 0.6, 0.85, 1][run.quarters] * dimmed(group);
      pen.fillStyle = palette.shades[group][standing];
      pen.fillRect(x, top, wide, snapped((run.row + 1) * high) - top);
    }
  }
  pen.globalAlpha = 1;
  data.raster.arenas.forEach((arena, number) => {
    const top = arena.first_row * high,
      bottom = (arena.first_row + arena.rows) * high;
    labelled(pen, number === 0 ? "0" : size(0), top + 1, "top");
    labelled(pen, size(arena.bytes), bottom, "bottom");
    pen.fillStyle = palette.card;
    if (number > 0) pen.fillRect(LEFT, top - 1, width(), 2);
  });
};

const drawResident = () => {
  const { pen, tall } = open(byId("lane-resident"));
  const top = Math.max(totals.budget_bytes, ...columns.peak_resident) * 1.06,
    y = (bytes) => tall - (bytes / top) * (tall - 2);
  const [first, last] = range();
  for (let column = first; column < last; column++) {
    const [x, wide] = stretch(column);
    let below = 0;
    for (const group of shown) {
      const bytes = columns.resident[group][column];
      pen.globalAlpha = dimmed(group);
      pen.fillStyle = hueOf(group);
      if (bytes > 0) pen.fillRect(x, y(below + bytes), wide, y(below) - y(below + bytes));
      below += bytes;
    }
  }
  pen.globalAlpha = 1;
  pen.strokeStyle = palette.ink;
  pen.beginPath();
  for (let column = first; column < last; column++) {
    const [x, wide] = stretch(column),
      peak = y(columns.peak_resident[column]);
    pen.lineTo(x, peak);
    pen.lineTo(x + wide, peak);
  }
  pen.stroke();
  const budget = Math.round(y(totals.budget_bytes)) - 0.5;
  pen.setLineDash([5, 4]);
  pen.strokeStyle = palette.budget;
  pen.beginPath();
  pen.moveTo(LEFT, budget - 2);
  pen.lineTo(LEFT + width(), budget - 2);
  pen.stroke();
  pen.setLineDash([]);
  labelled(pen, size(totals.budget_bytes), budget - 2);
  labelled(pen, "0", tall, "bottom");
};

/** Bars in a lane: `pieces(column)` gives colour, bytes and whose, from the axis outwards. */
const bars = (pen, axis, high, top, pieces) => {
  const [first, last] = range();
  for (let column = first; column < last; column++) {
    const [x, wide] = stretch(column);
    let out = 0;
    for (const { fill, bytes, group = null } of pieces(column)) {
      const [from, to] = [axis - (out / top) * high, axis - ((out + bytes) / top) * high];
      pen.globalAlpha = group === null ? 1 : dimmed(group);
      pen.fillStyle = fill;
      pen.fillRect(x, Math.min(from, to), wide, Math.abs(to - from));
      out += bytes;
    }
  }
  pen.globalAlpha = 1;
};
const highest = (list) => {
  const [first, last] = range();
  let most = 0;
  for (let column = first; column < last; column++) most = Math.max(most, list[column]);
  return most;
};

const WAVES_HIGH = 20; // above the bars, for the numbers of the waves
const drawEvicted = () => {
  const { pen, tall } = open(byId("lane-evicted"));
  const high = (tall - WAVES_HIGH) / 2 - 3,
    axis = WAVES_HIGH + (tall - WAVES_HIGH) / 2,
    top = highest(evictedBytes) || 1;
  const by = (side) => (column) =>
    shown.map((group) => ({
      group,
      fill: hueOf(group),
      bytes: evictions[column].reduce((sum, pair) => sum + (pair[side] === group ? pair.bytes : 0), 0),
    }));
  bars(pen, axis - 0.5, high, top, by("by"));
  bars(pen, axis + 0.5, -high, top, by("of"));
  pen.fillStyle = palette.ink;
  pen.fillRect(LEFT, axis - 0.5, width(), 1);
  labelled(pen, size(top), WAVES_HIGH + 6);
  labelled(pen, "asked", axis - 9);
  labelled(pen, "left", axis + 10);
};

const drawUploaded = () => {
  const { pen, tall } = open(byId("lane-uploaded"));
  const top = highest(uploadedBytes) || 1,
    fills = [palette.first, palette.again, palette.needless];
  bars(pen, tall - 1, tall - 4, top, (column) =>
    [NEEDLESS, AGAIN, FIRST].map((kind) => ({ fill: fills[kind], bytes: columns.uploads[kind][1][column] })),
  );
  pen.fillStyle = palette.line;
  pen.fillRect(LEFT, tall - 1, width(), 1);
  labelled(pen, size(top), 8);
};

const drawRefused = () => {
  const { pen, tall } = open(byId("lane-refused"));
  const top = highest(columns.refused) || 1;
  bars(pen, tall - 1, tall - 4, top, (column) => [{ fill: palette.ink, bytes: columns.refused[column] }]);
  pen.fillStyle = palette.line;
  pen.fillRect(LEFT, tall - 1, width(), 1);
  labelled(pen, number(top), 8);
};

/** The lanes that have anything to show, from top to bottom. */
const DRAW = {
  places: drawPlaces,
  resident: drawResident,
  evicted: drawEvicted,
  uploaded: drawUploaded,
  refused: drawRefused,
};
const LANES = Object.keys(DRAW).filter(
  (lane) => ({ evicted: totals.evictions, uploaded: totals.loads, refused: totals.refused })[lane] !== 0,
);
const hideEmptyLanes = () =>
  Object.keys(DRAW).forEach((lane) => (byId(`lane-${lane}`).parentElement.hidden = !LANES.includes(lane)));

/** Round steps that leave room for their labels. */
const stepFor = (span, most) => {
  const raw = span / most,
    ten = 10 ** Math.floor(Math.log10(raw));
  return ten * [1, 2, 5, 10].find((factor) => ten * factor >= raw);
};
const drawAxis = () => {
  const { pen } = open(byId("axis"));
  const at = view.seconds ? secondAt : eventAt,
    [from, to] = [at(view.from), at(view.to)];
  const step = stepFor(to - from, Math.max(2, width() / 110));
  pen.fillStyle = palette.soft;
  pen.textBaseline = "top";
  for (let tick = Math.ceil(from / step) * step; tick <= to + step * 1e-6; tick += step) {
    const x = LEFT + ((tick - from) / (to - from)) * width();
    pen.textAlign = x > LEFT + width() - 30 ? "right" : x < LEFT + 20 ? "left" : "center";
    pen.fillRect(Math.round(x), 0, 1, 4);
    pen.fillText(
      view.seconds ? seconds(tick) : tick >= 1e6 ? `${tick / 1e6}M` : tick >= 10_000 ? `${tick / 1000}k` : number(tick),
      x,
      6,
    );
  }
  labelled(pen, view.seconds ? "time" : "event", 6, "top");
};
