// What is written at ticks that are evenly spaced: one unit for all of them, and no two alike. `ticks.py` is for those of logarithmic axes.
import { LONG, SECONDS, THIN, TIMES } from "./numbers.js";

const UNITS = { seconds: [...LONG, ...SECONDS.map(([scale, unit]) => [scale, scale, unit])], ratio: [[0, 1, TIMES]] };
// Of a step: as much may the text of a tick be off.
const CLOSE = 0.05;

/** unit: as a metric's, "seconds" or "ratio". */
export function texts(ticks, unit) {
  if (!ticks.length) return [];
  const largest = Math.max(...ticks.map(Math.abs));
  const [, scale, name] = UNITS[unit].find(([from]) => largest >= from * (1 - 1e-9)) ?? UNITS[unit].at(-1);
  const values = ticks.map((tick) => tick / scale);
  const step = values.length > 1 ? values[1] - values[0] : Math.abs(values[0]) || 1;
  let digits = 0;
  while (digits < 15 && values.some((value) => Math.abs(value - Number(value.toFixed(digits))) > CLOSE * step)) digits++;
  return values.map((value) => `${value.toFixed(digits)}${name === TIMES ? "" : THIN}${name}`);
}
