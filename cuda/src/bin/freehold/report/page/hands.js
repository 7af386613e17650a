// Hands: mouse, touch, wheel and keys, all of which do three things: move the cursor, zoom, show all.

/** The cursor for a point of the window. */
const pointed = (x, y) => {
  const left = byId("lanes").getBoundingClientRect().left;
  const boxes = LANES.map((lane) => [lane, byId(`lane-${lane}`).getBoundingClientRect()]);
  const [lane, box] = boxes.find(([, box]) => y < box.bottom + 4) || boxes[boxes.length - 1];
  const row = Math.max(0, Math.min(rows.length - 1, Math.floor(((y - box.top) / box.height) * rows.length)));
  return { column: cursorAt(x - left), lane, row };
};
/** The point of the window where the cursor is: the mirror of `pointed`. */
const pointOf = ({ column, lane, row }) => {
  const left = byId("lanes").getBoundingClientRect().left,
    box = byId(`lane-${lane}`).getBoundingClientRect(),
    [x, wide] = stretch(column);
  return [
    left + x + wide / 2,
    lane === "places" ? box.top + ((row + 0.5) / rows.length) * box.height : box.top + box.height / 2,
  ];
};
const point = (cursor) => {
  view.cursor = cursor;
  drawAbove();
  if (cursor) tell(...pointOf(cursor));
  else tell(0, 0);
};

const listen = () => {
  const lanes = byId("lanes");
  let dragged = null;
  const inside = (event) => event.clientX - lanes.getBoundingClientRect().left;
  lanes.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType === "mouse") {
      dragged = inside(event);
      lanes.setPointerCapture(event.pointerId);
    } else point(pointed(event.clientX, event.clientY));
  });
  lanes.addEventListener("pointermove", (event) => {
    const x = inside(event);
    if (dragged !== null && Math.abs(x - dragged) > 4) {
      point(null);
      return drawAbove([dragged, x].map((at) => Math.max(LEFT, Math.min(at, LEFT + width()))));
    }
    point(pointed(event.clientX, event.clientY));
    tell(event.clientX, event.clientY);
  });
  lanes.addEventListener("pointerup", (event) => {
    const from = dragged,
      to = inside(event);
    dragged = null;
    if (from !== null && Math.abs(to - from) > 4)
      show(Math.min(columnAt(from), columnAt(to)), Math.max(columnAt(from), columnAt(to)));
    else if (event.pointerType === "mouse") point(pointed(event.clientX, event.clientY));
  });
  lanes.addEventListener("pointercancel", () => {
    dragged = null;
    drawAbove();
  });
  lanes.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && dragged === null) point(null);
  });
  document.addEventListener("pointerdown", (event) => {
    if (!lanes.contains(event.target)) point(null);
  });
  document.addEventListener("scroll", () => tell(...(view.cursor ? pointOf(view.cursor) : [0, 0])), { passive: true });
  lanes.addEventListener("dblclick", () => show(0, count));
  lanes.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && document.activeElement !== lanes) return;
      event.preventDefault();
      zoom(Math.exp(Math.sign(event.deltaY) * Math.min(0.4, Math.abs(event.deltaY) / 240)), columnAt(inside(event)));
    },
    { passive: false },
  );
  lanes.addEventListener("keydown", key);
  lanes.addEventListener("focus", () => {
    if (lanes.matches(":focus-visible") && !view.cursor)
      point({ column: Math.floor((view.from + view.to) / 2), lane: "places", row: rows.length >> 1 });
  });
  lanes.addEventListener("blur", () => point(null));
  byId("zoom-in").addEventListener("click", () => zoom(0.5));
  byId("zoom-out").addEventListener("click", () => zoom(2));
  byId("reset").addEventListener("click", () => show(0, count));
  byId("by-event").addEventListener("click", () => axis(false));
  byId("by-second").addEventListener("click", () => axis(true));
};
const axis = (bySeconds) => {
  view.seconds = bySeconds;
  redraw();
};

const key = (event) => {
  const cursor = view.cursor || {
    column: Math.floor((view.from + view.to) / 2),
    lane: "places",
    row: rows.length >> 1,
  };
  const stride = event.shiftKey ? 10 : 1,
    [first, last] = range();
  const along = (by) => point({ ...cursor, column: Math.max(first, Math.min(last - 1, cursor.column + by)) });
  const across = (by) => {
    const row = cursor.lane === "places" ? cursor.row + by * stride : -1,
      lane = LANES.indexOf(cursor.lane);
    if (cursor.lane === "places" && row >= 0 && row < rows.length) return point({ ...cursor, row });
    const next = LANES[Math.max(0, Math.min(LANES.length - 1, lane + by))];
    point({ ...cursor, lane: next, row: next === cursor.lane ? cursor.row : rows.length - 1 });
  };
  const does = {
    ArrowLeft: () => along(-stride),
    ArrowRight: () => along(stride),
    ArrowUp: () => across(-1),
    ArrowDown: () => across(1),
    Home: () => along(-count),
    End: () => along(count),
    "+": () => zoom(0.5),
    "=": () => zoom(0.5),
    "-": () => zoom(2),
    0: () => show(0, count),
    Escape: () => point(null),
  }[event.key];
  if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  does();
};
