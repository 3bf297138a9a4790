// What is shown is in the address: `#matrix?metric=host&q=softmax`. Going back, reloading and sending a link all work by it.
const REPLACED = "addressreplaced";

export function read() {
  const [view, query = ""] = location.hash.slice(1).split("?", 2);
  return { view, options: Object.fromEntries(new URLSearchParams(query)) };
}

export function address(view, options = {}) {
  const query = new URLSearchParams(Object.entries(options).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  return `#${view}${query.size ? `?${query}` : ""}`;
}

const left = new Map();

/** How a view was left: the address that shows it again. */
export function leftAt(view) {
  return left.get(view) ?? address(view);
}

/** A view is shown so: the links to it lead back to that. */
export function keep(view, options) {
  left.set(view, address(view, options));
  for (const link of document.querySelectorAll(`[data-view-link="${view}"]`)) link.setAttribute("href", leftAt(view));
}

/** Say which parts of an address are not on this page, as [name, value]. */
export function strange(found) {
  const place = document.getElementById("strange");
  place.hidden = !found.length;
  place.textContent = found.length ? `Not on this page, and so left out: ${found.map(([name, value]) => `${name} \u201c${value}\u201d`).join(", ")}.` : "";
}

/** Change the address without a step in the history: a filter that is typed is no place to go back to. */
export function replace(view, options) {
  history.replaceState(null, "", address(view, options));
  keep(view, options);
  // The browser has no event for it, and the frame around a served page has the address bar.
  dispatchEvent(new Event(REPLACED));
}
