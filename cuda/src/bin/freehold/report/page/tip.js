// The tooltip: what is under the cursor, in words. The same words are read out to those who use the keyboard.
const line = (left, right = "") => make("p", { class: "row" }, make("span", {}, left), make("span", {}, right));
const dim = (text) => make("p", { class: "dim" }, text);
const when = (column) => {
  const [from, to] = [seconds(secondAt(column)), seconds(secondAt(column + 1))];
  return dim(
    `events ${number(eventAt(column))} to ${number(eventAt(column + 1))}, ${from === to ? `at ${from}` : `${from} to ${to}`}`,
  );
};

const aboutPlaces = ({ column, row }) => {
  const run = runAt(row, column),
    arena = arenaOf(row);
  const where = `${size(arena.from)} to ${size(arena.to)}${data.raster.arenas.length > 1 ? ` of arena ${arena.number}` : ""}`;
  if (!run) return [make("p", { class: "head" }, "free"), dim(where), when(column)];
  const block = blockOf(run);
  const said = [
    make("p", { class: "head" }, shownName(block.label)),
    make("p", {}, tag(block.group)),
    line(STANDINGS[block.standing], size(block.bytes)),
    line("at", `${number(block.offset)} B`),
  ];
  if (run.blocks > 1)
    said.push(dim(`the longest of ${run.blocks === 99 ? "99 or more" : run.blocks} blocks in ${where}`));
  if (run.to - run.from > 1)
    said.push(dim(`here from event ${number(eventAt(run.from))} to ${number(eventAt(run.to))}`));
  return [...said, when(column)];
};
const aboutResident = ({ column }) => {
  const held = shown
    .map((group) => ({ group, bytes: columns.resident[group][column] }))
    .filter(({ bytes }) => bytes > 0);
  const all = held.reduce((sum, { bytes }) => sum + bytes, 0);
  return [
    line(make("b", {}, "resident"), `${size(all)}, ${percent(all, totals.budget_bytes)} of the budget`),
    ...held.reverse().map(({ group, bytes }) => line(tag(group), size(bytes))),
    dim(`at the end of the stretch; at most ${size(columns.peak_resident[column])} in it`),
    when(column),
  ];
};
const aboutEvicted = ({ column }) => {
  const pairs = pairsOf(column, column + 1);
  const head = line(
    make("b", {}, pairs.length ? "evicted" : "nothing evicted"),
    pairs.length ? size(evictedBytes[column]) : "",
  );
  const rows = pairs
    .slice(0, 6)
    .map(({ by, of, number: n, bytes }) =>
      line(
        make("span", {}, tag(by), " pushed out ", by === of ? "its own" : tag(of)),
        `${size(bytes)} in ${number(n)}`,
      ),
    );
  return [head, ...rows, ...(pairs.length > 6 ? [dim(`and ${pairs.length - 6} more pairs`)] : []), when(column)];
};
const aboutUploaded = ({ column }) => {
  const kinds = [
    ["first time", FIRST],
    ["came back", AGAIN],
    ["came back needlessly", NEEDLESS],
  ];
  const said = kinds
    .map(([word, kind]) => [word, columns.uploads[kind][0][column], columns.uploads[kind][1][column]])
    .filter(([, n]) => n > 0);
  const [moves, moved] = [columns.moved[0][column], columns.moved[1][column]];
  return [
    line(make("b", {}, said.length ? "uploaded" : "nothing uploaded"), said.length ? size(uploadedBytes[column]) : ""),
    ...said.map(([word, n, bytes]) => line(word, `${size(bytes)} in ${number(n)}`)),
    ...(moves ? [line("moved inside the card", `${size(moved)} in ${number(moves)}`)] : []),
    when(column),
  ];
};
const aboutRefused = ({ column }) => [line(make("b", {}, "refused"), number(columns.refused[column])), when(column)];
const ABOUT = {
  places: aboutPlaces,
  resident: aboutResident,
  evicted: aboutEvicted,
  uploaded: aboutUploaded,
  refused: aboutRefused,
};

/** Shows what the cursor is on, beside the point `x`, `y` of the window. */
const tell = (x, y) => {
  const tip = byId("tip");
  if (!view.cursor) return void (tip.hidden = true);
  tip.replaceChildren(...ABOUT[view.cursor.lane](view.cursor));
  tip.hidden = false;
  const { width: wide, height: high } = tip.getBoundingClientRect(),
    gap = 14;
  const [right, left] = [x + gap, x - gap - wide];
  tip.style.left = `${Math.max(8, right + wide + 8 <= innerWidth ? right : left >= 8 ? left : Math.min(x - wide / 2, innerWidth - wide - 8))}px`;
  // Where it cannot stand beside the finger it stands above it, or below.
  const beside = right + wide + 8 <= innerWidth || left >= 8,
    wanted = beside ? y - high / 2 : y - high - 28 >= 8 ? y - high - 28 : y + 28;
  tip.style.top = `${Math.max(8, Math.min(wanted, innerHeight - high - 8))}px`;
};

/** The cursor's line, the block under it, the stretch that is being chosen, the waves. */
const drawAbove = (choice = null) => {
  const { pen, tall } = open(byId("above"), byId("lanes").clientHeight);
  const lanes = byId("lanes").getBoundingClientRect(),
    top = byId("lane-places").getBoundingClientRect().top - lanes.top;
  const bottom = byId("axis").getBoundingClientRect().top - lanes.top;
  waves.forEach((wave, at) => {
    if (wave.to <= view.from || wave.from >= view.to) return;
    const from = xOf(Math.max(wave.from, view.from)),
      to = xOf(Math.min(wave.to, view.to));
    const evicted = byId("lane-evicted").getBoundingClientRect().top - lanes.top;
    pen.fillStyle = css("--wave");
    pen.fillRect(from, evicted, to - from, bottom - evicted);
    const x = Math.max(LEFT + 9, Math.min((from + to) / 2, LEFT + width() - 9)),
      y = evicted + WAVES_HIGH / 2;
    pen.beginPath();
    pen.fillStyle = palette.ink;
    pen.arc(x, y, 8, 0, 7);
    pen.fill();
    pen.fillStyle = palette.card;
    pen.font = "bold 11px system-ui, 'DejaVu Sans', sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(String(at + 1), x, y + 0.5);
  });
  if (choice) {
    pen.fillStyle = "rgba(0, 114, 178, .2)";
    pen.fillRect(Math.min(...choice), top, Math.abs(choice[1] - choice[0]), bottom - top);
  }
  if (!view.cursor) return;
  const { column, lane, row } = view.cursor,
    [x, wide] = stretch(column);
  pen.fillStyle = palette.ink;
  pen.globalAlpha = 0.75;
  pen.fillRect(x + wide / 2 - 0.5, top, 1, Math.min(bottom, tall) - top);
  pen.globalAlpha = 1;
  const run = lane === "places" && runAt(row, column);
  if (!run) return;
  const high = byId("lane-places").clientHeight / rows.length;
  pen.strokeStyle = palette.ink;
  pen.lineWidth = 1.5;
  const same = rows.flat().filter((other) => other.block === run.block && other.from <= column && column < other.to);
  const [from, to] = [xOf(Math.max(run.from, view.from)), xOf(Math.min(run.to, view.to))];
  pen.strokeRect(from, top + same[0].row * high, Math.max(to - from, 1), same.length * high);
};
