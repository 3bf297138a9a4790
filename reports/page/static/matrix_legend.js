// What the matrix shows and what its colours mean, in the words of the metric that is chosen.
import { columns } from "./data.js";
import { byId, element } from "./dom.js";
import { EAGER, coloured } from "./matrix_columns.js";

// [colour, from how many times as bad or as good on], as `tint` gives them.
const STEPS = [["down5", "2×"], ["down3", "1.25×"], ["down1", "1.02×"], ["", "same"], ["up1", "1.02×"], ["up3", "1.25×"], ["up5", "2×"]];

export function explain(metric, over) {
  const shown = Boolean(metric) && coloured(metric, over);
  byId("matrix-meaning").textContent = metric ? sentence(metric, over, shown) : "";
  const scale = byId("matrix-colours");
  scale.hidden = !shown;
  if (!shown) return;
  const [worse, better] = metric.words;
  scale.replaceChildren(...STEPS.map(([look, text]) => element("li", { class: look }, look === "down5" ? `${text} ${worse}` : look === "up5" ? `${text} ${better}` : text)));
}

function sentence(metric, over, shown) {
  const good = metric.better ? `: ${metric.better} is better` : "";
  if (!shown) return `${metric.label}${good}. ${over === EAGER ? "Eager has none of it: for colours choose a column under Compared with." : ""}`;
  return `${metric.label}${good}. Each cell says how many times as good it is as ${over === EAGER ? "its own eager" : columns[over].label}, then what it is.`;
}
