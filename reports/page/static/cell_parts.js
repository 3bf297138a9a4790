// The panels of a cell. Each is made of what its rows say, and is left out where they say nothing.
import { element } from "./dom.js";
import { partsKey, stacked } from "./charts.js";
import { command } from "./copy.js";
import { tools } from "./figures.js";
import { change, count, counted, duration, error, joules, known, perSecond, ratio, share, size } from "./numbers.js";
import { page } from "./data.js";
import { median, rounds } from "./samples.js";

const WARNINGS = {
  short_samples: "Calls are so long that the time budget ended before the wanted number of samples.",
  wide_interval: "The time budget ended before the interval of the ratio was as narrow as wanted.",
  unsteady: "Calls were still getting faster when warming up was given up, or when they were sampled.",
  drift: "Latencies at the end of the sampling differ from those at its beginning.",
  unstable: "Latencies fall into modes, within a launch or between launches: a median is one of several answers.",
  contended: "Something else wanted the processor, or the GPU, while samples were taken.",
  throttled: "Processor or GPU was held back by heat, by a fault or by a quota while samples were taken.",
  power_capped: "The work takes more power than the GPU may draw: its clock goes by that, here as anywhere.",
  unpinned_allocator: "The allocator is as the image has it: latencies can differ by launch.",
  settings_changed: "Workload or backend changed torch's settings: they are not those of the manifest.",
  fallback: "Part of the workload ran elsewhere than the backend was asked to; the evidence says what.",
  costs_incomplete: "Memory, energy, copies or graph time could not be measured; the reason says why.",
  warm_compile_failed: "A second process could not use the first one's compile caches, or its result differs.",
  no_fp64_reference: "The workload does not run in float64, or draws other random numbers there: the result was compared with eager alone.",
  eager_inexact: "A gradient of eager's own is far from float64: there, hardly anything is wrong enough to be found.",
  recompiled: "The backend compiled again after the result was checked.",
  graph_breaks: "Part of the workload ran outside of the compiled graphs.",
  outputs_differ: "They are beyond the tolerance from those that an earlier run has kept.",
  outputs_not_compared: "They were to be compared with an earlier run's, and could not be.",
  outputs_not_kept: "They are larger than what is kept of a row.",
};

let panels = 0;

export function panel(title, about, ...content) {
  const id = `panel-${++panels}`;
  return element(
    "section",
    { class: "panel", "aria-labelledby": id },
    element("header", {}, element("h2", { id }, title), about ? element("p", {}, about) : ""),
    element("div", { class: "body stack" }, content),
  );
}

export function drawn(name, ...content) {
  const place = element("div", { class: "figure" }, content);
  const buttons = tools(name, () => place.querySelector("svg"));
  buttons.classList.add("place");
  return [place, buttons];
}

export function wide(title, content) {
  return element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": title }, content);
}

export function facts(items) {
  const known = items.filter(([, value]) => value);
  if (!known.length) return null;
  return element("dl", { class: "facts" }, known.map(([name, value, small, title]) => element("div", { title }, element("dt", {}, name), element("dd", {}, value, small ? element("small", {}, small) : ""))));
}

/** Median over the rows of a column; null where none says. */
export function of(rows, name) {
  const found = median(rows.map((row) => row[name] ?? null));
  return Number.isFinite(found) ? found : null;
}

/** Smallest over the rows of a column; null where none says. */
export function least(rows, name) {
  const found = rows.map((row) => row[name]).filter(known);
  return found.length ? Math.min(...found) : null;
}

export function texts(rows, name) {
  return [...new Set(rows.map((row) => row[name]).filter(Boolean))];
}

