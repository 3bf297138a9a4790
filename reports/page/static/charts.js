// Figures of a cell: samples by launch, their distribution, launches against each other, parts of a whole.
import { drawing, element } from "./dom.js";
import { duration, ratio } from "./numbers.js";
import { counting, median } from "./samples.js";
import { linear, range } from "./scale.js";
import { texts } from "./ticks.js";

export const VARIANTS = ["eager", "graphs", "backend"];
const LEFT = 64;

/** Units of a drawing's width: about as many as it has pixels, so that its text is as large on a telephone. */
function room() {
  return innerWidth < 700 ? 380 : 720;
}

/** Ticks that there is room for, of so many on a wide screen. */
function few(count) {
  return room() < 700 ? Math.ceil(count / 2) : count;
}

function figure(name, height, label, ...parts) {
  return drawing("svg", { class: name, viewBox: `0 0 ${room()} ${height}`, role: "img", "aria-label": label }, parts);
}

function across(axis, top, bottom, unit, count) {
  const ticks = axis.ticks(few(count));
  const said = texts(ticks, unit);
  return ticks.flatMap((tick, index) => [
    drawing("path", { class: "grid", d: `M${axis.place(tick).toFixed(1)} ${top}V${bottom}` }),
    drawing("text", { class: "tick", x: axis.place(tick).toFixed(1), y: bottom + 16, "text-anchor": "middle" }, said[index]),
  ]);
}

function upward(axis, left, right, unit, count) {
  const ticks = axis.ticks(count);
  const said = texts(ticks, unit);
  return ticks.flatMap((tick, index) => [
    drawing("path", { class: "grid", d: `M${left} ${axis.place(tick).toFixed(1)}H${right}` }),
    drawing("text", { class: "tick", x: left - 8, y: (axis.place(tick) + 4).toFixed(1), "text-anchor": "end" }, said[index]),
  ]);
}

/** Every sample: launches from left to right, eager beside the backend, in the order in which they were taken. */
export function strip(series, oneIn) {
  const launches = [...new Set(series.map((one) => one.launch))].sort((a, b) => a - b);
  const height = 300;
  const bottom = height - 34;
  const time = linear(...range(series.flatMap((one) => one.seconds), 0.06, true), bottom, 10);
  const slot = (room() - LEFT - 8) / launches.length;
  const dot = Math.max(1.4, Math.min(3, slot / 40));
  const parts = [upward(time, LEFT, room() - 8, "seconds", 5)];
  launches.forEach((launch, index) => {
    const start = LEFT + index * slot;
    if (index) parts.push(drawing("path", { class: "between grid", d: `M${start.toFixed(1)} 10V${bottom}` }));
    if (launches.length <= 24 || index % Math.ceil(launches.length / 24) === 0)
      parts.push(drawing("text", { x: (start + slot / 2).toFixed(1), y: bottom + 16, "text-anchor": "middle" }, String(launch + 1)));
    for (const one of series.filter((one) => one.launch === launch)) parts.push(column(one, start + slot * (one.variant === "backend" ? 0.53 : 0.07), slot * 0.4, time, dot, oneIn));
  });
  parts.push(drawing("text", { x: LEFT + (room() - LEFT) / 2, y: height - 2, "text-anchor": "middle" }, "launch"));
  return figure("strip", height, `Every sample of ${launches.length === 1 ? "one launch" : `${launches.length} launches`}, ${VARIANTS.filter((variant) => series.some((one) => one.variant === variant)).join(" beside ")}`, parts);
}

function column(one, left, width, time, dot, oneIn) {
  const place = (index) => left + ((index + 0.5) / one.seconds.length) * width;
  const middle = time.place(median(counting(one, oneIn))).toFixed(1);
  return drawing(
    "g",
    { class: one.variant },
    one.seconds.map((seconds, index) => {
      const [x, y] = [place(index), time.place(Math.min(Math.max(seconds, time.low), time.high))];
      if (seconds > time.high || seconds < time.low) return beyond(x, y, seconds, one.marks[index], seconds > time.high ? -1 : 1);
      if (!one.marks[index]) return drawing("circle", { class: "sample", cx: x.toFixed(1), cy: y.toFixed(1), r: dot.toFixed(1) });
      const cross = drawing("path", { class: "marked", d: `M${(x - 3).toFixed(1)} ${(y - 3).toFixed(1)}l6 6m0 -6l-6 6` });
      cross.append(drawing("title", {}, `${one.marks[index]}: ${duration(seconds)}`));
      return cross;
    }),
    drawing("path", { class: "median", d: `M${left.toFixed(1)} ${middle}h${width.toFixed(1)}` }),
  );
}

/** A sample that is off the axis, at its end. */
function beyond(x, y, seconds, mark, direction) {
  const arrow = drawing("path", { class: mark ? "marked" : "off", d: `M${(x - 3).toFixed(1)} ${(y + 2 * direction * -1).toFixed(1)}h6l-3 ${5 * direction}z` });
  arrow.append(drawing("title", {}, `${mark ? `${mark}: ` : ""}${duration(seconds)}, off the axis`));
  return arrow;
}

/** How many samples are off the axis of `strip`. */
export function offAxis(series) {
  const [low, high] = range(series.flatMap((one) => one.seconds), 0.06, true);
  return series.reduce((sum, one) => sum + one.seconds.filter((seconds) => seconds < low || seconds > high).length, 0);
}

