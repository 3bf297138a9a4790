// The frame around a page that is made anew: asks whether there is a newer one, and shows it where the reader was. The address bar is this frame's, what
// is shown is in the address of the page within: each is told of the other.
const SECONDS = 2;
const PAGE = "/report.html";
const READY_MILLISECONDS = 20;
const TEXTS = {
  running: "Live: made anew as the run goes on",
  interrupted: "Nothing is measured: no command has the run open, and rows are missing. It goes on when the run is resumed.",
  ended: "The run has ended: this is all of it.",
};
const state = document.getElementById("state");
const frame = document.getElementById("page");
let version = null;
let place = null;

async function ask() {
  try {
    const news = await (await fetch("/state", { cache: "no-store" })).json();
    if (version !== null && news.version !== version) renew();
    version = news.version;
    say(news.error ? `Not made anew: ${news.error}` : news.making ? "Live: being made anew" : TEXTS[news.standing], news.error);
  } catch {
    say("Nobody serves this page any more: it is as it was.", true);
  }
  setTimeout(ask, 1000 * SECONDS);
}

function say(text, failed) {
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("failed", Boolean(failed));
}

function renew() {
  place = placeOf(frame.contentWindow);
  frame.contentWindow.location.reload();
}

/** Where the reader is in the page within: scrolled to what, and at which field. */
function placeOf({ document: page, scrollX, scrollY }) {
  const { id, selectionStart: from, selectionEnd: to } = page.activeElement ?? {};
  const holder = page.querySelector(".tabulator-tableholder");
  return { scroll: [scrollX, scrollY], table: holder && [holder.scrollLeft, holder.scrollTop], id, selection: typeof from === "number" ? [from, to] : null };
}

function goTo(window, { scroll, table, id, selection }) {
  const field = id ? window.document.getElementById(id) : null;
  field?.focus({ preventScroll: true });
  if (field && selection) field.setSelectionRange(...selection);
  if (table) window.document.querySelector(".tabulator-tableholder")?.scrollTo(...table);
  window.scrollTo(...scroll);
}

/** The page within has been loaded. */
async function loaded() {
  const inside = frame.contentWindow;
  // Some browsers say it of the empty page before, too.
  if (inside.location.pathname !== PAGE) return;
  for (const change of ["hashchange", "addressreplaced"]) inside.addEventListener(change, tell);
  tell();
  if (!place) return;
  const before = place;
  place = null;
  while (!inside.document.documentElement?.dataset.ready) await new Promise((resolve) => setTimeout(resolve, READY_MILLISECONDS));
  goTo(inside, before);
}

/** To the address bar. */
function tell() {
  const { hash } = frame.contentWindow.location;
  if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname);
}

/** From the address bar: a link that was opened at this address, or a step back. */
addEventListener("hashchange", () => {
  if (frame.contentWindow.location.hash !== location.hash) frame.contentWindow.location.replace(PAGE + location.hash);
});

frame.addEventListener("load", loaded);
frame.contentWindow.location.replace(PAGE + location.hash);
ask();