export function results(rows) {
  const interval = (low, high) => (known(low) && known(high) ? `${ratio(low, 3)} to ${ratio(high, 3)}` : "");
  const made = facts([
    ["speedup, device time", ratio(of(rows, "device_speedup"), 3), interval(of(rows, "device_speedup_low"), of(rows, "device_speedup_high"))],
    ["speedup, host time", ratio(of(rows, "speedup"), 3), interval(of(rows, "speedup_low"), of(rows, "speedup_high"))],
    ["device time", duration(of(rows, "backend_device_seconds")), beside(duration(of(rows, "eager_device_seconds")))],
    ["host time", duration(of(rows, "backend_latency_seconds") ?? thousandth(of(rows, "abs_latency"))), beside(duration(of(rows, "eager_latency_seconds")))],
    ["in a CUDA graph", duration(of(rows, "backend_graph_seconds")), beside(duration(of(rows, "eager_graph_seconds")))],
    ["tokens", perSecond(of(rows, "tokens_per_second")), beside(perSecond(of(rows, "eager_tokens_per_second")))],
    ["time to first token", duration(of(rows, "time_to_first_token_seconds")), beside(duration(of(rows, "eager_time_to_first_token_seconds")))],
    ["copies", duration(of(rows, "transfer_seconds"))],
    ["error against float64", error(of(rows, "backend_error")) || beside(error(of(rows, "eager_error"))), known(of(rows, "backend_error")) ? beside(error(of(rows, "eager_error"))) : ""],
    ["tolerance", error(of(rows, "tolerance")), texts(rows, "compared_by").join(", ")],
    ["of the roofline", share(of(rows, "backend_limit_share")), beside(share(of(rows, "eager_limit_share")))],
    ["size of the image", size(of(rows, "image_bytes")), known(of(rows, "image_compressed_bytes")) ? `compressed ${size(of(rows, "image_compressed_bytes"))}` : ""],
  ]);
  return made && panel("Result", "Medians over the launches that count; bounds are the launches' own.", made);
}

function thousandth(value) {
  return known(value) ? value / 1e3 : null;
}

function beside(text) {
  return text ? `eager ${text}` : "";
}

export function compile(rows) {
  const [cold, warm] = [of(rows, "compilation_latency"), of(rows, "warm_compilation_seconds")];
  const steps = [
    ["export", of(rows, "export_seconds"), "s4"],
    ["dynamo", of(rows, "dynamo_seconds"), "s1"],
    ["codegen", of(rows, "codegen_seconds"), "s3"],
    ["backend", minus(of(rows, "backend_compile_seconds"), of(rows, "codegen_seconds")), "s2"],
  ].filter(([, value]) => known(value) && value > 0);
  const rest = cold === null ? 0 : cold - steps.reduce((sum, [, value]) => sum + value, 0);
  const bars = [];
  if (known(cold) && cold > 0) bars.push(["empty caches", duration(cold), [...steps, ...(rest > 0 ? [["rest", rest, "s5"]] : [])]]);
  if (known(warm) && warm > 0) bars.push(["warm caches", duration(warm), [["all", warm, "s5"]]]);
  const about = facts([
    ["first call", duration(of(rows, "first_call_seconds")), known(of(rows, "warm_first_call_seconds")) ? `warm ${duration(of(rows, "warm_first_call_seconds"))}` : ""],
    ["first result since the start", duration(of(rows, "first_result_seconds")), known(of(rows, "warm_first_result_seconds")) ? `warm ${duration(of(rows, "warm_first_result_seconds"))}` : ""],
    ["calls until it pays", known(of(rows, "speedup")) && of(rows, "speedup") <= 1 && (known(cold) || known(of(rows, "break_even_calls"))) ? "never" : count(of(rows, "break_even_calls"))],
    ["graphs", count(of(rows, "unique_graphs")), known(of(rows, "calls_captured")) ? `${counted(of(rows, "calls_captured"), "call")} captured` : ""],
    ["graph breaks", count(of(rows, "graph_breaks"))],
    ["recompiles", count(of(rows, "recompiles"))],
    ["what would be shipped", size(of(rows, "artifact_bytes"))],
    ["saving it", duration(of(rows, "save_seconds"))],
    ["loading it", duration(of(rows, "load_seconds"))],
  ]);
  if (!bars.length && !about) return null;
  return panel("Compiling", "From empty caches, and from those that the first process left.", bars.length ? [drawn("compiling", stacked(bars, duration)), partsKey(bars, duration)] : "", about);
}

function watts(value) {
  return known(value) ? `${value.toPrecision(3)}\u202fW` : "";
}

function minus(whole, part) {
  return known(whole) && known(part) ? Math.max(0, whole - part) : whole;
}

