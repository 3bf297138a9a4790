"""``python -m reports [RUN...]``: the page and the table of one or more runs."""

from __future__ import annotations

import argparse
import datetime
import io
import sys
from pathlib import Path

from images.errors import UserError
from matrix.errors import INCOMPLETE
from matrix.store import latest_run
from reports.compare import compare
from reports.load import load
from reports.render import render
from reports.summary import summary

PAGE = "report.html"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports", description="Makes the page of one or more runs.")
    parser.add_argument(
        "runs", nargs="*", type=Path, metavar="RUN", help="run directories, or CSV files (the ancestor's too); the latest run where absent"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="where the latest run is looked for")
    parser.add_argument("--output", type=Path, help="file to write (default: report.html in the run, or in the folder of several)")
    parser.add_argument(
        "--reference", default="", metavar="COLUMN", help="set all columns beside this one, across images, as in 'cpu inductor'"
    )
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a name must not cost the table.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        runs = options.runs or [latest_run(options.results)]
        loaded = load(runs)
        comparison = compare(loaded.table, options.reference)
    except UserError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    output = options.output or _default_output(runs)
    page = render(loaded, comparison, datetime.datetime.now().astimezone())
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        print(f"the page cannot be written: {error}\n  next: name another file with --output", file=sys.stderr)
        return INCOMPLETE
    print(summary(comparison))
    if loaded.quarantined:
        print(f"{len(loaded.quarantined)} lines or files are quarantined: the page lists them")
    print(f"page: {output}")
    return 0


def _default_output(runs: list[Path]) -> Path:
    if len(runs) == 1 and runs[0].is_dir():
        return runs[0] / PAGE
    return runs[0].parent / PAGE


if __name__ == "__main__":
    sys.exit(main())
