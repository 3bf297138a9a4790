// The matrix: a big table, and filters that are in the address.
import { axis, choices, columnBackend, columns, common, detail, entries, entryAt, findColumn, findLine, heads, images, lineCount, page, status, warnings, workload } from "./data.js";
import { byId, element } from "./dom.js";
import { EAGER, better, definitions, isNarrow, metrics } from "./matrix_columns.js";
import { explain } from "./matrix_legend.js";
import { start as startPrinting } from "./matrix_print.js";
import { count, counted, known } from "./numbers.js";
import { replace, strange } from "./state.js";

const LINE_FILTERS = ["suite", "mode", "precision", "shapes", "device"];
const COLUMN_FILTERS = ["backend", "image"];
const ENTRY_FILTERS = ["status", "warning"];
const ANY_FAILURE = "not pass";
const WORKLOAD = "workload";
/** On a narrow screen a line's name takes two lines of text. */
const ROW_HEIGHT = isNarrow() ? 47 : 33;

let started = false;
let table = null;
let options = {};
let headings = "";
let sorted;
let left = null;
let searched = null;
let shown = Promise.resolve();
let refocus = () => {};

/** Show it as an address says; resolves when it is shown. */
export function show(wanted) {
  options = { ...wanted };
  if (!started) start();
  for (const field of byId("filters").elements) {
    if (!field.name && field.id !== "filter-q") continue;
    const value = options[field.name || "q"] ?? field.dataset.first ?? "";
    if (field.value !== value) field.value = value;
    if (field.tagName === "SELECT") field.classList.toggle("chosen", field.value !== (field.dataset.first ?? ""));
  }
  strange(unknown());
  // One after the other: the library builds its table in a later turn, and may be asked for nothing and not be destroyed before.
  shown = shown.then(update, update);
  return shown;
}

/** What the address says and this page does not have. */
function unknown() {
  const selects = [...byId("filters").elements].filter((field) => field.tagName === "SELECT");
  const found = Object.entries(wantedOf(options)).filter(([name, value]) => ![...(selects.find((field) => field.name === name)?.options ?? [])].some((one) => one.value === value));
  return options.sort && !sorters([...columns.keys()]).length ? [...found, ["sort", options.sort]] : found;
}

/** Without search and order, which may be anything. */
function wantedOf({ q: _q, sort: _sort, ...others }) {
  return others;
}

/** Lines in the order of the table, those that are left; all, in the page's order, where it was not shown yet. */
export function order() {
  return table && started ? table.getData("active").map((row) => row.line) : Array.from({ length: lineCount }, (_, line) => line);
}

/** Move the keyboard to a cell, by its address; whether it is there. */
export async function focus({ w, d, c }) {
  const [line, column] = [findLine(w, d), findColumn(c)];
  await shown;
  const row = line === undefined ? null : table.getRows("active").find((one) => one.getData().line === line);
  if (!row) return false;
  await table.scrollToRow(row, "nearest", false);
  const find = () => row.getElement().querySelector(`[tabulator-field="c${column}"] a.entry`);
  const link = find();
  link?.focus();
  // The library draws its rows anew when it sees that it is shown again, and whoever was in them is nowhere.
  refocus = () => document.activeElement === document.body && find()?.focus();
  for (const event of ["keydown", "pointerdown", "hashchange"]) addEventListener(event, () => (refocus = () => {}), { once: true, capture: true });
  return Boolean(link);
}

function metric() {
  return metrics.find((one) => one.name === byId("filter-metric").value) ?? metrics[0];
}

function over() {
  const value = byId("filter-over").value;
  return value === EAGER ? EAGER : columns.findIndex((column) => column.label === value);
}

function start() {
  started = true;
  prepare("metric", metrics.map((one) => [one.name, one.label]), metrics.find((one) => one.name === "device_seconds")?.name ?? metrics[0]?.name);
  prepare("over", [[EAGER, "its own eager"], ...columns.map((column) => [column.label, column.label])], page.reference === null ? EAGER : columns[page.reference].label);
  for (const name of [...LINE_FILTERS, ...COLUMN_FILTERS, ...ENTRY_FILTERS]) {
    const values = choices(name);
    if (values.length < 2 && !(name === "warning" && values.length)) continue;
    const extra = name === "status" && values.some((value) => value !== "pass") ? [[ANY_FAILURE, "what is not pass"]] : [];
    prepare(name, [["", "all"], ...extra, ...values.map((value) => [value, value])], "");
  }
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("input", changed);
  byId("filters").addEventListener("reset", (event) => {
    event.preventDefault();
    replace("matrix", {});
    show({});
  });
  byId("matrix-save").addEventListener("click", () => shown.then(save));
  byId("table").addEventListener("keydown", walk);
  startPrinting(() => table && metric() && { metric: metric(), over: over(), columns: chosenColumns(), lines: table.getData("active").map((row) => row.line) });
}

