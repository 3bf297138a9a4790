// On paper nothing can be opened: what is folded away is printed too, but for the licences of what the page is made with.

export function start() {
  const opened = [];
  matchMedia("print").addEventListener("change", ({ matches }) => {
    if (matches) opened.push(...document.querySelectorAll(".view:not(#sources) details:not([open])"));
    for (const part of matches ? opened : opened.splice(0)) part.open = matches;
  });
}
