// A figure as a file of its own: SVG with its colours written into it, or PNG at twice its size.
import { byId, drawing, element } from "./dom.js";
import { cut, shortNames } from "./names.js";

const KEPT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "fill-opacity", "stroke-opacity", "font-family", "font-size", "font-weight", "text-anchor"];
// Characters of a name in a figure that is put together from a table's rows.
const MOST = 54;

export function tools(name, source) {
  return element(
    "div",
    { class: "tools" },
    ["SVG", "PNG"].map((kind) =>
      element("button", { class: "button quiet tiny", type: "button", "aria-label": `Save ${name} as ${kind}`, onclick: (event) => save(name, kind, source(), event.currentTarget.closest(".panel")) }, kind),
    ),
  );
}

/** Buttons for figures that are in the page from the start. */
export function start() {
  for (const place of document.querySelectorAll("[data-figure]")) {
    const target = document.getElementById(place.dataset.figure);
    place.append(tools(place.dataset.figure, () => (target.matches("svg") ? target : stacked(target))));
  }
}

/** panel: what the figure is in, which says what it shows. */
async function save(name, kind, source, panel) {
  const svg = standalone(source);
  head(svg, panel);
  const text = new XMLSerializer().serializeToString(svg);
  const url = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  download(kind === "SVG" ? url : await picture(url, svg), `${fileName(name, panel)}.${kind.toLowerCase()}`);
}

/** Of the cell, where it is one's, and of the figure. */
function fileName(name, panel) {
  const plain = (text, most) => text.replace(/[^\w.-]+/g, "_").slice(0, most);
  return [...(panel.closest("#cell") ? ["cell-title", "cell-detail"].map((id) => plain(byId(id).textContent, 60)) : []), plain(name, 60)].join("-");
}

/** What a panel is about, in words, beside its own heading. */
function about(panel) {
  if (panel.closest("#cell")) return `${byId("cell-title").textContent} ${byId("cell-detail").textContent}`;
  const part = panel.closest("details.part")?.querySelector("summary").textContent;
  return panel.closest(".comparison")?.getAttribute("aria-label") ?? part ?? byId("history-about")?.textContent ?? "";
}

/** Above a drawing that stands alone: what it shows, of what, and what its lines and colours mean. */
function head(svg, panel) {
  // As it is now: a view box that is read once more is the new one.
  const { x, y, width, height: below } = svg.viewBox.baseVal;
  const lines = [panel.querySelector("h2").textContent, about(panel), panel.querySelector("header p")?.textContent ?? ""].map((text) => text.trim().replace(/\s+/g, " ")).filter(Boolean);
  const room = Math.floor(width / 6);
  const texts = lines.map((text) => (text.length > room ? [cut(text, room - 1), text] : [text, ""]));
  const items = [...panel.querySelectorAll(".legend li")];
  const height = 18 * texts.length + (items.length ? 20 : 0) + 8;
  const top = y - height;
  svg.setAttribute("viewBox", `${x} ${top} ${width} ${below + height}`);
  svg.setAttribute("height", below + height);
  const ground = svg.querySelector("rect");
  for (const [name, value] of Object.entries({ y: top, height: below + height })) ground.setAttribute(name, value);
  const [ink, soft] = ["--ink", "--soft"].map(colour);
  texts.forEach(([text, whole], index) =>
    svg.append(drawing("text", { class: "said", x: x + 8, y: top + 18 * (index + 1), fill: index ? soft : ink, "font-size": index ? "11px" : "14px", "font-weight": index ? "normal" : "bold", "font-family": "sans-serif" }, whole ? drawing("title", {}, whole) : "", text)),
  );
  let at = x + 8;
  for (const item of items) {
    const sign = item.querySelector("svg");
    if (sign) {
      const copy = sign.cloneNode(true);
      [...copy.querySelectorAll("*")].forEach((node, index) => written(node, sign.querySelectorAll("*")[index]));
      for (const [name, value] of Object.entries({ x: at, y: y - 18, width: 24, height: 10 })) copy.setAttribute(name, value);
      svg.append(copy);
      at += 30;
    }
    const text = item.textContent.trim();
    svg.append(drawing("text", { class: "said", x: at, y: y - 9, fill: soft, "font-size": "11px", "font-family": "sans-serif" }, text));
    at += 6.4 * text.length + 16;
  }
}

