// One cell: what is known of it at once, and its rows and samples when it is opened.
import { again, compile, drawn, evidence, judged, machine, memory, of, panel, problems, results, table } from "./cell_parts.js";
import { VARIANTS, ecdf, key, launches, offAxis, strip } from "./charts.js";
import { columns, detail, entryAt, findColumn, findLine, named, number, page, passed, status, unpack, warnings, workload } from "./data.js";
import { byId, element } from "./dom.js";
import { experiment } from "./experiments.js";
import { sign, tint } from "./matrix_columns.js";
import { counted, duration, known, ratio } from "./numbers.js";
import { counting, median, open } from "./samples.js";
import { order } from "./matrix.js";
import { address, leftAt, strange } from "./state.js";

let latest = 0;

/** Show the cell of an address. */
export async function show(options) {
  const turn = ++latest;
  const [line, column] = [findLine(options.w, options.d), findColumn(options.c)];
  const entry = line === undefined || column < 0 ? -1 : entryAt(line, column);
  byId("cell-title").textContent = options.w ?? "Cell";
  byId("cell-detail").textContent = [options.d, options.c].filter(Boolean).join(" · ");
  strange([...(options.w !== undefined && line === undefined ? [["cell", [options.w, options.d].filter(Boolean).join(" ")]] : []), ...(options.c !== undefined && column < 0 ? [["column", options.c]] : [])]);
  if (line === undefined) return place(nothing("This page has no such cell."));
  const about = siblings(line, column);
  if (entry < 0) return place(about, nothing("It was not planned in this image and backend."));
  place(about, element("p", { class: "empty", role: "status" }, "Opening its samples"));
  try {
    const found = await open(line, entry);
    const compared = (await unpack("bm-compare")).about;
    if (turn === latest) place(about, ...panels(entry, found, compared));
  } catch (error) {
    if (turn === latest) place(about, nothing(`Its samples do not open: ${error.message}. A browser of 2023 or newer reads them.`));
  }
}

function place(...content) {
  byId("cell-body").replaceChildren(...content.flat().filter(Boolean));
}

function nothing(text) {
  return element("div", { class: "panel" }, element("p", { class: "empty" }, text, " ", element("a", { href: leftAt("matrix") }, "Back to the matrix.")));
}

/** The same line in all columns, and the lines beside it. */
function siblings(line, chosen) {
  const links = columns.flatMap((column, index) => {
    const entry = entryAt(line, index);
    if (entry < 0) return [];
    const ok = passed(entry);
    const clock = known(number("device_speedup", entry)) ? "device" : "host";
    const times = number("device_speedup", entry) ?? number("speedup", entry);
    const seconds = number("device_seconds", entry) ?? number("host_seconds", entry);
    const [mark] = sign(status(entry));
    return [
      element(
        "a",
        { href: address("cell", named(line, index)), "aria-current": index === chosen ? "true" : null },
        element("span", {}, column.label),
        element("b", {}, ok && known(times) ? ratio(times) : `${mark} ${status(entry)}`),
        ok && known(times) ? element("span", {}, `over eager, ${clock} time`) : "",
        ok && known(seconds) ? element("span", {}, duration(seconds)) : "",
        element("div", { class: `tint ${ok ? tint(times) : ""}` }),
      ),
    ];
  });
  // As the matrix has them: sorted and filtered, where it was looked at.
  const lines = order();
  const here = lines.indexOf(line);
  const step = (by, text) => {
    const to = here < 0 ? undefined : lines[here + by];
    if (to === undefined) return "";
    const other = chosen >= 0 && entryAt(to, chosen) >= 0 ? chosen : columns.findIndex((_, index) => entryAt(to, index) >= 0);
    return element("a", { class: "button", href: address("cell", named(to, Math.max(0, other))), "aria-label": `${text} line: ${workload(to)} ${detail(to)}` }, text);
  };
  return element("nav", { class: "siblings", "aria-label": "The same workload elsewhere" }, links, element("div", { class: "beside" }, step(-1, "Previous"), step(1, "Next")));
}

