// Lines of a cell over runs. Points are set side by side in their order: runs come in bursts, and two images of one run at once.
import { detail, findLine, page, unpack, word, workload } from "./data.js";
import { byId, element } from "./dom.js";
import { chartOf } from "./history_chart.js";
import { stepSaid, stepWord } from "./history_marks.js";
import { counted, duration } from "./numbers.js";
import { replace, strange } from "./state.js";

const LISTED = 400;

let series = null;
let chart = null;
let line = null;
let resized = () => {};
let searched = "";

export async function show(options) {
  if (!series) await start();
  if (!series.line.length) return;
  const wanted = options.w === undefined ? undefined : findLine(options.w, options.d);
  if (options.w !== undefined && wanted === undefined) strange([["cell", [options.w, options.d].filter(Boolean).join(" ")]]);
  line = wanted ?? line ?? (page.steps.length ? series.line[page.steps[0].series] : series.line[0]);
  list(byId("history-q").value);
  byId("history-line").value = String(line);
  draw();
}

async function start() {
  series = (await unpack("bm-history")).about;
  if (!series.line.length) {
    byId("history-panel").hidden = true;
    return;
  }
  byId("history-q").form.addEventListener("submit", (event) => event.preventDefault());
  byId("history-q").addEventListener("input", (event) => {
    const lines = list(event.target.value);
    if (lines.length && !lines.includes(line)) choose(lines[0]);
  });
  byId("history-line").addEventListener("change", (event) => choose(Number(event.target.value)));
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(byId("history-chart"));
}

/** What is written in the chart depends on its width. */
function fit() {
  const { clientWidth } = byId("history-chart");
  if (chart && clientWidth && clientWidth !== chart.width) resized();
}

function choose(chosen) {
  line = chosen;
  byId("history-line").value = String(line);
  replace("history", { w: workload(line), d: detail(line) });
  draw();
}

/** The cells that a search leaves, as choices. */
function list(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const lines = [...new Set(series.line)].filter((one) => words.every((text) => `${workload(one)} ${detail(one)}`.toLowerCase().includes(text)));
  const shown = lines.slice(0, LISTED);
  if (line !== null && !shown.includes(line)) shown.unshift(line);
  if (searched !== `${query}\n${shown[0]}`) {
    searched = `${query}\n${shown[0]}`;
    byId("history-line").replaceChildren(...shown.map((one) => element("option", { value: one }, `${workload(one)} ${detail(one)}`)));
    byId("history-line").value = String(line);
  }
  return lines;
}

/** Of series: what they have in common, and the name of each beside that. */
function labels(places) {
  const parts = places.map((place) => [
    ...["family", "backend", "options", "clock"].map((name) => word(series[name], place)),
    page.machines.length > 1 && series.machine[place] >= 0 ? `machine ${series.machine[place] + 1}` : "",
  ]);
  const isCommon = parts[0].map((part, index) => places.length > 1 && parts.every((other) => other[index] === part));
  const text = (words) => words.filter(Boolean).join(" ");
  return { common: text(parts[0].filter((_, index) => isCommon[index])), names: parts.map((words) => text(words.filter((_, index) => !isCommon[index]))) };
}

export function draw() {
  if (!series || line === null) return;
  const places = series.line.flatMap((of, place) => (of === line ? [place] : []));
  const used = page.points.map((_, point) => point).filter((point) => places.some((place) => series.seconds[place][point] !== null));
  const steps = page.steps.filter((step) => places.includes(step.series));
  const { common, names } = labels(places);
  byId("history-about").textContent = `${workload(line)} ${detail(line)}: ${places.length} series${common ? ` of ${common}` : ""} over ${counted(used.length, "point")}, ${steps.length === 0 ? "no step" : steps.length === 1 ? "one step" : `${steps.length} steps`}.${places.length > 1 ? " Each series is its time over its own first point: +15\u202f% is slower." : ""}`;
  plot(places, names, used, steps);
  numbers(places, names, used, steps);
}

function plot(places, names, used, steps) {
  // Of several series what is looked at is change: each is drawn over its own first point.
  const relative = places.length > 1;
  const pick = (values) => used.map((point) => values[point]);
  const holder = byId("history-chart");
  chart?.destroy();
  holder.replaceChildren();
  chart = chartOf(holder, {
    lines: places.map((place, index) => ({
      label: names[index],
      seconds: pick(series.seconds[place]),
      low: pick(series.low[place]),
      high: pick(series.high[place]),
      base: relative ? series.seconds[place].find((value) => value !== null) : 1,
    })),
    points: used.map((point) => ({ name: page.points[point].label, day: page.points[point].at.slice(0, 10), heading: heading(point) })),
    steps: steps.map((step) => ({ line: places.indexOf(step.series), point: used.indexOf(step.point), ratio: step.ratio })),
    relative,
  });
  resized = () => plot(places, names, used, steps);
}

function heading(point) {
  const { label: name, at } = page.points[point];
  return `${name}, ${at.slice(0, 16).replace("T", " ")}`;
}

/** The same as a table. */
function numbers(places, names, used, steps) {
  const began = new Map(steps.map((step) => [`${step.series} ${step.point}`, step]));
  const stepAt = (place, point) => {
    const step = began.get(`${place} ${point}`);
    return step ? element("span", { class: `mark ${stepWord(step.ratio)}` }, stepSaid(step.ratio)) : "";
  };
  const rows = used.map((point) =>
    element("tr", {}, element("th", { scope: "row" }, heading(point)), places.map((place) => element("td", {}, duration(series.seconds[place][point]), stepAt(place, point)))),
  );
  byId("history-values").replaceChildren(
    element("table", { class: "table" }, element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "image and run"), names.map((name) => element("th", { scope: "col" }, name)))), element("tbody", {}, rows)),
  );
}