/** As plain a value as other programs read: `light-dark()` is none. */
export function colour(name) {
  const probe = element("span", { class: "unseen" });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function download(url, name) {
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

/** The drawing with what the style sheet says of it as attributes. */
function standalone(source) {
  const copy = source.cloneNode(true);
  const originals = [source, ...source.querySelectorAll("*")];
  for (const [index, node] of [copy, ...copy.querySelectorAll("*")].entries()) {
    // Rows that were put together for this file are styled where they came from.
    const shown = originals[index].isConnected ? originals[index] : null;
    if (shown) written(node, shown);
  }
  const box = copy.viewBox.baseVal;
  copy.setAttribute("width", box.width);
  copy.setAttribute("height", box.height);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.prepend(drawing("rect", { x: box.x, y: box.y, width: box.width, height: box.height, fill: getComputedStyle(document.body).backgroundColor }));
  return copy;
}

function written(node, shown) {
  const style = getComputedStyle(shown);
  for (const name of KEPT) node.setAttribute(name, style.getPropertyValue(name));
  node.removeAttribute("class");
}

/** One drawing of a table whose rows each have a name and a drawing, or what is said in a drawing's place. */
function stacked(table) {
  const names = 420;
  const rows = [...table.querySelectorAll("tr")].filter((row) => row.querySelector("svg, [data-instead]") && !row.hidden);
  // All are as wide; the axis is not as high as the rows, and what is squeezed into another's height is no more under its ticks.
  const boxes = rows.flatMap((row) => row.querySelector("svg")?.viewBox.baseVal ?? []);
  const [width, height] = [boxes[0].width, Math.max(...boxes.map((box) => box.height))];
  const labels = rows.map((row) => oneLine(row.querySelector("[data-name]")));
  const named = labels.some(Boolean) ? shortNames(labels.filter(Boolean), MOST, (text) => [...text].length) : [];
  const shorts = labels.map((label) => (label ? named.shift() : ""));
  const whole = drawing("svg", { viewBox: `0 0 ${names + width + 12} ${rows.length * height + 12}` });
  rows.forEach((row, index) => {
    const label = row.querySelector("[data-name]");
    const place = (index + 0.65) * height + 6;
    if (label) whole.append(said(label, shorts[index], 8, place));
    const part = row.querySelector("svg");
    if (!part) return whole.append(said(row.querySelector("[data-instead]"), oneLine(row.querySelector("[data-instead]")), names + 4, place));
    const copy = part.cloneNode(true);
    const originals = [...part.querySelectorAll("*")];
    [...copy.querySelectorAll("*")].forEach((node, place) => written(node, originals[place]));
    for (const [name, value] of Object.entries({ x: names, y: index * height + 6, width, height: part.viewBox.baseVal.height })) copy.setAttribute(name, value);
    whole.append(copy);
  });
  return whole;
}

function oneLine(source) {
  return source?.textContent.trim().replace(/\s+/g, " ") ?? "";
}

/** An element's text as one line: where it is shortened, with all of it in a title. */
function said(source, short, x, y) {
  const [full, text] = [oneLine(source), short.length > MOST ? cut(short, MOST - 1) : short];
  const node = drawing("text", { x, y }, text === full ? "" : drawing("title", {}, full), text);
  written(node, source);
  node.setAttribute("fill", getComputedStyle(source).color);
  node.setAttribute("font-size", "12px");
  return node;
}

function picture(url, svg) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onerror = () => reject(new Error("the figure cannot be drawn"));
    image.onload = () => {
      const canvas = element("canvas", { width: svg.getAttribute("width") * 2, height: svg.getAttribute("height") * 2 });
      const context = canvas.getContext("2d");
      context.scale(2, 2);
      context.drawImage(image, 0, 0);
      resolve(canvas.toDataURL("image/png"));
    };
    image.src = url;
  });
}
