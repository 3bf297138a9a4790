"""``python -m reports [RUN...]``: the page and the table of one or more runs."""

from __future__ import annotations

import argparse
import datetime
import io
import sys
import webbrowser
from pathlib import Path

from images.errors import UserError
from matrix.errors import INCOMPLETE, SelectionError
from matrix.parser import Parser
from matrix.store import latest_run
from reports.gate.wording import counted
from reports.load import load
from reports.page.build import build
from reports.page.collect import collect
from reports.page.export import export
from reports.page.figures import figures
from reports.page.render import render, write_page
from reports.page.serve import DEFAULT_PORT, serve
from reports.page.summary import summary

PAGE = "report.html"


def main(arguments: list[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a name must not cost the table.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        runs = options.runs or [latest_run(options.results)]
        output = options.output or _default_output(runs)
        if options.serve is not None and options.export is not None:
            raise SelectionError("--serve makes the page anew again and again, and exports nothing\n  next: --export without --serve")
        if options.serve is not None:
            return serve(runs, output, reference=options.reference, port=options.serve, show=options.open)
        return _make(runs, output, options)
    except UserError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m reports", description="Makes the page of one or more runs.")
    parser.add_argument(
        "runs", nargs="*", type=Path, metavar="RUN", help="run directories, or CSV files (the ancestor's too); the latest run where absent"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="where the latest run is looked for")
    parser.add_argument("--output", type=Path, help="file to write (default: report.html in the run, or in the folder of several)")
    parser.add_argument(
        "--reference", default="", metavar="COLUMN", help="set all columns beside this one, across images, as in 'cpu inductor'"
    )
    parser.add_argument(
        "--export", type=Path, metavar="DIR", help="also write its tables as CSV, JSON and Markdown, its figures as SVG and PNG"
    )
    parser.add_argument("--open", action="store_true", help="show the page in a browser")
    parser.add_argument(
        "--serve",
        type=int,
        nargs="?",
        const=DEFAULT_PORT,
        metavar="PORT",
        help=f"serve the page to this host, and make it anew while a run goes on and somebody looks (default port: {DEFAULT_PORT}; 0: any)",
    )
    return parser


def _make(runs: list[Path], output: Path, options: argparse.Namespace) -> int:
    page = build(collect(load(runs)), datetime.datetime.now().astimezone(), options.reference)
    try:
        write_page(output, render(page))
    except OSError as error:
        print(f"the page cannot be written: {error}\n  next: name another file with --output", file=sys.stderr)
        return INCOMPLETE
    try:
        written = export(page, options.export, figures(page)) if options.export is not None else []
    except OSError as error:
        print(f"the export cannot be written: {error}\n  next: name another folder with --export; the page is {output}", file=sys.stderr)
        return INCOMPLETE
    print(summary(page))
    if page.quarantined_count:
        one = page.quarantined_count == 1
        print(
            f"{counted(page.quarantined_count, 'line or file', 'lines or files')} {'is' if one else 'are'} quarantined: the page says which"
        )
    if written:
        print(f"export: {counted(len(written), 'file')} in {options.export}")
    print(f"page: {output}")
    if options.open:
        webbrowser.open(output.resolve().as_uri())
    return 0


def _default_output(runs: list[Path]) -> Path:
    if len(runs) == 1 and runs[0].is_dir():
        return runs[0] / PAGE
    return runs[0].parent / PAGE


if __name__ == "__main__":
    sys.exit(main())
