// The story: waves, stretches in which evictions came thick, the three heaviest numbered in the order of time; and why.
const BECAUSE = {
  too_large: "they were larger than the budget",
  set_aside: "the bytes were set aside for others, in a reservation",
  in_pieces: "the free bytes lay in pieces",
  walled: "what stays left no hole long enough",
  held: "what is pinned or fixed left too little",
  other: "something failed",
};
const waves = (() => {
  const total = sumOf(evictedBytes);
  if (total === 0) return [];
  // Smoothed over 1% of the replay on each side, so that a pause of a few columns does not end a wave.
  const reach = Math.max(1, Math.round(count / 100));
  const smooth = evictedBytes.map(
    (_, c) => sumOf(evictedBytes, Math.max(0, c - reach), Math.min(count, c + reach + 1)) / (2 * reach + 1),
  );
  const level = Math.max((0.6 * total) / count, 0.04 * Math.max(...smooth));
  const found = [];
  for (let c = 0; c < count; c++) {
    if (smooth[c] < level) continue;
    const last = found[found.length - 1];
    if (last && c - last.to <= reach) last.to = c + 1;
    else found.push({ from: c, to: c + 1 });
  }
  for (const wave of found) {
    while (wave.to - wave.from > 1 && evictedBytes[wave.from] === 0) wave.from++;
    while (wave.to - wave.from > 1 && evictedBytes[wave.to - 1] === 0) wave.to--;
    wave.bytes = sumOf(evictedBytes, wave.from, wave.to);
    wave.pairs = pairsOf(wave.from, wave.to);
  }
  // What never stops is no wave.
  if (found.length === 1 && found[0].to - found[0].from > 0.6 * count) return [];
  return found
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, 3)
    .filter((wave) => wave.bytes >= 0.04 * total)
    .sort((a, b) => a.from - b.from);
})();

/** The waves in words, each a button that shows it. Where all are alike, what they are is said once. */
const aboutWaves = (evicted) => {
  if (waves.length === 0) return [", all along"];
  const what = ({ pairs: [{ by, of }] }) =>
    by === of ? `${nameOf(by)} pushing out its own` : `${nameOf(by)} pushing out ${nameOf(of)}`;
  const alike = waves.every((wave) => what(wave) === what(waves[0]));
  const button = (wave, at) => {
    const room = Math.max(2, (wave.to - wave.from) * 0.25),
      share = percent(wave.bytes, evicted);
    const look = () => {
      show(wave.from - room, wave.to + room);
      byId("lanes").scrollIntoView({ block: "nearest" });
    };
    return make(
      "button",
      { type: "button", title: "Show this wave", onclick: look },
      make("i", {}, String(at + 1)),
      " ",
      alike ? share : `${what(wave)}, ${share}`,
    );
  };
  const between = (at) => (at === 0 ? "" : at === waves.length - 1 ? " and " : ", ");
  const many =
    waves.length === 1 ? ", most of it in one wave" : `, most of it in ${waves.length === 2 ? "two" : "three"} waves`;
  return [
    many,
    alike ? ` of ${what(waves[0])}: ` : ": ",
    ...waves.flatMap((wave, at) => [between(at), button(wave, at)]),
  ];
};

/** What happened, in a few sentences. */
const story = () => {
  const says = [],
    evicted = sumOf(evictedBytes),
    uploaded = sumOf(uploadedBytes);
  const bold = (text) => make("b", {}, text);
  if (evicted === 0) {
    says.push(
      "Nothing was evicted: the most that was ever resident is ",
      bold(percent(totals.peak_resident_bytes, totals.budget_bytes)),
      " of the budget. ",
    );
  } else {
    const pairs = pairsOf(),
      worst = pairs.find((pair) => pair.by !== pair.of),
      own = pairs.filter((pair) => pair.by === pair.of).reduce((sum, pair) => sum + pair.bytes, 0);
    says.push(bold(`${size(evicted)} were evicted`), ...aboutWaves(evicted), ". ");
    if (own > 0.5 * evicted)
      says.push(bold(percent(own, evicted)), " of it left for its own plugin, which wanted more than it could have. ");
    else if (worst)
      says.push(
        "Over all, ",
        bold(`${nameOf(worst.by)} pushed out ${nameOf(worst.of)}`),
        " most: ",
        size(worst.bytes),
        ". ",
      );
  }
  const needless = sumOf(columns.uploads[NEEDLESS][1]);
  if (needless > 0) {
    says.push(
      "Of ",
      size(uploaded),
      " uploaded, ",
      make("b", { style: { color: "var(--needless)" } }, `${percent(needless, uploaded)} came back needlessly`),
      ": something else lay on the card unused all the while, and could have left instead. ",
    );
  }
  if (totals.refused > 0) {
    const [reason] = data.refusals,
      times = data.refusals.reduce((sum, row) => sum + (row.reason === reason.reason ? row.count : 0), 0);
    says.push(
      bold(`${plural(totals.refused, "request was", "requests were")} refused`),
      `, ${percent(times, totals.refused)} of them because ${BECAUSE[reason.reason]}. `,
    );
  }
  if (totals.too_large > 0)
    says.push(bold(plural(totals.too_large, "job was", "jobs were")), " larger than the whole admission pool. ");
  return says;
};
