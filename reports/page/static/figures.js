// A figure as a file of its own: SVG with its colours written into it, or PNG at twice its size.
import { drawing, element } from "./dom.js";

const KEPT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "fill-opacity", "stroke-opacity", "font-family", "font-size", "font-weight", "text-anchor"];
// Characters of a name in a figure that is put together from a table's rows.
const MOST = 54;

export function tools(name, source) {
  return element(
    "div",
    { class: "tools" },
    ["SVG", "PNG"].map((kind) =>
      element("button", { class: "button quiet tiny", type: "button", "aria-label": `Save ${name} as ${kind}`, onclick: () => save(name, kind, source()) }, kind),
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

async function save(name, kind, source) {
  const svg = standalone(source);
  const text = new XMLSerializer().serializeToString(svg);
  const url = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  download(kind === "SVG" ? url : await picture(url, svg), `${name.replace(/[^\w.-]+/g, "_").slice(0, 100)}.${kind.toLowerCase()}`);
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
  const whole = drawing("svg", { viewBox: `0 0 ${names + width + 12} ${rows.length * height + 12}` });
  rows.forEach((row, index) => {
    const label = row.querySelector("[data-name]");
    const place = (index + 0.65) * height + 6;
    if (label) whole.append(said(label, 8, place));
    const part = row.querySelector("svg");
    if (!part) return whole.append(said(row.querySelector("[data-instead]"), names + 4, place));
    const copy = part.cloneNode(true);
    const originals = [...part.querySelectorAll("*")];
    [...copy.querySelectorAll("*")].forEach((node, place) => written(node, originals[place]));
    for (const [name, value] of Object.entries({ x: names, y: index * height + 6, width, height: part.viewBox.baseVal.height })) copy.setAttribute(name, value);
    whole.append(copy);
  });
  return whole;
}

/** An element's text as one line: what is too long for its place is cut in the middle, with all of it in a title. */
function said(source, x, y) {
  const characters = [...source.textContent.trim().replace(/\s+/g, " ")];
  const half = MOST / 2;
  const text = characters.length > MOST ? `${characters.slice(0, half).join("")}…${characters.slice(1 - half).join("")}` : characters.join("");
  const node = drawing("text", { x, y }, characters.length > MOST ? drawing("title", {}, characters.join("")) : "", text);
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
