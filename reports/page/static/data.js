// What the page holds (docs: reports/page/payload.py), under names that read well here.
import { byId, embedded } from "./dom.js";

export const page = embedded("bm-page");
const unpacked = new Map();

/** A packed block: its JSON, and the numbers behind it. Decoded once. */
export function unpack(id) {
  if (!unpacked.has(id)) unpacked.set(id, whole(id).then(decode));
  return unpacked.get(id);
}

/** Its text. This script runs while the browser still reads the drawers, which come after it; of one that has a neighbour all is there. */
async function whole(id) {
  if (document.readyState === "loading" && !byId(id)?.nextElementSibling)
    await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
  return byId(id).textContent;
}

async function decode(text) {
  const binary = atob(text);
  const packed = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) packed[index] = binary.charCodeAt(index);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { about, deviations: new Int16Array(buffer, 4 + length + (length % 2)) };
}

const matrix = (await unpack("bm-matrix")).about;
export const columns = page.columns;
export const images = page.images;
export const heads = page.heads;
export const entries = matrix.entries;
export const lineCount = matrix.lines.workload.codes.length;

/** What is said of a cell whose launches a gate has set aside, all of them: it has no numbers. */
export const VOID = "void";
const voids = new Set(matrix.entries.void);
const never = new Set(matrix.entries.never_pays);

const AXES = ["suite", "device", "mode", "precision", "shapes"];

/** Text of a column of words. */
export function word(column, index) {
  return column.words[column.codes[index]];
}

export function workload(line) {
  return word(matrix.lines.workload, line);
}

export function axis(name, line) {
  return word(matrix.lines[name], line);
}

/** All but the workload, in one text: as `Line.detail` says it. */
export function detail(line) {
  const words = ["device", "mode", "precision", "shapes"].map((name) => axis(name, line)).filter(Boolean);
  const batch = matrix.lines.batch_size[line];
  if (batch !== null) words.push(`batch=${batch}`);
  const number = matrix.lines.number[line];
  if (number > 1) words.push(`(${number})`);
  return words.join(" ");
}

/** Of the detail, what is not the same in all lines. */
export function brief(line) {
  const words = ["device", "mode", "precision", "shapes"].filter((name) => matrix.lines[name].words.length > 1).map((name) => axis(name, line));
  const batch = matrix.lines.batch_size[line];
  if (batch !== null) words.push(`batch=${batch}`);
  if (matrix.lines.number[line] > 1) words.push(`(${matrix.lines.number[line]})`);
  return words.filter(Boolean).join(" ");
}

/** What is the same in all lines. */
export function common() {
  return ["device", "mode", "precision", "shapes"].flatMap((name) => (matrix.lines[name].words.length === 1 ? matrix.lines[name].words : [])).filter(Boolean).join(" ");
}

/** Texts of an axis that some line has, in their order. */
export function choices(name) {
  if (AXES.includes(name)) return matrix.lines[name].words.filter(Boolean);
  if (name === "backend") return [...new Set(columns.map(columnBackend))];
  if (name === "image") return images.map((image) => image.name);
  if (name === "status") return entries.void.length ? [...entries.status.words, VOID] : entries.status.words;
  return [...new Set(entries.warnings.words.flatMap((text) => text.split(";")))].filter(Boolean).sort();
}

export function columnBackend(column) {
  return column.options ? `${column.backend} ${column.options}` : column.backend;
}

// By column: the entry of each line, or -1.
const places = columns.map(() => new Int32Array(lineCount).fill(-1));
entries.line.forEach((line, entry) => (places[entries.column[entry]][line] = entry));

/** -1 where the column does not have the line. */
export function entryAt(line, column) {
  return places[column][line];
}

export function status(entry) {
  return voids.has(entry) ? VOID : word(entries.status, entry);
}

export function warnings(entry) {
  const text = word(entries.warnings, entry);
  return text ? text.split(";") : [];
}

export function passed(entry) {
  return status(entry) === "pass";
}

/** Whether compiling it never pays: it is not faster than eager. */
export function neverPays(entry) {
  return never.has(entry);
}

/** null where it was not measured. */
export function number(name, entry) {
  return entries.numbers[name]?.[entry] ?? null;
}

let byName = null;

/** The line of a workload and its detail; undefined where there is none. */
export function findLine(name, about) {
  byName ??= new Map(Array.from({ length: lineCount }, (_, line) => [`${workload(line)}\n${detail(line)}`, line]));
  return byName.get(`${name}\n${about}`);
}

export function findColumn(label) {
  return columns.findIndex((column) => column.label === label);
}

/** Options of a cell's address. */
export function named(line, column) {
  return { w: workload(line), d: detail(line), c: columns[column].label };
}

/** Of the drawer that holds a line: its number. */
export function drawerOf(line) {
  let low = 0;
  let high = matrix.drawers.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (matrix.drawers[middle] <= line) low = middle;
    else high = middle - 1;
  }
  return low;
}
