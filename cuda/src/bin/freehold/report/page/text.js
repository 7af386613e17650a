// Words and elements. Names come from traces and may say anything: they enter the page as text, never as markup.
const byId = (id) => document.getElementById(id);
const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "style") Object.assign(element.style, value);
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
};

const number = (n) => Math.round(n).toLocaleString("en-US");
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const size = (bytes) => {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) ((bytes /= 1024), unit++);
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(bytes >= 10 ? 1 : 2)} ${UNITS[unit]}`;
};
const seconds = (s) =>
  s === 0
    ? "0 s"
    : s < 0.001
      ? `${(s * 1e6).toFixed(0)} us`
      : s < 1
        ? `${(s * 1e3).toFixed(s < 0.01 ? 2 : 0)} ms`
        : s < 100
          ? `${s.toFixed(2)} s`
          : `${number(s)} s`;
const duration = (ns) => (ns < 1000 ? `${ns} ns` : seconds(ns / 1e9));
const percent = (part, whole) =>
  whole > 0 ? `${((100 * part) / whole).toFixed(part > 0 && part / whole < 0.1 ? 1 : 0)}%` : "0%";
const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** A name as people can read it: what cannot be seen is shown, and nothing is empty. */
const shownName = (name) =>
  name === ""
    ? "(no name)"
    : name.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (c) =>
        c === "\n" ? "\u23ce" : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
const nameOf = (group) => shownName(data.groups[group]);
const tag = (group, name = nameOf(group)) =>
  make(
    "span",
    { class: "tag" },
    make("i", { style: { background: hueOf(group) } }),
    make("span", { class: "name", title: name }, name),
  );

const POLICIES = {
  lru: "least recently used leaves first",
  "next-use": "needed last leaves first, as learned",
  offline: "needed last leaves first, as foretold",
};

/** A table; the first cell of a line is its name. */
const table = (heads, lines, name = "") =>
  make(
    "table",
    { class: name },
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make(
      "tbody",
      {},
      ...lines.map(([first, ...cells]) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, first),
          ...cells.map((cell) => (cell instanceof HTMLTableCellElement ? cell : make("td", {}, cell))),
        ),
      ),
    ),
  );
const empty = (text) => make("p", { class: "empty" }, text);