function prepare(name, values, first) {
  const select = byId(`filter-${name}`);
  select.replaceChildren(...values.map(([value, label]) => element("option", { value }, label)));
  select.dataset.first = first;
  select.value = first;
  select.parentElement.hidden = false;
}

function changed() {
  const found = {};
  for (const field of byId("filters").elements) {
    if (field.tagName === "SELECT" && field.value !== (field.dataset.first ?? "")) found[field.name] = field.value;
    if (field.id === "filter-q" && field.value) found.q = field.value;
  }
  if (options.sort) found.sort = options.sort;
  replace("matrix", found);
  show(found);
}

/** Columns that the filters leave. */
function chosenColumns() {
  return columns.flatMap((column, index) =>
    (options.backend && columnBackend(column) !== options.backend) || (options.image && images[column.image].name !== options.image) ? [] : [index],
  );
}

/** Resolves when the table is there. */
function build() {
  const chosen = chosenColumns();
  byId("table").classList.toggle("long-names", heads.images.some((text) => text.length > 18));
  headings = heading();
  left = null;
  sorted = undefined;
  explain(metric(), over());
  const height = Math.max(320, Math.min(innerHeight - byId("table").getBoundingClientRect().top - 90, ROW_HEIGHT * lineCount + 90));
  table = new Tabulator(byId("table"), {
    data: Array.from({ length: lineCount }, (_, line) => ({ id: line, line })),
    columns: definitions(metric(), over(), chosen),
    height: lineCount > 12 ? `${height}px` : undefined,
    rowHeight: ROW_HEIGHT,
    layout: "fitColumns",
    renderVerticalBuffer: 120,
    columnHeaderSortMulti: false,
    placeholder: lineCount ? "No line is left by these filters." : "There are no rows.",
    initialSort: sorters(chosen),
    keybindings: false,
    // The library asks each row that it adds how high it is, and the browser lays all out anew to answer; all are as high.
    rowFormatter: (row) => Object.defineProperty(row.getElement(), "offsetHeight", { value: ROW_HEIGHT, configurable: true }),
    columnDefaults: { resizable: false },
  });
  return new Promise((resolve) =>
    table.on("tableBuilt", () => {
      sorted = sortOf(table.getSorters());
      table.on("dataSorted", follow);
      table.on("renderComplete", repairEmpty);
      table.on("renderComplete", () => refocus());
      repair();
      resolve();
    }),
  );
}

/** A reader has sorted it: into the address. */
function follow(sorters) {
  const sort = sortOf(sorters);
  if (sort === sorted) return;
  sorted = sort;
  if (sort === options.sort) return;
  options.sort = sort;
  replace("matrix", options);
}

function sortOf(sorters) {
  if (!sorters.length) return undefined;
  const [{ field, dir }] = sorters;
  return `${field === "name" ? WORKLOAD : columns[Number(field.slice(1))].label} ${dir}`;
}

/** What an address says of the order, where it is an order of what is shown. */
function sorters(chosen) {
  const [, label, dir] = /^(.*) (asc|desc)$/s.exec(options.sort ?? "") ?? [];
  if (label === WORKLOAD) return [{ column: "name", dir }];
  const column = chosen.find((one) => columns[one].label === label);
  return column === undefined ? [] : [{ column: `c${column}`, dir }];
}

/** The library's roles where they are none, or not allowed there. */
function repair() {
  for (const group of document.querySelectorAll(".tabulator-col-group")) {
    group.setAttribute("role", "presentation");
    for (const name of ["aria-sort", "aria-title"]) group.removeAttribute(name);
  }
  const grid = byId("table");
  grid.removeAttribute("aria-owns");
  grid.setAttribute("aria-labelledby", "matrix-title");
  grid.querySelector(".tabulator-tableholder").setAttribute("role", "rowgroup");
  grid.querySelector(".tabulator-table").setAttribute("role", "presentation");
  repairEmpty();
}

/** What is said where no line is left is the one row that there is. */
function repairEmpty() {
  const said = byId("table").querySelector(".tabulator-placeholder");
  said?.setAttribute("role", "row");
  said?.querySelector(".tabulator-placeholder-contents").setAttribute("role", "gridcell");
}

