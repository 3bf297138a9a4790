"""The command line of the gate: its own options, and those of every command that measures."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from matrix.config import LONGEST_SECONDS, Matrix
from matrix.errors import SelectionError
from matrix.options import add_building, add_measuring, add_selection
from matrix.plan import DOCKER_PREFIX, PlannedImage, choose_image

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_IMAGE = f"NAME, NAME@VERSION or {DOCKER_PREFIX}REF"


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reports.gate",
        description="Compares two images on this host, cell by cell, and fails where the candidate is slower or wrong.",
        epilog="Exit codes: 0 pass; 1 regressed; 2 usage or configuration; 3 inconclusive (see --inconclusive); 4 infrastructure: engine, "
        "GPU, build, disk; 130 interrupted. What ends early can be resumed.",
    )
    parser.add_argument("--config", type=Path, default=Path("matrix.toml"), help="the configuration (default: %(default)s)")
    parser.add_argument(
        "--end-with-parent", action="store_true", help="end in order when the process that started this one is killed (Linux)"
    )
    sides = parser.add_argument_group("what to compare")
    sides.add_argument("--baseline", metavar="IMAGE", help=f"what the candidate is held against: {_IMAGE}")
    sides.add_argument("--candidate", metavar="IMAGE", help=f"what is to be released: {_IMAGE}")
    sides.add_argument(
        "--calibrate",
        metavar="IMAGE",
        help="instead of two images: this one against itself, for the noise of each cell, the smallest effect that is seen, and false alarms",
    )
    sides.add_argument(
        "--image", metavar="NAME", help=f"the image whose settings a {DOCKER_PREFIX} one borrows (default: those of the other side)"
    )
    add_selection(parser.add_argument_group("what to measure"))
    how = parser.add_argument_group("how")
    how.add_argument(
        "--inconclusive", choices=("pass", "fail"), default="fail", help="exit code of a gate that cannot tell: 0, or 3 (default: fail)"
    )
    how.add_argument(
        "--max-duration",
        type=duration_seconds,
        metavar="TIME",
        help="as in 90m, 2h, 1h30m, 3600s, from the start of this command on: no block is begun that would end later, judged by the longest "
        "so far; what is undecided then is inconclusive, and the run can be resumed",
    )
    how.add_argument(
        "--bisect",
        action="store_true",
        help="where the candidate regressed, find the package that did it: build and measure images between the two, which are versions of one "
        "image (NAME@V1, NAME@V2)",
    )
    add_measuring(how)
    add_building(parser)
    # How many launches there are is what the gate finds out.
    parser.set_defaults(launches=None)
    return parser


def choose_sides(options: argparse.Namespace, matrix: Matrix) -> tuple[PlannedImage, PlannedImage]:
    """Baseline and candidate. Raises SelectionError."""
    if options.calibrate is not None:
        if options.baseline is not None or options.candidate is not None:
            raise SelectionError("--calibrate compares an image with itself\n  next: leave --baseline and --candidate out")
        image = _choose(options.calibrate, options.image or options.calibrate, None, matrix)
        return image, image
    for name in ("baseline", "candidate"):
        if getattr(options, name) is None:
            raise SelectionError("the gate compares two images\n  next: nox -s gate -- --baseline IMAGE --candidate IMAGE, or --resume RUN")
    borrowed = choose_image(options.image, matrix, options.image).name if options.image else None
    baseline, candidate = (
        _choose(text, other, borrowed, matrix)
        for text, other in ((options.baseline, options.candidate), (options.candidate, options.baseline))
    )
    return baseline, candidate


def _choose(text: str, other: str, borrowed: str | None, matrix: Matrix) -> PlannedImage:
    if borrowed is None and text.startswith(DOCKER_PREFIX):
        if other.startswith(DOCKER_PREFIX):
            raise SelectionError(
                f"{text} and {other} have no settings of their own\n  next: --image NAME, for an image of matrix.toml like them"
            )
        borrowed = choose_image(other, matrix, other).name
    return choose_image(text, matrix, borrowed or text)


def duration_seconds(text: str) -> float:
    """Of ``1h30m``, ``90m``, ``2h``, ``3600s``. ArgumentTypeError for another form."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != text or not 0 < seconds <= LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no time of at most a week, as in 90m, 2h, 1h30m or 3600s")
    return seconds
