// Light or dark: the system's choice, until a reader chooses. What was chosen is kept where the browser lets a file keep anything; early.js reads it.
import { byId } from "./dom.js";

const KEY = "benchmatrix-theme";

export function start(changed) {
  const button = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => document.documentElement.dataset.theme || (system.matches ? "dark" : "light");
  const label = () => button.setAttribute("aria-label", `Colours: ${current()}. Change to ${current() === "dark" ? "light" : "dark"}`);
  button.hidden = false;
  label();
  button.addEventListener("click", () => {
    const chosen = current() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    remember(chosen);
    label();
    changed();
  });
  system.addEventListener("change", () => {
    label();
    changed();
  });
}

function remember(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // A reader who forbids storage chooses again next time.
  }
}