export function memory(rows) {
  const held = of(rows, "held_bytes");
  const bars = [
    ["eager", "eager_peak_beyond_bytes"],
    ["backend", "backend_peak_beyond_bytes"],
  ].flatMap(([name, column]) => {
    const beyond = of(rows, column);
    if (!known(beyond) || !known(held)) return [];
    return [[name, size(held + beyond), [["weights and inputs", held, "s2"], ["a call", beyond, "s3"]]]];
  });
  const about = facts([
    ["reserved", size(of(rows, "backend_peak_reserved_bytes")), beside(size(of(rows, "eager_peak_reserved_bytes")))],
    ["whole process, by the driver", size(of(rows, "process_gpu_bytes"))],
    ["eager's over its own", ratio(of(rows, "compression_ratio"))],
  ]);
  if (!bars.length && !about) return null;
  return panel("Memory", "What is held, and the peak of one warm call beyond it.", bars.length && bars.some((bar) => bar[2][0][1] + bar[2][1][1] > 0) ? [drawn("memory", stacked(bars, size)), partsKey(bars, size)] : "", about);
}

export function machine(rows) {
  const mhz = (name) => (known(of(rows, name)) ? `${Math.round(of(rows, name))}\u202fMHz` : "");
  const made = facts([
    ["energy of a call", joules(of(rows, "backend_joules")), beside(joules(of(rows, "eager_joules")))],
    ["power", watts(of(rows, "backend_watts") ?? of(rows, "power_watts")), beside(watts(of(rows, "eager_watts")))],
    ["processor", mhz("cpu_mhz")],
    ["GPU's clock", mhz("sm_clock_mhz"), mhz("memory_clock_mhz") ? `memory ${mhz("memory_clock_mhz")}` : ""],
    ["temperature", known(of(rows, "temperature_celsius")) ? `${Math.round(of(rows, "temperature_celsius"))}\u202f°C` : ""],
    ["held back by", texts(rows, "throttle_reasons").join(", ")],
    ["its threads waited", share(of(rows, "cpu_waiting")), "", "Share of the time in which a thread of this cell was ready and had no processor"],
    ["something waited", share(of(rows, "cpu_pressure")), "", "Share of the time in which anything on this machine was ready and had no processor: the kernel's pressure"],
    ["taken by other machines", share(of(rows, "cpu_steal")), "", "Share of the processors that the hypervisor gave to other virtual machines: steal"],
    ["held back by a quota", share(of(rows, "cpu_throttled")), "", "Share of the time in which the container was over its limit of processor time"],
    ["used by other processes", share(of(rows, "cpu_others")), "", "Share of the processors that other processes of this machine used"],
    ["load of the machine", known(of(rows, "load")) ? of(rows, "load").toFixed(2) : ""],
    ["threads", count(of(rows, "threads"))],
  ]);
  return made && panel("Energy and machine", "While its samples were taken.", made);
}

export function problems(rows, warnings) {
  const failed = rows.filter((row) => row.status !== "pass");
  const content = [];
  for (const [first, ...others] of alike(failed)) content.push(element("p", { class: "reason" }, element("span", { class: "mark failed" }, first.status), ` ${count(others.length + 1)} of ${counted(rows.length, "launch", "launches")}${first.reason ? `: ${first.reason}` : ""}`));
  for (const reason of texts(rows, "void")) content.push(element("p", { class: "reason" }, element("span", { class: "mark void" }, "void"), ` The gate set ${counted(rows.filter((row) => row.void === reason).length, "launch", "launches")} aside: ${reason}`));
  for (const reason of texts(rows, "export_error")) content.push(element("p", { class: "reason" }, element("span", { class: "mark failed" }, "export"), " ", reason));
  for (const compared of texts(rows, "outputs_compared").filter((text) => text !== "same")) content.push(element("p", { class: "reason" }, element("span", { class: "mark warned" }, "outputs"), " ", compared));
  for (const kept of texts(rows, "debug")) content.push(element("p", { class: "reason soft" }, kept));
  if (warnings.length)
    content.push(element("ul", { class: "warning-list" }, warnings.map((name) => element("li", {}, element("span", { class: "mark warned" }, name), element("p", {}, WARNINGS[name] ?? "")))));
  for (const reason of texts(rows.filter((row) => row.status === "pass"), "reason")) content.push(element("p", { class: "reason soft" }, reason));
  for (const tail of texts(failed, "log_tail").slice(0, 3)) content.push(element("h3", {}, "End of the log"), element("pre", { class: "log", tabindex: "0" }, tail));
  return content.length ? panel(failed.length ? "What went wrong" : "Warnings", "", content) : null;
}

