// What a cell of the matrix shows: a number, what it is beside, a colour for how much better or worse, a sign for its status.
import { VOID, brief, columns, detail, entries, entryAt, heads, images, lineCount, named, neverPays, number, page, passed, status, warnings, workload } from "./data.js";
import { element } from "./dom.js";
import { cut } from "./names.js";
import { byUnit, known, ratio } from "./numbers.js";
import { address } from "./state.js";

/** Each cell's own eager, measured in the same launches. */
export const EAGER = "";

// Tokens are counted by the host's clock: one time has one speedup.
const OVER_EAGER = { host_seconds: "speedup", tokens_per_second: "speedup", first_token_seconds: "speedup", device_seconds: "device_speedup", peak_bytes: "memory_ratio" };
const EAGERS = { joules: "eager_joules", limit_share: "eager_limit_share", error: "eager_error" };
const NAMES = { host_seconds: "Host time", device_seconds: "Device time", compile_seconds: "Compile time", warm_compile_seconds: "Compile time, warm", tokens_per_second: "Tokens a second", first_token_seconds: "Time to first token", joules: "Energy", limit_share: "Roofline", error: "Error", peak_bytes: "Memory" };
const PAYBACK = "break_even_calls";
const LEFT_OUT = new Set([...Object.values(OVER_EAGER), "eager_host_seconds", "eager_device_seconds"]);

/** Those in which anything was measured. */
export const metrics = page.metrics
  .filter((metric) => !LEFT_OUT.has(metric.name) && (entries.numbers[metric.name] || (metric.name === PAYBACK && entries.never_pays.length)))
  .map((metric) => ({ ...metric, label: NAMES[metric.name] ?? metric.label[0].toUpperCase() + metric.label.slice(1) }));

/** How many times as good as what it is beside; null where either is not known. */
export function better(metric, entry, line, over) {
  if (over === EAGER) {
    if (OVER_EAGER[metric.name]) return number(OVER_EAGER[metric.name], entry);
    return quotient(metric, number(EAGERS[metric.name], entry), number(metric.name, entry));
  }
  const reference = entryAt(line, over);
  if (reference < 0 || !passed(reference) || !passed(entry)) return null;
  return quotient(metric, number(metric.name, reference), number(metric.name, entry));
}

/** Whether anything can be said of how good a metric is beside that. */
export function coloured(metric, over) {
  return over === EAGER ? Boolean(entries.numbers[OVER_EAGER[metric.name] ?? EAGERS[metric.name]]) : Boolean(metric.better);
}

/** Infinity and 0 beside nothing at all: no graph break is better than some, however many. */
function quotient(metric, reference, value) {
  if (!known(reference) || !known(value) || !metric.better) return null;
  if (reference === value) return 1;
  return metric.better === "lower" ? reference / value : value / reference;
}

// Calls until compiling pays may be a million times as many: a cell has room for a number and its unit, and no room for that.
const MOST = 999;
const STEPS = [1.02, 1.1, 1.25, 1.5, 2];

/** The class of a colour: up1 to up5, down1 to down5, or none within 2 %. */
export function tint(value) {
  if (value === null || Number.isNaN(value)) return "";
  const steps = STEPS.filter((step) => (value >= 1 ? value : 1 / value) >= step).length;
  return steps ? `${value >= 1 ? "up" : "down"}${steps}` : "";
}

const SIGNS = [
  [/^pass$/, "✓", ""],
  [/^void$/, "∅", "mild"],
  [/^fail_accuracy$/, "≠", "wrong"],
  [/^(unsupported|pass_due_to_skip)$/, "–", "mild"],
  [/^fallback$/, "↩", "wrong"],
  [/^timeout$/, "◷", "wrong"],
  [/^OOM$/, "▮", "wrong"],
  [/./, "×", "wrong"],
];

const VOID_SAID = "the gate set all its launches aside, as disturbed";

/** [sign, class] of a status. */
export function sign(text) {
  return SIGNS.find(([pattern]) => pattern.test(text))?.slice(1) ?? ["·", "mild"];
}

