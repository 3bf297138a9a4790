// The chart of the history: lines with their intervals, runs named below, steps marked. Drawn for the width that there is.
import { colour } from "./figures.js";
import { drawMarks } from "./history_marks.js";
import { shortNames } from "./names.js";
import { changes, digits, duration, durations } from "./numbers.js";

const COLOURS = ["--line1", "--line2", "--line3", "--line4", "--line5", "--line6"];
const SHAPES = [[], [6, 4], [2, 3]];
const HEIGHT = 340;
const LEFT = 70;
const FONT = 11;
const WIDE = 500;
const LABEL = { most: 132, gap: 14, height: 18 };
/** Share of the reach of the values: room above and below, and for each label of a step that may be stacked there. */
const ROOM = { always: 0.08, label: 0.06, labels: 5 };

/**
 * Lines as {label, seconds, low, high, base}, each value by point; steps as {line, point, ratio}, the largest first; points as {name, day, heading}.
 * Returns the library's chart.
 */
export function chartOf(holder, { lines, points, steps, relative }) {
  const width = holder.clientWidth || 800;
  const named = width >= WIDE;
  const text = names(points, width - LEFT - (named ? LABEL.height : 0), steps);
  const scaled = (line, values) => values.map((value) => (value === null ? null : value / line.base));
  const data = [points.map((_, index) => index)];
  const series = [{ label: "run", value: (_, index) => (index === null ? "" : points[Math.round(index)].heading) }];
  const bands = [];
  const strokes = lines.map((_, index) => colour(COLOURS[index % COLOURS.length]));
  lines.forEach((line, index) => {
    const [stroke, first] = [strokes[index], data.length];
    const dash = SHAPES[Math.floor(index / COLOURS.length) % SHAPES.length];
    data.push(...[line.seconds, line.high, line.low].map((values) => scaled(line, values)));
    series.push(
      { label: line.label, stroke, width: 2, dash, spanGaps: true, points: { show: true, size: 7, fill: stroke }, value: (_, value) => (value === null ? "" : duration(value * line.base)) },
      { label: "high", show: true, stroke: "transparent", points: { show: false } },
      { label: "low", show: true, stroke: "transparent", points: { show: false } },
    );
    bands.push({ series: [first + 1, first + 2], fill: stroke.replace("rgb(", "rgba(").replace(")", ", 0.13)") });
  });
  const place = (self, line, point) => ({ x: self.valToPos(point, "x"), y: self.valToPos(line.seconds[point] / line.base, "y") });
  // Steps of two lines at one run hang on one another: their labels say whose they are.
  const isShared = (step) => steps.some((other) => other !== step && other.point === step.point);
  const mark = (self) =>
    overlay(
      self,
      steps.map((step) => ({ ...place(self, lines[step.line], step.point), ratio: step.ratio, colour: strokes[step.line], name: isShared(step) ? lines[step.line].label : "" })),
      lines.map((line) => line.seconds.map((value, point) => (value === null ? null : place(self, line, point)))),
    );
  return new uPlot(
    {
      width,
      height: HEIGHT,
      series,
      bands,
      padding: [8, text.overhang, 0, 0],
      legend: { live: true, markers: { width: 2 } },
      cursor: { drag: { x: false, y: false } },
      scales: { x: { time: false, range: (_, low, high) => [low - 0.5, high + 0.5] }, y: { range: (_, low, high) => reach(low, high, steps) } },
      axes: axes(text, points, relative, named),
      hooks: { draw: [mark], ready: [hideBounds, (self) => rest(self, points.length - 1)], setLegend: [(self) => rest(self, points.length - 1)] },
    },
    data,
    holder,
  );
}

/** named: whether there is room for what the axis of time is of. */
function axes(text, points, relative, named) {
  const [stroke, grid] = [colour("--soft"), { stroke: colour("--line"), width: 1 }];
  const common = { stroke, grid, ticks: { show: false }, font: text.font };
  return [
    { ...common, size: 48, splits: () => points.map((_, index) => index), values: () => text.values },
    {
      ...common,
      size: LEFT,
      ...(named && { label: relative ? "time over its first point" : "time of a call", labelSize: LABEL.height }),
      labelFont: text.font,
      values: (_, splits, axis, space, step) => (relative ? changes(splits, digits(step)) : durations(splits, step)),
    },
  ];
}

/** Of the axis of time, with room for what is written at the lines' steps. */
function reach(low, high, steps) {
  const whole = high - low || high;
  const room = (slower) => {
    const by = new Map();
    for (const step of steps) if (step.ratio > 1 === slower) by.set(step.point, (by.get(step.point) ?? 0) + 1);
    return ROOM.always + ROOM.label * Math.min(ROOM.labels, Math.max(0, ...by.values()));
  };
  return [low - whole * room(false), high + whole * room(true)];
}

/** Texts below the axis: what each run measured, and its day. As many as do not touch, those of steps before all. */
function names(points, width, steps) {
  const font = `${FONT}px ${getComputedStyle(document.body).fontFamily}`;
  const context = document.createElement("canvas").getContext("2d");
  context.font = font;
  const measure = (text) => context.measureText(text).width;
  const shorts = shortNames(points.map((point) => point.name), Math.min(LABEL.most, width / 2), measure);
  const widest = Math.max(0, ...points.flatMap((point, index) => [measure(shorts[index]), measure(point.day)]));
  // A name that is wider than its run's share of the axis reaches beyond the last line, and takes the room for it from all.
  const slot = Math.min(width / points.length, (width - widest / 2) / (points.length - 0.5));
  const kept = apart(points.length, (widest + LABEL.gap) / slot, [...new Set(steps.map((step) => step.point))]);
  return {
    font,
    values: points.map((point, index) => (kept.has(index) ? `${shorts[index]}\n${point.day}` : "")),
    overhang: Math.max(8, Math.ceil((widest - slot) / 2) + 2),
  };
}

/** Places out of so many that are so far from each other: those that are wanted before all others. */
export function apart(count, distance, wanted) {
  const kept = [];
  for (const place of [...wanted, ...Array(count).keys()]) if (kept.every((other) => Math.abs(place - other) >= distance)) kept.push(place);
  return new Set(kept);
}

function overlay(self, marks, lines) {
  self.over.querySelector(".step-marks")?.remove();
  const { layer, settle } = drawMarks(marks, lines, self.over.clientWidth, self.over.clientHeight);
  self.over.append(layer);
  settle();
}

/** The bounds are drawn as bands, and are no series to a reader. */
function hideBounds(self) {
  self.root.querySelectorAll(".u-legend .u-series").forEach((row, index) => (row.hidden = index > 0 && (index - 1) % 3 !== 0));
}

/** Where nobody points at a run, the legend has the last one's numbers. */
function rest(self, last) {
  if (self.legend.idx === null || self.legend.idx === undefined) self.setLegend({ idx: last }, false);
}
