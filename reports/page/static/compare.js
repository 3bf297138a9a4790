// Compare: one pair of images at a time, and its cells by what is said of them.
import { byId } from "./dom.js";
import { read, replace, strange } from "./state.js";

export function start() {
  byId("pair")?.addEventListener("change", (event) => go({ pair: event.target.value === "0" ? "" : event.target.value }));
  for (const chip of document.querySelectorAll(".chip"))
    chip.addEventListener("click", () => {
      const { options } = read();
      go({ ...options, only: options.only === chip.dataset.kind ? "" : chip.dataset.kind });
    });
}

function go(options) {
  replace("compare", options);
  show(options);
}

export function show({ pair = "0", only = "" }) {
  const has = (name, value) => Boolean(document.querySelector(`[data-${name}="${CSS.escape(value)}"]`));
  const asked = { pair: pair !== "0" && !has("pair", pair) ? pair : "", only: only && !has("kind", only) ? only : "" };
  strange(Object.entries(asked).filter(([, value]) => value));
  if (asked.pair) pair = "0";
  if (asked.only) only = "";
  if (byId("pair")) byId("pair").value = pair;
  for (const article of document.querySelectorAll(".comparison")) article.hidden = article.dataset.pair !== pair;
  for (const chip of document.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", String(chip.dataset.kind === only));
  for (const row of document.querySelectorAll(".forest tbody tr")) row.hidden = Boolean(only) && row.dataset.kind !== only;
  for (const list of document.querySelectorAll("[data-kind-list]")) list.hidden = Boolean(only) && list.dataset.kindList !== only;
}
