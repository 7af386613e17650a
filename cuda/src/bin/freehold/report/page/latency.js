// How long calls took: a histogram for each kind of call, all on one axis of time.
const LATENCY_FROM = 16,
  LATENCY_DOUBLINGS = 32;
const fillLatency = () => {
  const kinds = data.latency.filter((kind) => kind.count > 0);
  if (!kinds.length) return byId("latency").replaceChildren(empty("No call was timed."));
  byId("latency").replaceChildren(
    ...kinds.map((kind) =>
      make(
        "div",
        { class: "hist" },
        make("b", {}, kind.name),
        make(
          "small",
          {},
          ` ${number(kind.count)} calls: half within ${duration(kind.p50)}, 99% within ${duration(kind.p99)}, all within ${duration(kind.max)}`,
        ),
        make("canvas", {
          "data-height": "54",
          role: "img",
          "aria-label": `${kind.name}: ${number(kind.count)} calls, median ${duration(kind.p50)}, 99% within ${duration(kind.p99)}`,
        }),
      ),
    ),
  );
};
const drawLatency = () => {
  const kinds = data.latency.filter((kind) => kind.count > 0);
  const low = Math.min(...kinds.map((kind) => Math.max(LATENCY_FROM, kind.buckets[0][0]))),
    high = Math.max(...kinds.map((kind) => kind.max), low * 16);
  const spot = (ns, wide) => (Math.log2(Math.max(ns, low) / low) / Math.log2((high * 1.25) / low)) * wide;
  byId("latency")
    .querySelectorAll("canvas")
    .forEach((canvas, at) => {
      const kind = kinds[at],
        { pen, wide, tall } = open(canvas),
        base = tall - 14;
      const most = Math.max(...kind.buckets.map(([, n]) => n));
      pen.fillStyle = palette.line;
      pen.fillRect(0, base, wide, 1);
      pen.fillStyle = palette.again;
      for (const [ns, n] of kind.buckets) {
        const next = ns < 4 ? ns + 1 : ns + 2 ** (Math.floor(Math.log2(ns)) - 2),
          x = spot(ns, wide);
        // The rare ones are what one looks for: the height is the logarithm of the count.
        const tallness = Math.max(1.5, (Math.log2(n + 1) / Math.log2(most + 1)) * (base - 4));
        pen.fillRect(x, base - tallness, Math.max(1, spot(next, wide) - x - 0.6), tallness);
      }
      pen.fillStyle = palette.needless;
      pen.fillRect(spot(kind.p99, wide), 2, 1.5, base - 2);
      pen.textBaseline = "bottom";
      pen.fillStyle = palette.soft;
      for (let ns = 10; ns <= high * 1.2; ns *= 10) {
        const x = spot(ns, wide);
        if (ns < low) continue;
        pen.textAlign = x < 20 ? "left" : x > wide - 20 ? "right" : "center";
        pen.fillText(duration(ns).replace(/\.00/, ""), x, tall);
      }
      pen.fillStyle = palette.needless;
      pen.textAlign = spot(kind.p99, wide) > wide - 40 ? "right" : "left";
      pen.textBaseline = "top";
      pen.fillText("99%", spot(kind.p99, wide) + (pen.textAlign === "left" ? 4 : -4), 1);
    });
};
