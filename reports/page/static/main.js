// The views of the page, by its address.
import { show as showCell } from "./cell.js";
import { show as showCompare, start as startCompare } from "./compare.js";
import { start as startCopying } from "./copy.js";
import { byId } from "./dom.js";
import { start as startFigures } from "./figures.js";
import { draw as drawHistory, show as showHistory } from "./history.js";
import { show as showMatrix } from "./matrix.js";
import { read } from "./state.js";
import { start as startTheme } from "./theme.js";

const VIEWS = { compare: showCompare, matrix: showMatrix, cell: showCell, totals: () => {}, history: showHistory, sources: () => {} };
const root = document.documentElement;
let shown = null;

/** Resolves when the view is there. */
async function show() {
  const { view, options } = read();
  if (view === "main") return;
  const name = VIEWS[view] ? view : root.dataset.first;
  const changed = shown !== null && (shown !== name || name === "cell");
  shown = name;
  root.dataset.view = name;
  for (const link of document.querySelectorAll("[data-view-link]")) {
    // A cell is one of the matrix.
    if (link.dataset.viewLink === (name === "cell" ? "matrix" : name)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const there = VIEWS[name](options);
  if (changed) {
    scrollTo(0, 0);
    byId(`${name}-title`).focus({ preventScroll: true });
  }
  await there;
}

startTheme(drawHistory);
startCopying();
startFigures();
startCompare();
addEventListener("hashchange", show);
await show();
root.dataset.ready = "true";
