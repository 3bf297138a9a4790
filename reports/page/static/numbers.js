// Numbers as the page has them: sensible digits, a thin space before the unit, nothing for what was not measured. `numbers.py` says the same.

export const THIN = "\u202f";
export const TIMES = "\u00d7";
const MINUS = "\u2212";
export const SECONDS = [[1, "s"], [1e-3, "ms"], [1e-6, "\u00b5s"], [1e-9, "ns"]];
// From where on, how long, and what it is called.
export const LONG = [[7200, 3600, "h"], [120, 60, "min"]];
const JOULES = [[1, "J"], [1e-3, "mJ"], [1e-6, "\u00b5J"], [1e-9, "nJ"]];
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Of a ratio: below, zeros alone would fill its cell. */
const LEAST_WRITTEN_OUT = 1e-3;

export function known(value) {
  return value !== null && value !== undefined && Number.isFinite(value);
}

export function ratio(value, digits = 2) {
  if (!known(value)) return "";
  if (value > 0 && value < LEAST_WRITTEN_OUT) return error(value) + TIMES;
  return (value < 9.995 ? value.toFixed(decimals(value, digits)) : rounded(value)) + TIMES;
}

/** So many that two digits of a ratio are seen, however small it is. */
function decimals(value, least) {
  return value > 0 ? Math.max(least, 1 - Math.floor(Math.log10(value))) : least;
}

export function change(value) {
  if (!known(value)) return "";
  if (value >= 10) return rounded(value) + TIMES;
  const share = 100 * (value - 1);
  const text = Math.abs(share).toFixed(Math.abs(share) < 0.995 ? 2 : 1);
  return `${Number(text) === 0 ? "" : share > 0 ? "+" : MINUS}${text}${THIN}%`;
}

export function duration(value) {
  if (!known(value)) return "";
  if (value < 120) return scaled(value, SECONDS);
  const minutes = Math.round(value / 60);
  return minutes < 120 ? `${minutes}${THIN}min` : `${Math.floor(minutes / 60)}${THIN}h${THIN}${String(minutes % 60).padStart(2, "0")}${THIN}min`;
}

/** Of an axis of ratios whose numbers are a step apart (the digits of the step), as signed shares. */
export function changes(values, places) {
  return values.map((value) => {
    const text = Math.abs(100 * (value - 1)).toFixed(Math.max(0, places - 2));
    return `${Number(text) === 0 ? "" : value > 1 ? "+" : MINUS}${text}${THIN}%`;
  });
}

/** How many digits behind the point tell numbers apart that are steps of an axis. */
export function digits(step) {
  let found = 0;
  while (found < 9 && Math.abs(step * 10 ** found - Math.round(step * 10 ** found)) > 1e-6) found++;
  return found;
}

/** Of an axis whose numbers are a step apart: all in the unit of the largest. */
export function durations(values, step) {
  const [scale, unit] = SECONDS.find(([scale]) => Math.max(...values) >= 0.9995 * scale) ?? SECONDS.at(-1);
  return values.map((value) => (value / scale).toFixed(digits(step / scale)) + THIN + unit);
}

export function joules(value) {
  return known(value) ? scaled(value, JOULES) : "";
}

/** Of tokens: three digits, and whole above. */
export function perSecond(value) {
  if (!known(value)) return "";
  return `${value < 999.5 ? rounded(value) : count(value)}${THIN}/s`;
}

export function size(value) {
  if (!known(value)) return "";
  let unit = 0;
  while (value >= 1023.5 && unit < SIZES.length - 1) [value, unit] = [value / 1024, unit + 1];
  return (unit === 0 ? value.toFixed(0) : rounded(value)) + THIN + SIZES[unit];
}

export function share(value) {
  return known(value) ? `${(100 * value).toFixed(1)}${THIN}%` : "";
}

export function error(value) {
  if (!known(value)) return "";
  return value === 0 ? "0" : value.toExponential(1).replace("e+0", "").replace("e+", "e").replace("e-", `e${MINUS}`);
}

export function count(value) {
  return known(value) ? String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, THIN) : "";
}

/** "1 sample", "2 samples"; "2 launches", with their own word. */
export function counted(value, noun, many = `${noun}s`) {
  return `${count(value)} ${value === 1 ? noun : many}`;
}

function rounded(value) {
  return value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
}

function scaled(value, units) {
  if (value === 0) return `0${THIN}${units[0][1]}`;
  const [scale, unit] = units.find(([scale]) => value >= 0.9995 * scale) ?? units.at(-1);
  return rounded(value / scale) + THIN + unit;
}

/** By the unit of a metric. */
export const byUnit = { ratio, seconds: duration, per_second: perSecond, bytes: size, joules, share, error, calls: count, count };
