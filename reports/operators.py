"""``python -m reports.operators RUN``: where a workload's time goes, operator by operator, in eager and by a backend.

Of a run of ``operators:FILE``: an operator's time is weighted by how often the recorded workload called it. The sum is what the workload would take
if its operators ran one after another as they do alone.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness import operator_file
from harness.output import ROWS
from harness.records import Status
from images.errors import UserError
from matrix.errors import INCOMPLETE, SelectionError
from matrix.parser import Parser
from reports.format import duration, percent, ratio

SHOWN = 30
COLUMNS = ("operator", "calls", "eager_seconds", "backend_seconds", "share", "speedup")


@dataclass(frozen=True, kw_only=True)
class Weighted:
    """Operators of one image and backend, the costliest in eager first."""

    image: str
    backend: str
    table: pd.DataFrame
    """``COLUMNS``; seconds of all calls in one call of the workload."""
    failed: int
    """Operators without times."""

    @property
    def eager_seconds(self) -> float:
        return float(self.table["eager_seconds"].sum())

    @property
    def backend_seconds(self) -> float:
        return float(self.table["backend_seconds"].sum())


def weighted(rows: pd.DataFrame) -> list[Weighted]:
    """rows: of ``results.csv``. Medians over launches, by device time where there is one, else by host time less that of an empty call."""
    mine = rows[rows["suite"] == operator_file.SUITE]
    found = []
    for (image, backend), group in mine.groupby(["image", "backend"], sort=False):
        passed = group[group["status"].isin(Status.PASSED)]
        each = passed.groupby("name", sort=False).agg(
            calls=("recorded_calls", "first"),
            eager_host=("eager_latency_seconds", "median"),
            backend_host=("backend_latency_seconds", "median"),
            eager_device=("eager_device_seconds", "median"),
            backend_device=("backend_device_seconds", "median"),
            empty=("empty_call_seconds", "median"),
        )
        table = pd.DataFrame({"operator": each.index.str.partition("-").get_level_values(2), "calls": each["calls"].to_numpy()})
        for variant in ("eager", "backend"):
            host = (each[f"{variant}_host"] - each["empty"].fillna(0)).clip(lower=0)
            table[f"{variant}_seconds"] = (each[f"{variant}_device"].fillna(host) * each["calls"]).to_numpy()
        table["share"] = table["eager_seconds"] / table["eager_seconds"].sum()
        table["speedup"] = table["eager_seconds"] / table["backend_seconds"]
        table = table.sort_values("eager_seconds", ascending=False, ignore_index=True)
        failed = group["name"].nunique() - passed["name"].nunique()
        found.append(Weighted(image=str(image), backend=str(backend), table=table, failed=failed))
    return found


def as_text(found: Weighted) -> str:
    lines = [f"{found.image} {found.backend}: {duration(found.eager_seconds)} in eager, {duration(found.backend_seconds)} by the backend"]
    if found.failed:
        lines[0] += f"; {found.failed} operators have no times, and are not in it"
    for operator, calls, eager, backend, share, speedup in found.table.head(SHOWN)[list(COLUMNS)].to_numpy().tolist():
        lines.append(f"  {percent(share):>8} {duration(eager):>9} {duration(backend):>9} {ratio(speedup):>7}  {calls:.0f} x {operator}")
    if len(found.table) > SHOWN:
        lines.append(f"  and {len(found.table) - SHOWN} more: --csv FILE has all")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m reports.operators", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a run of operators:FILE")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the whole table")
    options = parser.parse_args(arguments)
    try:
        return _print(options.run, options.csv)
    except UserError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code


def _print(run: Path, csv: Path | None) -> int:
    try:
        found = weighted(pd.read_csv(run / ROWS))
    except (OSError, ValueError, KeyError) as error:
        raise SelectionError(f"{run}: {error}\n  next: name the directory of a run") from None
    if not any(len(each.table) for each in found):
        print(f"{run} has no times of recorded operators\n  next: nox -s bench-cpu -- --only operators:FILE", file=sys.stderr)
        return INCOMPLETE
    for each in found:
        print(as_text(each))
    if csv is not None:
        pd.concat([each.table.assign(image=each.image, backend=each.backend) for each in found]).to_csv(csv, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
