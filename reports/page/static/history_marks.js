// Steps in the chart of the history: each a ring on its own line, at the run that brought it, and a label beside it. Up is slower, in arrow, sign and word:
// so do the lines go.
import { drawing } from "./dom.js";
import { change } from "./numbers.js";

const RING = 6;
const TEXT = { height: 15, gap: 4 };

export function stepWord(ratio) {
  return ratio > 1 ? "slower" : "faster";
}

/** Without the arrow, which a mark in a table has by its look. */
export function stepSaid(ratio) {
  return `${change(ratio)} ${stepWord(ratio)}`;
}

function labelOf({ ratio }, name) {
  return `${ratio > 1 ? "▲" : "▼"} ${name ? `${name}: ` : ""}${stepSaid(ratio)}`;
}

/** Marks with x, y, ratio, colour and name (empty where that needs no saying), the largest step first, as a drawing that lies over the lines: these by their points, in pixels, null for none. */
export function drawMarks(marks, lines, width, height) {
  const layer = drawing("svg", { class: "step-marks", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const taken = marks.map(({ x, y }) => ({ left: x - RING, right: x + RING, top: y - RING, bottom: y + RING }));
  const texts = [];
  for (const mark of marks) {
    const look = stepWord(mark.ratio);
    const ring = drawing("circle", { class: "step-ring", cx: mark.x.toFixed(1), cy: mark.y.toFixed(1), r: RING, stroke: mark.colour });
    const label = drawing("text", { class: `step-text ${look}` }, labelOf(mark, mark.name));
    layer.append(ring, label);
    texts.push({ mark, label });
  }
  // A text has a width only where it is drawn.
  const levels = lines.flatMap(level);
  return { layer, settle: () => texts.forEach(({ mark, label }) => settle(mark, label, taken, levels, width, height)) };
}

/** Where a line goes on as it was. */
function level(points) {
  return points.slice(1).flatMap((point, index) => {
    const before = points[index];
    if (!point || !before || Math.abs(point.y - before.y) > TEXT.height) return [];
    return [{ left: before.x, right: point.x, top: Math.min(point.y, before.y) - 1, bottom: Math.max(point.y, before.y) + 1 }];
  });
}

function settle(mark, label, taken, levels, width, height) {
  // A chart that has no room for a name has the line's colour on the ring.
  if (label.getComputedTextLength() > width) label.textContent = labelOf(mark, "");
  const length = label.getComputedTextLength();
  // Beside the lines where there is room for it, else on them.
  const box = freePlace(mark, length, [...taken, ...levels], width, height) ?? freePlace(mark, length, taken, width, height);
  // The list of steps and the table of numbers have those that find no room.
  if (!box) return label.remove();
  taken.push(box);
  label.setAttribute("x", box.left.toFixed(1));
  label.setAttribute("y", (box.bottom - TEXT.gap).toFixed(1));
  if (!box.near) label.before(drawing("path", { class: "step-lead", stroke: mark.colour, d: lead(mark, box) }));
}

/** From the ring to the nearest point of the text's side. */
function lead({ x, y }, box) {
  const to = { x: Math.min(Math.max(x, box.left - 2), box.right + 2), y: (box.top + box.bottom) / 2 };
  const share = RING / Math.hypot(to.x - x, to.y - y);
  return `M${(x + share * (to.x - x)).toFixed(1)} ${(y + share * (to.y - y)).toFixed(1)}L${to.x.toFixed(1)} ${to.y.toFixed(1)}`;
}

/**
 * The nearest place for a text that is in the chart and touches nothing: above or below its point, where its line does not come from; else on the other
 * side, to the right, where it does not come from either.
 */
export function freePlace({ x, y, ratio }, length, taken, width, height) {
  const away = ratio > 1 ? -1 : 1;
  for (let row = 0; row * TEXT.height < height; row++)
    for (const [side, start] of [[away, x - length / 2], [-away, x + 2 * RING]]) {
      const left = Math.max(0, Math.min(width - length, start));
      const middle = y + side * (RING + TEXT.height / 2 + row * TEXT.height);
      const box = { left, right: left + length, top: middle - TEXT.height / 2, bottom: middle + TEXT.height / 2, near: row === 0 && side === away };
      if (box.top >= 0 && box.bottom <= height && !taken.some((other) => touch(box, other))) return box;
    }
  return null;
}

function touch(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}