function heading() {
  return JSON.stringify([metric()?.name, over(), options.backend, options.image]);
}

async function update() {
  if (headings !== heading()) {
    table?.destroy();
    await build();
  }
  if (sorted !== options.sort) sort();
  filter();
}

function sort() {
  const wanted = sorters(chosenColumns());
  if (wanted.length) table.setSort(wanted);
  else if (sorted) table.clearSort();
}

function filter() {
  const query = (options.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  searched ??= Array.from({ length: lineCount }, (_, line) => `${workload(line)} ${detail(line)}`.toLowerCase());
  const chosen = chosenColumns();
  const wanted = LINE_FILTERS.filter((name) => options[name]);
  const byEntry = options.status || options.warning;
  const kept = new Set();
  for (let line = 0; line < lineCount; line++) {
    const fitting =
      query.every((text) => searched[line].includes(text)) &&
      wanted.every((name) => axis(name, line) === options[name]) &&
      (!byEntry || chosen.some((column) => fits(entryAt(line, column))));
    if (fitting) kept.add(line);
  }
  leave(kept);
  byId("matrix-count").textContent = `${kept.size === lineCount ? count(lineCount) : `${count(kept.size)} of ${count(lineCount)}`} ${lineCount === 1 ? "line" : "lines"}, ${counted(chosen.length, "column")}${common() ? `, all ${common()}` : ""}`;
}

/** The lines that are left. The library draws all anew for each filter that it is given, so that it is given none that changes nothing. */
function leave(kept) {
  const now = kept.size === lineCount ? null : kept;
  const same = now === left || (now && left && now.size === left.size && now.isSubsetOf(left));
  // A table that was built while another view was shown has no rows yet.
  if (same && (!kept.size || byId("table").querySelector(".tabulator-row"))) return;
  left = now;
  if (now) table.setFilter((row) => now.has(row.line));
  else table.clearFilter();
}

function fits(entry) {
  if (entry < 0) return false;
  const state = status(entry);
  if (options.status && !(options.status === ANY_FAILURE ? state !== "pass" : state === options.status)) return false;
  return !options.warning || warnings(entry).includes(options.warning);
}

const STEPS = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowRight: [1, 0], ArrowLeft: [-1, 0] };

/** From cell to cell with the arrows. */
function walk(event) {
  const step = STEPS[event.key];
  const link = event.target.closest?.(".entry");
  if (!step || !link) return;
  event.preventDefault();
  const cell = link.closest(".tabulator-cell");
  if (step[0]) {
    let next = cell;
    do next = step[0] > 0 ? next.nextElementSibling : next.previousElementSibling;
    while (next && !next.querySelector("a.entry"));
    next?.querySelector("a.entry").focus();
    return;
  }
  const row = table.getRows("active").find((one) => one.getElement().contains(cell));
  const next = step[1] > 0 ? row?.getNextRow() : row?.getPrevRow();
  if (!next) return;
  const place = [...cell.parentElement.children].indexOf(cell);
  const focus = () => next.getElement().children[place]?.querySelector("a.entry")?.focus();
  if (next.getElement().isConnected) focus();
  else table.scrollToRow(next, "nearest", false).then(focus);
}

/** What is shown, as a file. */
function save() {
  const chosen = chosenColumns();
  const [by, beside] = [metric(), over()];
  const lines = [["workload", "detail", ...chosen.flatMap((column) => [`${columns[column].label}: ${by.name}`, `${columns[column].label}: times as good`, `${columns[column].label}: status`])]];
  for (const row of table.getData("active")) {
    const cells = chosen.flatMap((column) => {
      const entry = entryAt(row.line, column);
      if (entry < 0) return ["", "", ""];
      const times = better(by, entry, row.line, beside);
      return [entries.numbers[by.name]?.[entry] ?? "", known(times) ? times : "", status(entry)];
    });
    lines.push([workload(row.line), detail(row.line), ...cells]);
  }
  const text = lines.map((line) => line.map(quoted).join(",")).join("\r\n");
  const link = element("a", { href: `data:text/csv;charset=utf-8,${encodeURIComponent(text)}`, download: "matrix.csv" });
  document.body.append(link);
  link.click();
  link.remove();
}

function quoted(value) {
  const text = String(value);
  // A spreadsheet must not take a name for a formula.
  const safe = /^[=+@\t\r-]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
