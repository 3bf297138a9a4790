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

/** Change the address without a step in the history: a filter that is typed is no place to go back to. */
export function replace(view, options) {
  history.replaceState(null, "", address(view, options));
  // The browser has no event for it, and the frame around a served page has the address bar.
  dispatchEvent(new Event(REPLACED));
}
