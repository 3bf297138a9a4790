// What experiments beside performance found of a cell. `experiments.py` says the same in a line.
import { facts, least, of, panel, texts } from "./cell_parts.js";
import { count, duration, error, known, share, size } from "./numbers.js";

export function experiment(rows) {
  const made = facts([...coverage(rows), ...overhead(rows), ...tolerance(rows), ...largest(rows)]);
  return made && panel("Experiment", `${rows[0].experiment || "performance"}: medians over the launches that passed.`, made);
}

function coverage(rows) {
  return [
    ["operators in graphs", share(of(rows, "pct_ops")), known(of(rows, "total_ops")) ? `${count(of(rows, "captured_ops"))} of ${count(of(rows, "total_ops"))}` : ""],
    ["time in graphs", share(of(rows, "pct_time")), known(of(rows, "pct_time_low")) ? `${share(of(rows, "pct_time_low"))} to ${share(of(rows, "pct_time_high"))}` : ""],
    ["calls of graphs", count(of(rows, "graph_calls"))],
  ];
}

function overhead(rows) {
  const [low, high] = [of(rows, "overhead_seconds_low"), of(rows, "overhead_seconds_high")];
  return [
    ["dynamo adds to a call", signed(of(rows, "overhead_seconds")), known(low) && known(high) ? `${signed(low)} to ${signed(high)}` : ""],
    ["guards", count(of(rows, "guards"))],
  ];
}

function tolerance(rows) {
  const [precision] = texts(rows, "worst_precision");
  if (!precision) return [];
  return [
    ["largest error of an element", error(of(rows, "eager_max_error")), "over the size of its output"],
    ["worst precision", precision, texts(rows, "worst_output").join(", ")],
    ["error in it", error(of(rows, "worst_error")) || "not finite", known(of(rows, "worst_max_error")) ? `of an element ${error(of(rows, "worst_max_error"))}` : ""],
  ];
}

/** What fits in every launch. */
function largest(rows) {
  const beyond = least(rows, "eager_peak_beyond_bytes");
  return [["largest batch that fits", count(least(rows, "largest_batch_size")), known(beyond) ? `${size(beyond)} beyond its inputs` : ""]];
}

function signed(value) {
  return known(value) && value < 0 ? `\u2212${duration(-value)}` : duration(value);
}
