// The data, and what is worked out from it once. Columns are stretches of the replay, groups are plugins with a colour.
const data = JSON.parse(document.getElementById("data").textContent);
const { totals, columns } = data;
const count = columns.end_ns.length;
const [FIRST, AGAIN, NEEDLESS] = [0, 1, 2];
const [IDLE, FIXED] = [0, 1];
const STANDINGS = ["a weight, may leave", "a buffer, never evicted", "in use, pinned", "on its way"];

/** Where a column begins, in events and in seconds; `count` is the end of the last. */
const eventAt = (column) => Math.min(totals.events, column * columns.stride);
const secondAt = (column) => {
  const whole = Math.floor(column),
    part = column - whole;
  const end = (c) => (c <= 0 ? 0 : columns.end_ns[Math.min(c, count) - 1] / 1e9);
  return end(whole) + (part > 0 ? part * (end(whole + 1) - end(whole)) : 0);
};

/** By column: who asked and who left. */
const evictions = Array.from({ length: count }, () => []);
for (const [column, by, of, number, bytes] of columns.evictions) evictions[column].push({ by, of, number, bytes });
const evictedBytes = evictions.map((pairs) => pairs.reduce((sum, pair) => sum + pair.bytes, 0));
const uploadedBytes = Array.from({ length: count }, (_, c) =>
  columns.uploads.reduce((sum, [, bytes]) => sum + bytes[c], 0),
);

/** The groups that have anything to show, in their order. */
const shown = data.groups
  .map((_, group) => group)
  .filter(
    (group) =>
      columns.resident[group].some((bytes) => bytes > 0) ||
      columns.evictions.some(([, by, of]) => by === group || of === group) ||
      data.refusals.some((row) => row.group === group),
  );

/** By row: its runs, in the order of time. */
const rows = Array.from({ length: data.raster.rows }, () => []);
for (const [row, from, to, block, packed] of data.raster.runs) {
  rows[row].push({ row, from, to, block, blocks: packed >> 3, quarters: packed & 7 });
}
rows.forEach((runs) => runs.sort((a, b) => a.from - b.from));
const runAt = (row, column) => (rows[row] || []).find((run) => run.from <= column && column < run.to);
const blockOf = (run) => {
  const [offset, bytes, arena, group, standing, label] = data.raster.blocks[run.block];
  return { offset, bytes, arena, group, standing, label: data.raster.labels[label] };
};
const arenaOf = (row) => {
  const arenas = data.raster.arenas;
  const number = arenas.findIndex((arena) => row >= arena.first_row && row < arena.first_row + arena.rows);
  const arena = arenas[number];
  return {
    number,
    from: (arena.bytes * (row - arena.first_row)) / arena.rows,
    to: (arena.bytes * (row + 1 - arena.first_row)) / arena.rows,
  };
};

/** Sums over columns `from` to `to`. */
const sumOf = (list, from = 0, to = count) => {
  let sum = 0;
  for (let c = from; c < to; c++) sum += list[c];
  return sum;
};
const pairsOf = (from = 0, to = count) => {
  const pairs = new Map();
  for (let c = from; c < to; c++) {
    for (const { by, of, number, bytes } of evictions[c]) {
      const key = by * 64 + of,
        pair = pairs.get(key) || { by, of, number: 0, bytes: 0 };
      pair.number += number;
      pair.bytes += bytes;
      pairs.set(key, pair);
    }
  }
  return [...pairs.values()].sort((a, b) => b.bytes - a.bytes);
};

// Told apart by people who see colours otherwise, too (Okabe and Ito); the last is for the others.
const HUES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a000"];
const OTHERS = "#8b9098";
const hueOf = (group) => (group === data.groups.length - 1 ? OTHERS : HUES[group % HUES.length]);
