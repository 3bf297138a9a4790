// Of the width of the middle 90 %: what is farther from it than this is an outlier.
const FAR = 1.5;

// Of the numbers themselves: an axis that is narrower shows how numbers are rounded, and its ticks take more digits than numbers have.
const NARROWEST = 5e-4;

// Linear axes for what is drawn here; those of ratios are in scale.py.

export function linear(low, high, start, end) {
  const reach = high - low || Math.abs(high) || 1;
  const place = (value) => start + ((value - low) / reach) * (end - start);
  return { low, high, place, ticks: (count) => ticks(low, low + reach, count) };
}

/** Round numbers from low to high, about so many. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step + 1e-6) - first + 1 }, (_, index) => (first + index) * step);
}

/** Of values, with some room. With `most`, an axis on which most of them can be told apart: what is far outside is drawn at its end. */
export function range(values, room = 0.06, most = false) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (!sorted.length) return [0, 1];
  let [low, high] = [sorted[0], sorted.at(-1)];
  if (most) {
    const at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
    const reach = FAR * (at(0.95) - at(0.05));
    [low, high] = [Math.max(low, at(0.05) - reach), Math.min(high, at(0.95) + reach)];
  }
  const margin = (high - low || Math.abs(high) * 0.02 || 1) * room;
  const lacking = Math.max(0, (Math.abs(high) * NARROWEST - (high - low + 2 * margin)) / 2);
  return [low - margin - lacking, high + margin + lacking];
}
