// The frame around a page that is made anew: asks whether there is a newer one, and shows it where the reader was.
const SECONDS = 2;
const state = document.getElementById("state");
const frame = document.getElementById("page");
let version = null;

async function ask() {
  try {
    const news = await (await fetch("/state", { cache: "no-store" })).json();
    if (version !== null && news.version !== version) renew();
    version = news.version;
    say(news.error ? `Not made anew: ${news.error}` : news.making ? "Live: being made anew" : "Live: made anew as the run goes on", news.error);
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
  const inside = frame.contentWindow;
  const [x, y] = [inside.scrollX, inside.scrollY];
  frame.addEventListener("load", () => setTimeout(() => frame.contentWindow.scrollTo(x, y), 50), { once: true });
  inside.location.reload();
}

ask();
