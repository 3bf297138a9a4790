// The matrix on paper, where nothing can be scrolled: all lines that the filters leave, in plain tables of as many columns as a sheet has room for.
import { brief, columns, workload } from "./data.js";
import { byId, element } from "./dom.js";
import { shown } from "./matrix_columns.js";

const COLUMNS = 4;

/** what: asked for when it is printed; what is shown, as {metric, over, columns, lines}, or null. */
export function start(what) {
  const media = matchMedia("print");
  const turn = () => {
    const now = media.matches ? what() : null;
    byId("matrix-print").replaceChildren(...(now ? tables(now) : []));
  };
  media.addEventListener("change", turn);
}

function tables({ metric, over, columns: chosen, lines }) {
  const groups = Array.from({ length: Math.ceil(chosen.length / COLUMNS) }, (_, group) => chosen.slice(COLUMNS * group, COLUMNS * (group + 1)));
  return groups.map((group) =>
    element(
      "table",
      { class: "table" },
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "workload"), group.map((column) => element("th", { scope: "col" }, columns[column].label)))),
      element("tbody", {}, lines.map((line) => element("tr", {}, element("th", { scope: "row" }, workload(line), " ", element("span", { class: "soft" }, brief(line))), group.map((column) => element("td", {}, shown(metric, line, column, over)))))),
    ),
  );
}
