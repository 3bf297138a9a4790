// One cell: what is known of it at once, and its rows and samples when it is opened.
import { again, compile, drawn, evidence, judged, machine, memory, panel, problems, results, table } from "./cell_parts.js";
import { VARIANTS, ecdf, key, launches, offAxis, strip } from "./charts.js";
import { columns, detail, entryAt, findColumn, findLine, lineCount, named, number, page, passed, status, unpack, warnings, workload } from "./data.js";
import { byId, element } from "./dom.js";
import { experiment } from "./experiments.js";
import { sign, tint } from "./matrix_columns.js";
import { counted, duration, known, ratio } from "./numbers.js";
import { median, open } from "./samples.js";
import { address } from "./state.js";

let latest = 0;

/** Show the cell of an address. */
export async function show(options) {
  const turn = ++latest;
  const [line, column] = [findLine(options.w, options.d), findColumn(options.c)];
  const entry = line === undefined || column < 0 ? -1 : entryAt(line, column);
  byId("cell-title").textContent = options.w ?? "Cell";
  byId("cell-detail").textContent = [options.d, options.c].filter(Boolean).join(" · ");
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
  return element("div", { class: "panel" }, element("p", { class: "empty" }, text, " ", element("a", { href: "#matrix" }, "Back to the matrix.")));
}

/** The same line in all columns, and the lines beside it. */
function siblings(line, chosen) {
  const links = columns.flatMap((column, index) => {
    const entry = entryAt(line, index);
    if (entry < 0) return [];
    const ok = passed(entry);
    const times = number("device_speedup", entry) ?? number("speedup", entry);
    const seconds = number("device_seconds", entry) ?? number("host_seconds", entry);
    const [mark] = sign(status(entry));
    return [
      element(
        "a",
        { href: address("cell", named(line, index)), "aria-current": index === chosen ? "true" : null },
        element("span", {}, column.label),
        element("b", {}, ok && known(times) ? ratio(times) : `${mark} ${status(entry)}`),
        ok && known(seconds) ? element("span", {}, duration(seconds)) : "",
        element("div", { class: `tint ${ok ? tint(times) : ""}` }),
      ),
    ];
  });
  const step = (to, text) => (to < 0 || to >= lineCount ? "" : element("a", { class: "button", href: address("cell", named(to, Math.max(0, columns.findIndex((_, index) => (index === chosen || chosen < 0) && entryAt(to, index) >= 0) === -1 ? columns.findIndex((_, index) => entryAt(to, index) >= 0) : chosen))), "aria-label": `${text} line: ${workload(to)} ${detail(to)}` }, text));
  return element("nav", { class: "siblings", "aria-label": "The same workload elsewhere" }, links, element("div", { class: "beside" }, step(line - 1, "Previous"), step(line + 1, "Next")));
}

function panels(entry, { rows, series, replay, compared }, cells) {
  // What a gate has set aside counts nowhere.
  const good = rows.filter((row) => row.status === "pass" && !row.void);
  const here = compared.filter(({ comparison, place }) => cells[comparison].baseline_entry[place] === entry || cells[comparison].candidate_entry[place] === entry);
  return [
    problems(rows, warnings(entry)),
    results(good),
    experiment(good),
    series.length ? samplePanels(series) : null,
    element("div", { class: "columns" }, [between(good), compile(good), memory(good), machine(good), evidence(rows)].filter(Boolean)),
    judged(here, page.comparisons),
    table(rows),
    again(replay),
  ];
}

const CLOCKS = ["device", "host", "graph"];

function samplePanels(series) {
  const clocks = CLOCKS.filter((clock) => series.some((one) => one.clock === clock));
  const holder = element("div", { class: "stack" });
  const buttons = clocks.map((clock) => element("button", { type: "button", onclick: () => draw(clock) }, `${clock} time`));
  const draw = (clock) => {
    const of = series.filter((one) => one.clock === clock && VARIANTS.includes(one.variant));
    const marked = of.some((one) => one.marks.some(Boolean));
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(clocks[index] === clock)));
    const total = of.reduce((sum, one) => sum + one.seconds.length, 0);
    const variants = VARIANTS.filter((variant) => of.some((one) => one.variant === variant));
    holder.replaceChildren(
      element("div", { class: "columns" }, [
        panel("Samples by launch", `${counted(total, "sample")}, in the order in which they were taken${offAxis(of) ? `; ${offAxis(of)} ${offAxis(of) === 1 ? "is" : "are"} off the axis, at its end` : ""}${page.samples_one_in > 1 ? `; one of ${page.samples_one_in} was kept` : ""}.`, drawn(`samples-${clock}`, strip(of)), key(...variants, ...(marked ? ["marked"] : []))),
        panel("Distribution", variants.map((variant) => `${variant}: median ${duration(median(of.flatMap((one) => (one.variant === variant ? one.seconds : []))))}`).join("; "), drawn(`distribution-${clock}`, ecdf(of)), key(...variants)),
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
