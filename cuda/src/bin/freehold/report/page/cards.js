// The cards around the charts: title, figures, matrix, tables.
const fillHead = () => {
  byId("over").textContent = `Freehold ${data.version}, a replay`;
  byId("trace").textContent = shownName(totals.trace);
  byId("about").textContent = [
    `${size(totals.budget_bytes)} budget on ${totals.device}`,
    `${totals.policy}: ${POLICIES[totals.policy] || ""}`,
    totals.scale > 1 ? `sizes 1/${number(totals.scale)}` : "true sizes",
    `${number(totals.events)} events in ${seconds(totals.seconds)}`,
  ].join(" · ");
  byId("story").append(...story());
  const needless = sumOf(columns.uploads[NEEDLESS][1]);
  const tiles = [
    ["Evicted", size(totals.evicted_bytes), plural(totals.evictions, "eviction")],
    ["Uploaded", size(totals.load_bytes), plural(totals.loads, "upload")],
    [
      "Needless uploads",
      percent(needless, totals.load_bytes),
      `${size(needless)} that could have stayed`,
      needless > 0.1 * totals.load_bytes,
    ],
    ["Moved on the card", size(totals.moved_bytes), plural(totals.moves, "block")],
    [
      "Refused",
      number(totals.refused),
      `of ${number(totals.allocations + totals.accesses)} requests`,
      totals.refused > 0,
    ],
    [
      "Peak resident",
      percent(totals.peak_resident_bytes, totals.budget_bytes),
      `${size(totals.peak_resident_bytes)} of the budget`,
    ],
  ];
  byId("tiles").append(
    ...tiles.map(([name, figure, more, bad]) =>
      make(
        "div",
        bad ? { class: "bad" } : {},
        make("dt", {}, name),
        make("dd", {}, figure),
        make("dd", { class: "more" }, more),
      ),
    ),
  );
  byId("foot").textContent =
    `Written by freehold ${data.version}. ${count} stretches of ${number(columns.stride)} events; places are as they were at the end of each. ` +
    "An upload is needless where, all the time the entry was away, something of the same or a lower priority lay on the card that nobody used.";
};

const fillLegend = () => {
  const buttons = shown.map((group) =>
    make(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        onclick: () => {
          view.alone = view.alone === group ? null : group;
          buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(shown[at] === view.alone)));
          redraw();
        },
      },
      make("i", { style: { background: hueOf(group) } }),
      make("span", { class: "name" }, nameOf(group)),
    ),
  );
  byId("legend").replaceChildren(
    ...buttons,
    make("span", {}, make("i", { id: "key-weight" }), "weights, may leave"),
    make("span", {}, make("i", { id: "key-fixed" }), "buffers, stay"),
  );
};
/** The keys whose colours follow the scheme. */
const paintKeys = () => {
  const striped = (standing) =>
    `linear-gradient(90deg, ${[0, 1, 2].map((at) => `${palette.shades[shown[at % shown.length] || 0][standing]} ${33 * at}% ${33 * at + 34}%`).join(", ")})`;
  byId("key-weight").style.background = striped(IDLE);
  byId("key-fixed").style.background = striped(FIXED);
  byId("upload-key").replaceChildren(
    ...[
      ["needlessly", palette.needless],
      ["again", palette.again],
      ["the first time", palette.first],
    ].map(([word, fill]) => make("span", { class: "key" }, make("i", { style: { background: fill } }), word)),
  );
};

