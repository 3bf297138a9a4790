// Rows and samples of one cell, out of the drawer that has them.
import { drawerOf, unpack } from "./data.js";

/** Of an entry: its rows (one per launch, as objects), its series of samples, its replay command, and what comparisons say of it. */
export async function open(line, entry) {
  const { about, deviations } = await unpack(`bm-drawer-${drawerOf(line)}`);
  const places = about.rows.entry.flatMap((of, place) => (of === entry ? [place] : []));
  const rows = places.map((place) => Object.fromEntries(Object.entries(about.rows).map(([name, values]) => [name, values[place]])));
  return {
    rows,
    series: series(about, deviations, places),
    replay: about.replay[entry - about.first_entry] ?? "",
    compared: about.compared,
  };
}

function series(about, deviations, places) {
  const marks = new Map(about.marked.map((place, index) => [place, about.mark[index]]));
  const launchOf = new Map(places.map((place) => [place + about.first_row, about.rows.launch[place]]));
  const found = [];
  let start = 0;
  about.series.row.forEach((row, index) => {
    const count = about.series.count[index];
    if (launchOf.has(row)) {
      const [centre, step] = [about.series.centre[index], about.series.step[index]];
      found.push({
        launch: launchOf.get(row),
        variant: about.series.variant[index],
        clock: about.series.clock[index],
        seconds: Array.from({ length: count }, (_, place) => centre + step * deviations[start + place]),
        marks: Array.from({ length: count }, (_, place) => marks.get(start + place) ?? ""),
      });
    }
    start += count;
  });
  return found;
}

/** NaN for none. */
export function median(values) {
  const sorted = values.filter((value) => value !== null && Number.isFinite(value)).sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}
