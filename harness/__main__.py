"""``python -m harness launch --cells cells.json --out DIR``."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  # anybody's image may have an older one, which cannot import what follows
    sys.stderr.write("harness: needs Python 3.10 or newer, this image has " + sys.version.split()[0] + "\n")
    sys.exit(3)  # harness.output.UNFIT

import argparse
from pathlib import Path

from harness.cell import LaunchSpec
from harness.launch import run_launch
from harness.process import Stopped

USAGE, STOPPED = 2, 130


def main(arguments: "list[str] | None" = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m harness", description="Measures cells inside an image.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    launch = verbs.add_parser("launch", help="measure a list of cells, each once")
    launch.add_argument("--cells", type=Path, required=True, help="the launch's specification (JSON)")
    launch.add_argument("--out", type=Path, required=True, help="directory for rows, samples and logs")
    launch.add_argument("--stop-with-stdin", action="store_true", help="end when standard input is closed (the host went away)")
    options = parser.parse_args(arguments)
    try:
        spec = LaunchSpec.read(options.cells)
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"harness: cannot read {options.cells}: {error}", file=sys.stderr)
        return USAGE
    try:
        run_launch(spec, options.out, sys.stdin.fileno() if options.stop_with_stdin else None)
    except Stopped as error:
        print(f"harness: stopped ({error})", file=sys.stderr)
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
