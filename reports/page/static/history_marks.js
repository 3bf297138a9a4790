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

/** Marks with x, y, ratio and colour, the largest step first, as a drawing that lies over the lines. */
export function drawMarks(marks, width, height) {
  const layer = drawing("svg", { class: "step-marks", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const taken = marks.map(({ x, y }) => ({ left: x - RING, right: x + RING, top: y - RING, bottom: y + RING }));
  const texts = [];
  for (const mark of marks) {
    const look = stepWord(mark.ratio);
    const ring = drawing("circle", { class: "step-ring", cx: mark.x.toFixed(1), cy: mark.y.toFixed(1), r: RING, stroke: mark.colour });
    const label = drawing("text", { class: `step-text ${look}` }, `${mark.ratio > 1 ? "▲" : "▼"} ${stepSaid(mark.ratio)}`);
    layer.append(ring, label);
    texts.push({ mark, label });
  }
  // A text has a width only where it is drawn.
  return { layer, settle: () => texts.forEach(({ mark, label }) => settle(mark, label, taken, width, height)) };
}

function settle(mark, label, taken, width, height) {
  const box = freePlace(mark, label.getComputedTextLength(), taken, width, height);
  // The list of steps and the table of numbers have those that find no room.
  if (!box) return label.remove();
  taken.push(box);
  label.setAttribute("x", box.left.toFixed(1));
  label.setAttribute("y", (box.bottom - TEXT.gap).toFixed(1));
  const near = box.top > mark.y ? box.top : box.bottom;
  if (Math.abs(near - mark.y) <= RING + TEXT.gap) return;
  const to = Math.min(Math.max(mark.x, box.left), box.right);
  label.before(drawing("path", { class: "step-lead", stroke: mark.colour, d: `M${mark.x.toFixed(1)} ${(mark.y + Math.sign(near - mark.y) * RING).toFixed(1)}L${to.toFixed(1)} ${near.toFixed(1)}` }));
}

/** The nearest place for a text that is in the chart and on no other: above or below its point, first on the side that its line did not come from. */
export function freePlace({ x, y, ratio }, length, taken, width, height) {
  const left = Math.max(0, Math.min(width - length, x - length / 2));
  const sides = ratio > 1 ? [-1, 1] : [1, -1];
  for (let away = 0; away * TEXT.height < height; away++)
    for (const side of sides) {
      const middle = y + side * (RING + TEXT.height / 2 + away * TEXT.height);
      const box = { left, right: left + length, top: middle - TEXT.height / 2, bottom: middle + TEXT.height / 2 };
      if (box.top >= 0 && box.bottom <= height && !taken.some((other) => touch(box, other))) return box;
    }
  return null;
}

function touch(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}
