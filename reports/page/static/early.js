// Before anything is painted: the view of the address, and the colours that were chosen. A script of its own, in the head.
(() => {
  const root = document.documentElement;
  const view = location.hash.slice(1).split("?", 1)[0];
  root.classList.add("scripted");
  root.dataset.view = ["compare", "matrix", "cell", "totals", "history", "sources"].includes(view) ? view : root.dataset.first;
  try {
    const kept = localStorage.getItem("benchmatrix-theme");
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  } catch {
    // Storage is forbidden: the system's colours.
  }
})();