/** What is sorted by: how much better, else the number itself; null where it has neither. */
export function sortKey(metric, line, column, over) {
  const entry = entryAt(line, column);
  if (entry < 0 || !passed(entry)) return null;
  return better(metric, entry, line, over) ?? number(metric.name, entry);
}

export function shown(metric, line, column, over) {
  const entry = entryAt(line, column);
  if (entry < 0) return element("span", { class: "entry none", title: "not planned" }, element("i", { "aria-hidden": true }, "·"), element("span", { class: "unseen" }, "not planned"));
  const state = status(entry);
  const marks = warnings(entry);
  const [mark, look] = state === "pass" && marks.length ? ["!", "warned"] : sign(state);
  const times = state === "pass" ? better(metric, entry, line, over) : null;
  const value = metric.name === PAYBACK && neverPays(entry) ? "never" : byUnit[metric.unit](number(metric.name, entry));
  const [first, second] = state !== "pass" ? [state, ""] : known(times) && times > 0 ? [times > MOST ? `>${ratio(MOST)}` : ratio(times), value] : [value || "pass", ""];
  const said = [`${workload(line)}, ${columns[column].label}: ${first}`, second, state === "pass" ? "pass" : "", ...marks].filter(Boolean).join(", ");
  return element(
    "a",
    { class: `entry ${look} ${tint(times)}`, href: address("cell", named(line, column)), "aria-label": said, title: [...new Set([first, second, state === VOID ? VOID_SAID : state, ...marks])].filter(Boolean).join(", ") },
    element("i", { "aria-hidden": true }, mark),
    element("b", {}, first),
    state === "pass" ? element("small", {}, second) : "",
  );
}

function sorter(full, ...shown) {
  return () => element("button", { class: "sorter", type: "button", tabindex: "0", title: full, "aria-label": full }, element("span", {}, shown));
}

export function isNarrow() {
  return innerWidth < 700;
}

// Characters of two lines.
const MOST_OF_A_NAME = 42;

/** A head that is no other's: groups of images go out of sight when a wide table is scrolled. */
function head(column) {
  const { label, image } = columns[column];
  return sorter(label, element("b", {}, heads.columns[column]), images.length > 1 ? element("small", {}, heads.images[image]) : "");
}

/** Columns of the table: the line, then image by image its backends. */
export function definitions(metric, over, chosen) {
  const narrow = isNarrow();
  const compare = (column) => {
    // Asked for many times a line: after every filter the library sorts again.
    let keys = null;
    return (a, b, first, second, _column, direction) => {
      keys ??= Array.from({ length: lineCount }, (_, line) => sortKey(metric, line, column, over));
      const [one, other] = [keys[first.getData().line], keys[second.getData().line]];
      // What has no number comes last, whichever way it is sorted.
      if (one === null || other === null) return one === other ? 0 : (one === null) === (direction === "asc") ? 1 : -1;
      return one - other;
    };
  };
  const leaf = (column) => ({
    title: columns[column].label,
    titleFormatter: head(column),
    field: `c${column}`,
    minWidth: narrow ? 112 : 174,
    headerSortStartingDir: "desc",
    sorter: compare(column),
    formatter: (cell) => shown(metric, cell.getRow().getData().line, column, over),
  });
  const groups = images
    .map((image, index) => ({ image, head: heads.images[index], leaves: chosen.filter((column) => columns[column].image === index).map(leaf) }))
    .filter((group) => group.leaves.length)
    .map((group) => ({ title: group.image.name, titleFormatter: () => element("span", { class: "group-name", title: group.image.name }, group.head), columns: group.leaves }));
  return [
    {
      title: "workload",
      titleFormatter: sorter("workload", "workload"),
      field: "name",
      frozen: !narrow,
      width: narrow ? 190 : 330,
      sorter: (a, b, first, second) => first.getData().line - second.getData().line || 0,
      formatter: (cell) => {
        const { line } = cell.getRow().getData();
        return element("span", { class: "line-name", title: `${workload(line)} ${detail(line)}` }, element("b", {}, narrow && workload(line).length > MOST_OF_A_NAME ? cut(workload(line), MOST_OF_A_NAME) : workload(line)), " ", element("span", {}, brief(line)));
      },
    },
    ...groups,
  ];
}
