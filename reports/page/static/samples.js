// Rows and samples of one cell, out of the drawer that has them.
import { drawerOf, unpack } from "./data.js";

/** Of an entry: its rows (one per launch, as objects), its series of samples, its replay command, and what comparisons say of it. */
export async function open(line, entry) {
  const { about, deviations } = await unpack(`bm-drawer-${drawerOf(line)}`);
  const places = about.rows.entry.flatMap((of, place) => (of === entry ? [place] : []));
  const rows = places.map((place) => Object.fromEntries(Object.entries(about.rows).map(([name, values]) => [name, values[place]])));
  return {
    rows,
    series: series(about, deviations, places, rows),
    replay: about.replay[entry - about.first_entry] ?? "",
    compared: about.compared,
  };
}

function series(about, deviations, places, rows) {
  const marks = new Map(about.marked.map((place, index) => [place, about.mark[index]]));
  const rowOf = new Map(places.map((place, index) => [place + about.first_row, rows[index]]));
  const found = [];
  let start = 0;
  about.series.row.forEach((row, index) => {
    const count = about.series.count[index];
    if (rowOf.has(row)) {
      const [centre, step] = [about.series.centre[index], about.series.step[index]];
      found.push({
        row: rowOf.get(row),
        launch: rowOf.get(row).launch,
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

/** Of a row: how many rounds were taken and how many of them count; null where the row does not say. taken: what its series have, of which one in so many was kept. */
export function rounds(row, taken, oneIn) {
  if (row.samples === null || row.samples === undefined) return null;
  const marked = row.samples_marked ?? 0;
  // Marked rounds are left out where enough others are there, and what counts is then so many fewer.
  const all = taken ? [row.samples, row.samples + marked].reduce((one, other) => (Math.abs(other - taken * oneIn) < Math.abs(one - taken * oneIn) ? other : one)) : null;
  return { counting: row.samples, marked, all, leftOut: all !== null && all > row.samples };
}

/** The seconds of a series that its row's numbers are made of. */
export function counting(one, oneIn) {
  const leftOut = rounds(one.row, one.seconds.length, oneIn)?.leftOut ?? false;
  return leftOut ? one.seconds.filter((_, index) => !one.marks[index]) : one.seconds;
}

/** NaN for none. */
export function median(values) {
  const sorted = values.filter((value) => value !== null && Number.isFinite(value)).sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}
