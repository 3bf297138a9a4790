// Buttons that copy the command beside them.
import { byId, element } from "./dom.js";

const waiting = new WeakMap();

export function start() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) copy(button);
  });
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  const done = await written(code.textContent);
  if (!done) getSelection().selectAllChildren(code);
  say(done ? "Copied" : "Selected: copy it with the keyboard");
  // Pressed again before it has its own text back: that is no "Copied".
  button.dataset.label ??= button.textContent;
  button.textContent = done ? "Copied" : "Selected";
  clearTimeout(waiting.get(button));
  waiting.set(button, setTimeout(() => (button.textContent = button.dataset.label), 1500));
}

async function written(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Some browsers give a file no clipboard.
    const area = element("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** To screen readers. */
export function say(text) {
  byId("said").textContent = text;
}

export function command(text) {
  return element("div", { class: "command" }, element("code", {}, text), element("button", { class: "button tiny", type: "button", "data-copy": true }, "Copy"));
}
