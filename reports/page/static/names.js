// Names that are longer than where they are shown. `names.py` is for those that are written into the page.
const BOUNDARIES = ["/", ":", "@", " "];

/** Names that fit: where one is too long, all without what they begin and end with in common; what is still too long is cut in its middle. */
export function shortNames(names, width, measure) {
  if (names.every((name) => measure(name) <= width)) return names;
  const [first] = names;
  const others = names.filter((name) => name !== first);
  // Whole parts: a repository, a name; not half of a version.
  const begin = others.length ? 1 + Math.max(-1, ...BOUNDARIES.map((mark) => (shared(names) ? first.lastIndexOf(mark, shared(names) - 1) : -1))) : 0;
  const rest = names.map((name) => name.slice(begin));
  const alike = others.length ? Math.min(shared(rest.map(reversed)), ...rest.map((name) => name.length)) : 0;
  const tail = alike ? reversed(rest[0]).slice(0, alike) : "";
  const end = tail.lastIndexOf(" ") + 1;
  return rest.map((name) => shortened(name.slice(0, name.length - end), width, measure));
}

/** Characters that they all begin with. */
function shared(names) {
  let same = 0;
  while (same < names[0].length && names.every((name) => name[same] === names[0][same])) same++;
  return same;
}

function reversed(text) {
  return [...text].reverse().join("");
}

/** A name without its middle. */
function shortened(text, width, measure) {
  if (measure(text) <= width) return text;
  let [begin, end] = [0, text.length];
  while (begin < end) {
    const kept = Math.ceil((begin + end) / 2);
    if (measure(cut(text, kept)) <= width) begin = kept;
    else end = kept - 1;
  }
  return cut(text, begin);
}

/** So many characters of a text, of its begin and its end. */
export function cut(text, kept) {
  const first = Math.ceil(kept / 2);
  return `${text.slice(0, first)}…${text.slice(text.length - (kept - first))}`;
}