/** Rows by what became of them and why: two statuses may have one reason, and a status may have none. */
function alike(rows) {
  const found = new Map();
  for (const row of rows) {
    const key = JSON.stringify([row.status, row.reason ?? ""]);
    found.set(key, [...(found.get(key) ?? []), row]);
  }
  return [...found.values()];
}

export function judged(compared, comparisons) {
  if (!compared.length) return null;
  return panel(
    "Compared",
    "",
    compared.flatMap(({ comparison, report }) => {
      const pair = comparisons[comparison];
      return [
        element("h3", {}, `${pair.baseline} → ${pair.candidate}`),
        element(
          "ul",
          { class: "warning-list" },
          report.findings.map((finding) =>
            element("li", {}, element("span", { class: `mark ${pair.by_gate ? finding.verdict : "unclear"}` }, pair.by_gate ? finding.verdict : "not judged"), element("p", {}, `${finding.metric.replaceAll("_", " ")}${known(finding.ratio) ? ` ${change(finding.ratio)}` : ""}. ${finding.reason}`)),
          ),
        ),
        report.replay ? command(report.replay) : "",
      ];
    }),
  );
}

export function evidence(rows) {
  const [first, ...others] = texts(rows, "evidence").map((text) => element("pre", { class: "log", tabindex: "0" }, pretty(text)));
  const content = first ? [first] : [];
  if (others.length) content.push(element("details", {}, element("summary", {}, `${others.length === 1 ? "another launch says" : `${others.length} other launches say`} otherwise`), element("div", { class: "stack" }, others)));
  const counts = facts([
    ["floating-point operations", count(of(rows, "flops"))],
    ["bytes moved", size(of(rows, "bytes_moved"))],
    ["batch size", count(of(rows, "batch_size"))],
    ["cache before a call", texts(rows, "cache").join(", ")],
  ]);
  return content.length || counts ? panel("Evidence", "Proof that the backend ran.", counts, content) : null;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const COLUMNS = [
  ["launch", (row) => count(row.launch + 1)],
  ["status", (row) => element("span", { class: `mark ${row.void ? "void" : row.status === "pass" ? "pass" : "failed"}` }, row.void ? "void" : row.status)],
  ["device time", (row) => duration(row.backend_device_seconds)],
  ["host time", (row) => duration(row.backend_latency_seconds)],
  ["eager", (row) => duration(row.eager_device_seconds ?? row.eager_latency_seconds)],
  ["speedup", (row) => ratio(row.device_speedup ?? row.speedup, 3)],
  ["rounds that count", (row, taken) => roundsSaid(rounds(row, taken, page.samples_one_in))],
  ["warnings", (row) => (row.warnings ?? "").replaceAll(";", ", ")],
  ["started", (row) => (row.started_at ?? "").slice(0, 19).replace("T", " ")],
  ["log", (row) => row.log ?? ""],
  ["artefacts", (row) => row.artifacts ?? ""],
];

/** As "6 of 26, 20 marked": whatever became of those that are marked. */
function roundsSaid(found) {
  if (!found) return "";
  const marked = found.marked ? `, ${count(found.marked)} marked` : "";
  return found.all === null ? `${count(found.counting)}${marked}` : `${count(found.counting)} of ${count(found.all)}${marked}`;
}

/** series: of the rows' samples. */
export function table(rows, series) {
  const taken = new Map(rows.map((row) => [row, Math.max(0, ...series.filter((one) => one.row === row).map((one) => one.seconds.length))]));
  const shown = COLUMNS.filter(([, show]) => rows.some((row) => show(row, taken.get(row))));
  const body = rows.map((row) => element("tr", {}, shown.map(([name, show]) => element("td", { class: name === "log" || name === "artefacts" ? "code wrap" : "" }, show(row, taken.get(row))))));
  return panel("Launches", "", wide("Launches", element("table", { class: "table" }, element("thead", {}, element("tr", {}, shown.map(([name]) => element("th", { scope: "col" }, name)))), element("tbody", {}, body))));
}

export function again(replay) {
  return replay ? panel("Measure it again", "", command(replay)) : null;
}