/** The share of samples that are as fast, over all launches. */
export function ecdf(series) {
  const height = 300;
  const bottom = height - 34;
  const time = linear(...range(series.flatMap((one) => one.seconds), 0.02, true), 44, room() - 12);
  const share = linear(0, 1, bottom, 10);
  const parts = [
    across(time, 10, bottom, "seconds", 6),
    [0, 0.5, 1].map((level) => [
      drawing("path", { class: "quantile", d: `M44 ${share.place(level)}H${room() - 12}` }),
      drawing("text", { x: 38, y: share.place(level) + 4, "text-anchor": "end" }, `${100 * level}`),
    ]),
    drawing("text", { x: 44, y: height - 2 }, "% of samples that are as fast"),
  ];
  for (const variant of VARIANTS) {
    const values = series.flatMap((one) => (one.variant === variant ? one.seconds : [])).sort((a, b) => a - b);
    if (!values.length) continue;
    const steps = values.filter((value) => value <= time.high).map((value, index) => `H${time.place(Math.max(value, time.low)).toFixed(1)}V${share.place((index + 1) / values.length).toFixed(1)}`);
    parts.push(drawing("path", { class: `curve ${variant}`, d: `M44 ${bottom}${steps.join("")}H${room() - 12}` }));
  }
  return figure("ecdf", height, "Distribution of the samples that count, eager and backend", parts);
}

/** A number of each launch with its interval. */
export function launches(points, middle) {
  const step = 22;
  const height = points.length * step + 34;
  const bottom = height - 26;
  const values = points.flatMap((point) => [point.value, point.low, point.high]).filter((value) => value !== null && value !== undefined);
  const scale = linear(...range([...values, middle]), LEFT, room() - 60);
  const parts = [across(scale, 0, bottom, "ratio", 6), drawing("path", { class: "one", d: `M${scale.place(middle).toFixed(1)} 0V${bottom}` })];
  points.forEach((point, index) => {
    const y = index * step + 12;
    parts.push(drawing("text", { x: 8, y: y + 4 }, String(point.launch + 1)));
    if (point.value === null || point.value === undefined) {
      parts.push(drawing("text", { x: LEFT, y: y + 4, class: "ink" }, point.status));
      return;
    }
    const [low, high] = [scale.place(point.low ?? point.value), scale.place(point.high ?? point.value)];
    parts.push(
      drawing("path", { class: "reach", d: `M${low.toFixed(1)} ${y}H${high.toFixed(1)}M${low.toFixed(1)} ${y - 4}v8M${high.toFixed(1)} ${y - 4}v8` }),
      drawing("circle", { class: "dot", cx: scale.place(point.value).toFixed(1), cy: y, r: 4 }),
      drawing("text", { x: room() - 8, y: y + 4, "text-anchor": "end", class: "ink" }, ratio(point.value, 3)),
    );
  });
  return figure("launches backend", height, "Speedup over eager of each launch, with its interval; the line is that of all launches", parts);
}

/** Rows of parts on one scale: [name, total as text, [[label, value, shade]...]]. */
export function stacked(rows, format) {
  const step = 34;
  const height = rows.length * step;
  const most = Math.max(...rows.map((row) => row[2].reduce((sum, part) => sum + part[1], 0)));
  const scale = linear(0, most, 130, room() - 90);
  const parts = rows.flatMap(([name, total, pieces], index) => {
    const y = index * step + 6;
    let at = 0;
    const drawn = pieces.map(([label, value, shade]) => {
      const [start, end] = [scale.place(at), scale.place(at + value)];
      at += value;
      const piece = drawing("g", { class: shade }, drawing("rect", { x: start.toFixed(1), y, width: Math.max(0.5, end - start - 1).toFixed(1), height: 22, rx: 2 }));
      piece.append(drawing("title", {}, `${label}: ${format(value)}`));
      if (end - start > label.length * 6.4 + 12) piece.append(drawing("text", { x: (start + 7).toFixed(1), y: y + 15, class: "on" }, label));
      return piece;
    });
    return [drawing("text", { x: 122, y: y + 15, "text-anchor": "end", class: "ink" }, name), ...drawn, drawing("text", { x: (scale.place(at) + 7).toFixed(1), y: y + 15, class: "ink" }, total)];
  });
  return figure("parts", height, rows.map(([name, total]) => `${name} ${total}`).join(", "), parts);
}

/** What the parts of `stacked` are, each once: a small one has no room for its name. */
export function partsKey(rows, format) {
  const pieces = rows.flatMap(([, , parts]) => parts);
  const labels = [...new Set(pieces.map(([label]) => label))];
  const said = labels.map((label) => pieces.filter(([other]) => other === label));
  return element("ul", { class: "legend parts" }, said.map(([[label, value, shade], ...others]) => element("li", { class: shade }, swatch(), others.length ? label : `${label} ${format(value)}`)));
}

/** A sample of a line's or an area's colour, that is saved with a figure. */
function swatch() {
  return drawing("svg", { class: "swatch", viewBox: "0 0 20 10", "aria-hidden": "true" }, drawing("rect", { x: 1, y: 1, width: 18, height: 8, rx: 2 }));
}

export function key(...variants) {
  const names = { eager: "eager", graphs: "graphs alone", backend: "backend", marked: "× taken under throttling or contention" };
  return element("ul", { class: "legend" }, variants.map((variant) => element("li", { class: variant }, variant === "marked" ? "" : drawing("svg", { class: "key-line", viewBox: "0 0 24 10", "aria-hidden": "true" }, drawing("path", { d: "M1 5H23" })), names[variant])));
}
