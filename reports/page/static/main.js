// The views of the page, by its address.
import { show as showCell } from "./cell.js";
import { show as showCompare, start as startCompare } from "./compare.js";
import { start as startCopying } from "./copy.js";
import { byId } from "./dom.js";
import { start as startFigures } from "./figures.js";
import { draw as drawHistory, show as showHistory } from "./history.js";
import { focus as focusInMatrix, show as showMatrix } from "./matrix.js";
import { keep, leftAt, read, strange } from "./state.js";
import { start as startPrinting } from "./print.js";
import { start as startTheme } from "./theme.js";

const VIEWS = { compare: showCompare, matrix: showMatrix, cell: showCell, totals: () => {}, history: showHistory, sources: () => {} };
const root = document.documentElement;
const title = document.title;
let shown = null;
let cell = null;

/** Resolves when the view is there. */
async function show() {
  const { view, options } = read();
  if (view === "main") return;
  const name = VIEWS[view] ? view : root.dataset.first;
  const changed = shown !== null && (shown !== name || name === "cell");
  const from = shown === "cell" && name === "matrix" ? cell : null;
  shown = name;
  cell = name === "cell" ? options : null;
  strange([]);
  keep(name, name === view ? options : {});
  document.title = `${name === "cell" && options.w ? [options.w, options.c].filter(Boolean).join(", ") : byId(`${name}-title`).textContent} - ${title}`;
  root.dataset.view = name;
  for (const link of document.querySelectorAll("[data-view-link]")) {
    // A cell is one of the matrix.
    if (link.dataset.viewLink === (name === "cell" ? "matrix" : name)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const there = VIEWS[name](options);
  if (view && !VIEWS[view]) strange([["view", view]]);
  if (changed) {
    scrollTo(0, 0);
    if (!from) byId(`${name}-title`).focus({ preventScroll: true });
  }
  await there;
  // Who comes back is where they left, if that is still shown.
  if (from && !(await focusInMatrix(from))) byId(`${name}-title`).focus({ preventScroll: true });
}

// Where no script runs, they would lead nowhere.
for (const link of document.querySelectorAll("[data-href]")) link.setAttribute("href", link.dataset.href);
startTheme(drawHistory);
startCopying();
startFigures();
startCompare();
startPrinting();
addEventListener("hashchange", show);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && shown === "cell" && !event.defaultPrevented) location.hash = leftAt("matrix");
});
await show();
root.dataset.ready = "true";
