// Of the width of the middle 90 %: what is farther from it than this is an outlier.
const FAR = 1.5;

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
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) found.push(tick);
  return found;
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
  return [low - margin, high + margin];
}