const fillMatrix = () => {
  const [from, to] = range(),
    pairs = pairsOf(from, to);
  byId("matrix-range").textContent = whole()
    ? "over the whole replay"
    : `events ${number(eventAt(from))} to ${number(eventAt(to))}`;
  if (!pairs.length) return byId("matrix").replaceChildren(empty("Nothing was evicted here."));
  const by = shown.filter((group) => pairs.some((pair) => pair.by === group)),
    of = shown.filter((group) => pairs.some((pair) => pair.of === group));
  const most = pairs[0].bytes;
  const cell = (asker, leaver) => {
    const pair = pairs.find((pair) => pair.by === asker && pair.of === leaver);
    if (!pair) return make("td", { style: { background: "var(--faint)" } }, "");
    const share = Math.sqrt(pair.bytes / most),
      hue = parts(hueOf(leaver)).join(",");
    return make(
      "td",
      {
        title: `${nameOf(asker)} pushed out ${plural(pair.number, "entry", "entries")} of ${nameOf(leaver)}, ${size(pair.bytes)}`,
        style: { background: `rgba(${hue},${(0.08 + 0.5 * share).toFixed(3)})` },
      },
      size(pair.bytes),
    );
  };
  byId("matrix").replaceChildren(
    table(
      ["asked \\ left", ...of.map((group) => tag(group))],
      by.map((asker) => [tag(asker), ...of.map((leaver) => cell(asker, leaver))]),
      "matrix",
    ),
  );
};

const fillTables = () => {
  byId("dearest").replaceChildren(
    table(
      ["weight", "plugin", "size", "uploads", "needless", "soonest back"],
      data.dearest.map((row) => [
        make(
          "span",
          { class: "name", style: { display: "inline-block", verticalAlign: "bottom" }, title: shownName(row.label) },
          shownName(row.label),
        ),
        make("td", {}, tag(row.group)),
        size(row.bytes),
        number(row.uploads),
        number(row.needless),
        row.shortest === null ? "never" : plural(row.shortest, "event"),
      ]),
      "words",
    ),
  );
  byId("refused").replaceChildren(
    data.refusals.length
      ? table(
          ["because", "plugin", "times", "bytes", "the largest, in the manager's words"],
          data.refusals.map((row) => [
            BECAUSE[row.reason],
            make("td", {}, tag(row.group)),
            number(row.count),
            size(row.bytes),
            make("td", { class: "text" }, shownName(row.said)),
          ]),
          "words",
        )
      : empty("Nothing was refused."),
  );
  const group = (name) =>
    Math.max(0, data.groups.indexOf(name) < 0 ? data.groups.length - 1 : data.groups.indexOf(name));
  byId("plugins").replaceChildren(
    table(
      ["plugin", "weights", "allocated", "accesses", "uploads", "uploaded", "evictions", "evicted"],
      data.plugins.map((row) => [
        tag(group(row.name), shownName(row.name)),
        size(row.weight_bytes),
        size(row.block_bytes),
        number(row.accesses),
        number(row.loads),
        size(row.load_bytes),
        number(row.evictions),
        size(row.evicted_bytes),
      ]),
    ),
  );
};

/** Cards that have nothing to say stay away; the one that is left alone in its line gets the whole of it. */
const hideEmptyCards = () => {
  const card = (id) => byId(id).closest("section");
  card("matrix").hidden = totals.evictions === 0;
  card("dearest").hidden = data.dearest.length === 0;
  card("latency").classList.toggle("wide", card("matrix").hidden);
};

/** The charts as text, in at most 60 lines. */
const fillText = () => {
  const step = Math.ceil(count / 60),
    lines = [];
  for (let c = 0; c < count; c += step) {
    const end = Math.min(count, c + step),
      most = pairsOf(c, end)[0];
    lines.push([
      `${number(eventAt(c))} to ${number(eventAt(end))}`,
      seconds(secondAt(c)),
      size(Math.max(...columns.peak_resident.slice(c, end))),
      size(sumOf(evictedBytes, c, end)),
      most ? `${nameOf(most.by)} pushed out ${most.by === most.of ? "its own" : nameOf(most.of)}` : "",
      size(sumOf(uploadedBytes, c, end)),
      size(sumOf(columns.uploads[NEEDLESS][1], c, end)),
      number(sumOf(columns.refused, c, end)),
    ]);
  }
  byId("table").replaceChildren(
    table(["events", "from", "peak resident", "evicted", "mostly", "uploaded", "needlessly", "refused"], lines),
  );
};