function panels(entry, { rows, series, replay, compared }, cells) {
  // What a gate has set aside counts nowhere.
  const good = rows.filter((row) => row.status === "pass" && !row.void);
  const here = compared.filter(({ comparison, place }) => cells[comparison].baseline_entry[place] === entry || cells[comparison].candidate_entry[place] === entry);
  return [
    problems(rows, warnings(entry)),
    results(good),
    experiment(good),
    series.length ? samplePanels(series, good) : null,
    element("div", { class: "columns" }, [between(good), compile(good), memory(good), machine(good), evidence(rows)].filter(Boolean)),
    judged(here, page.comparisons),
    table(rows, series),
    again(replay),
  ];
}

const CLOCKS = ["device", "host", "graph"];

/** The row's column of a variant's time, by clock. */
const TIMES = {
  device: { eager: "eager_device_seconds", backend: "backend_device_seconds" },
  host: { eager: "eager_latency_seconds", backend: "backend_latency_seconds" },
  graph: { eager: "eager_graph_seconds", backend: "backend_graph_seconds" },
};

/** Of each variant the number that the result shows, of the launches' own medians. */
function medians(variants, clock, rows) {
  const known = variants.map((variant) => [variant, duration(of(rows, TIMES[clock]?.[variant]))]).filter(([, text]) => text);
  return known.map(([variant, text]) => `${variant} ${text}`).join(", ");
}

function samplePanels(series, good) {
  const clocks = CLOCKS.filter((clock) => series.some((one) => one.clock === clock));
  const holder = element("div", { class: "stack" });
  const buttons = clocks.map((clock) => element("button", { type: "button", onclick: () => draw(clock) }, `${clock} time`));
  const draw = (clock) => {
    const here = series.filter((one) => one.clock === clock && VARIANTS.includes(one.variant));
    const marked = here.some((one) => one.marks.some(Boolean));
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(clocks[index] === clock)));
    const variants = VARIANTS.filter((variant) => here.some((one) => one.variant === variant));
    // What counts nowhere else is not in the distribution, unless there is nothing else.
    const looked = here.filter((one) => good.includes(one.row));
    const kept = (looked.length ? looked : here).map((one) => ({ ...one, seconds: counting(one, page.samples_one_in) }));
    const size = (all) => all.filter((one) => one.variant === variants[0]).reduce((sum, one) => sum + one.seconds.length, 0);
    const said = medians(variants, clock, good);
    holder.replaceChildren(
      element("div", { class: "columns" }, [
        panel("Samples by launch", `${counted(size(here), "round")}, each with a sample of ${variants.join(" and of ")}, in the order in which they were taken${offAxis(here) ? `; ${counted(offAxis(here), "sample")} ${offAxis(here) === 1 ? "is" : "are"} off the axis, at its end` : ""}${page.samples_one_in > 1 ? `; one of ${page.samples_one_in} was kept` : ""}.`, drawn(`samples-${clock}`, strip(here, page.samples_one_in)), key(...variants, ...(marked ? ["marked"] : []))),
        panel("Distribution", `Of the ${counted(size(kept), "round")} that count.${said ? ` Medians, as in the result: ${said}.` : ""}`, drawn(`distribution-${clock}`, ecdf(kept)), key(...variants)),
      ]),
    );
  };
  draw(clocks[0]);
  return clocks.length > 1 ? [element("div", { class: "switch", role: "group", "aria-label": "Clock" }, buttons), holder] : [holder];
}

/** Launches against each other. */
function between(rows) {
  const device = rows.some((row) => known(row.device_speedup));
  const name = device ? "device_speedup" : "speedup";
  const points = rows.map((row) => ({ launch: row.launch, status: row.status, value: row[name] ?? null, low: row[`${name}_low`], high: row[`${name}_high`] })).filter((point) => known(point.value));
  if (points.length < 2) return null;
  return panel("Launches against each other", `Speedup over eager, ${device ? "device" : "host"} time; lines are 95 % intervals within a launch, the upright is the median of all.`, drawn("launches", launches(points, median(points.map((point) => point.value)))));
}
