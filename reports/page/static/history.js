// Lines of a cell over runs. Points are set side by side in their order: runs come in bursts, and two images of one run at once.
import { detail, findLine, page, unpack, word, workload } from "./data.js";
import { byId, element } from "./dom.js";
import { change, duration, ratio } from "./numbers.js";
import { replace } from "./state.js";

const COLOURS = ["--line1", "--line2", "--line3", "--line4", "--line5", "--line6"];
const SHAPES = [[], [6, 4], [2, 3]];
const LISTED = 400;

let series = null;
let chart = null;
let line = null;
let searched = "";

export async function show(options) {
  if (!series) await start();
  if (!series.line.length) return;
  const wanted = options.w === undefined ? undefined : findLine(options.w, options.d);
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
  addEventListener("resize", () => chart?.setSize({ width: byId("history-chart").clientWidth, height: 340 }));
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

function label(place) {
  return [word(series.family, place), word(series.backend, place), word(series.options, place), word(series.clock, place), page.machines.length > 1 && series.machine[place] >= 0 ? `machine ${series.machine[place] + 1}` : ""]
    .filter(Boolean)
    .join(" ");
}

function colour(name) {
  const probe = element("span", { class: "unseen" });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export function draw() {
  if (!series || line === null) return;
  chart?.destroy();
  const places = series.line.flatMap((of, place) => (of === line ? [place] : []));
  const steps = page.steps.filter((step) => places.includes(step.series));
  const used = page.points.map((_, point) => point).filter((point) => places.some((place) => series.seconds[place][point] !== null));
  byId("history-about").textContent = `${workload(line)} ${detail(line)}: ${places.length} series over ${used.length} points, ${steps.length === 0 ? "no step" : steps.length === 1 ? "one step" : `${steps.length} steps`}.${places.length > 1 ? " Each series over its own first point." : ""}`;
  // Of several series what is looked at is change: each is drawn over its own first point.
  const relative = places.length > 1;
  const base = (place) => (relative ? series.seconds[place].find((value) => value !== null) : 1);
  const pick = (values, place) => used.map((point) => (values[point] === null ? null : values[point] / base(place)));
  const data = [used.map((_, index) => index)];
  const shown = [{ label: "run", value: (_, index) => (index === null ? "" : heading(used[Math.round(index)])) }];
  const bands = [];
  places.forEach((place, index) => {
    const stroke = colour(COLOURS[index % COLOURS.length]);
    const first = data.length;
    data.push(pick(series.seconds[place], place), pick(series.high[place], place), pick(series.low[place], place));
    const dash = SHAPES[Math.floor(index / COLOURS.length) % SHAPES.length];
    shown.push(
      { label: label(place), stroke, width: 2, dash, spanGaps: true, points: { show: true, size: 7, fill: stroke }, value: (_, value) => (value === null ? "" : duration(value * base(place))) },
      { label: "high", show: true, stroke: "transparent", points: { show: false } },
      { label: "low", show: true, stroke: "transparent", points: { show: false } },
    );
    bands.push({ series: [first + 1, first + 2], fill: stroke.replace("rgb(", "rgba(").replace(")", ", 0.13)") });
  });
  const holder = byId("history-chart");
  holder.replaceChildren();
  chart = new uPlot(settings(holder.clientWidth || 800, used, shown, bands, steps, relative), data, holder);
  numbers(places, used, steps);
}

function heading(point) {
  const { label: name, at } = page.points[point];
  return `${name}, ${at.slice(0, 16).replace("T", " ")}`;
}

function settings(width, used, shown, bands, steps, relative) {
  const [ink, grid] = [colour("--soft"), colour("--line")];
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return {
    width,
    height: 340,
    series: shown,
    bands,
    // The bounds are drawn as bands, and are no series to a reader.
    legend: { live: true, markers: { width: 2 } },
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: false, range: (_, low, high) => [low - 0.5, high + 0.5] }, y: { range: (_, low, high) => [low - (high - low || high) * 0.08, high + (high - low || high) * 0.08] } },
    axes: [
      { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font, splits: () => used.map((_, index) => index), values: (self, splits) => thinned(self, splits, used), size: 34 },
      { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font, size: 70, values: (_, splits) => splits.map((split) => (relative ? ratio(split, 3) : duration(split))) },
    ],
    hooks: { draw: [(self) => mark(self, steps, used)], ready: [(self) => hideBounds(self)] },
  };
}

function thinned(self, splits, used) {
  const every = Math.ceil((splits.length * 120) / self.width);
  return splits.map((split, index) => (index % every ? "" : `${page.points[used[split]].label.slice(0, 18)}`));
}

function hideBounds(self) {
  self.root.querySelectorAll(".u-legend .u-series").forEach((row, index) => (row.hidden = index > 0 && (index - 1) % 3 !== 0));
}

/** A step is a line between the points on both sides of it, with how much it was. */
function mark(self, steps, used) {
  const { ctx: context, bbox } = self;
  context.save();
  context.font = `${11 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = "left";
  const between = Map.groupBy(steps, (step) => (used.indexOf(step.before) + used.indexOf(step.point)) / 2);
  for (const [place, here] of between) {
    const x = self.valToPos(place, "x", true);
    const step = here[0];
    context.strokeStyle = context.fillStyle = colour(step.ratio > 1 ? "--worse" : "--better");
    context.setLineDash([4, 3]);
    context.lineWidth = 1.5 * devicePixelRatio;
    context.beginPath();
    context.moveTo(x, bbox.top);
    context.lineTo(x, bbox.top + bbox.height);
    context.stroke();
    const text = `${step.ratio > 1 ? "▲" : "▼"} ${change(step.ratio)}${here.length > 1 ? ` and ${here.length - 1} more` : ""}`;
    context.fillText(text, x + 5 * devicePixelRatio, bbox.top + 12 * devicePixelRatio);
  }
  context.restore();
}

/** The same as a table. */
function numbers(places, used, steps) {
  const began = new Map(steps.map((step) => [`${step.series} ${step.point}`, step]));
  const rows = used.map((point) =>
    element("tr", {}, element("th", { scope: "row" }, heading(point)), places.map((place) => element("td", {}, duration(series.seconds[place][point]), began.has(`${place} ${point}`) ? element("span", { class: "mark warned" }, "step") : ""))),
  );
  byId("history-values").replaceChildren(
    element("table", { class: "table" }, element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "image and run"), places.map((place) => element("th", { scope: "col" }, label(place))))), element("tbody", {}, rows)),
  );
}
