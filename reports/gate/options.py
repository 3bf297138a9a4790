"""The command line of the gate: its own options, and those of every command that measures."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

from matrix.config import FILE_NAME, LONGEST_SECONDS, Matrix
from matrix.errors import SelectionError
from matrix.options import add_building, add_measuring, add_selection, measuring_words
from matrix.parser import Parser
from matrix.plan import DOCKER_PREFIX, PlannedImage, choose_image
from reports.gate.baseline_file import read_baseline
from reports.gate.report import BASELINE
from reports.gate.setup import ANCHOR, Source, image_of
from reports.gate.stored import CANDIDATE, SEPARATOR, Stored, is_run, read_run

SIDES = (BASELINE, ANCHOR, CANDIDATE)

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_IMAGE = f"NAME, NAME@VERSION, {DOCKER_PREFIX}REF, a run (its directory; RUN{SEPARATOR}LABEL for one of its images), or a baseline file"


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
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
    sides.add_argument("--candidate", metavar="IMAGE", help="what is to be released: the same")
    sides.add_argument(
        "--anchor",
        metavar="IMAGE",
        help="what the candidate is held against as well, in the same blocks: a release that stays the anchor for long shows the slowdowns "
        "that are too small to be seen from one release to the next",
    )
    sides.add_argument(
        "--save-baseline",
        type=Path,
        metavar="FILE",
        help="keep the candidate's rows (of --calibrate: the image's) in a file that a later gate takes as --baseline or --anchor; with a run "
        "as --candidate and no --baseline, nothing is measured",
    )
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
    how.add_argument("--inconclusive", choices=("pass", "fail"), help="exit code of a gate that cannot tell: 0, or 3 (default: fail)")
    how.add_argument(
        "--max-duration",
        type=duration_seconds,
        metavar="TIME",
        help="as in 90m, 2h, 1h30m, 3600s, from the start of this command on: no block is begun that would end later, judged by the last "
        "one; what is undecided then is inconclusive, and the run can be resumed",
    )
    how.add_argument(
        "--bisect",
        action="store_true",
        help="where the candidate regressed, find the package that did it: build and measure images between the baseline and it, which are versions "
        "of one image (NAME@V1, NAME@V2) and measured now; between the anchor and it where only that comparison regressed",
    )
    add_measuring(how)
    add_building(parser)
    # How many launches there are is what the gate finds out; what it measures of a cell is what it judges by.
    parser.set_defaults(launches=None, experiment=None)
    return parser


def choose_sources(options: argparse.Namespace, matrix: Matrix) -> dict[str, Source]:
    """By side, what is compared; no baseline where one image's rows are only to be saved. Raises SelectionError, BaselineUnreadable."""
    if options.calibrate is not None:
        if any(getattr(options, name) is not None for name in SIDES):
            raise SelectionError("--calibrate compares an image with itself\n  next: leave --baseline, --anchor and --candidate out")
        if find_stored(options.calibrate, matrix, options.results) is not None:
            raise SelectionError("--calibrate measures an image\n  next: --calibrate NAME, NAME@VERSION or docker://REF")
        image = _choose(options.calibrate, options.image or options.calibrate, None, matrix)
        return {BASELINE: image, CANDIDATE: image}
    given: dict[str, str] = {name: getattr(options, name) for name in SIDES if getattr(options, name) is not None}
    _require_names(given, matrix)
    found: dict[str, Source] = {}
    for name, text in given.items():
        if (stored := find_stored(text, matrix, options.results)) is not None:
            found[name] = stored
    if options.save_baseline is not None and given.keys() == found.keys() == {CANDIDATE}:
        return found
    for name in (BASELINE, CANDIDATE):
        if name not in given:
            raise SelectionError(
                "the gate compares two images\n  next: nox -s gate -- --baseline IMAGE --candidate IMAGE, or --resume RUN; "
                "--calibrate IMAGE --save-baseline FILE measures one"
            )
    borrowed = choose_image(options.image, matrix, options.image).name if options.image else None
    for name, text in given.items():
        if name not in found:
            others = [_settings_of(found.get(other), given[other], matrix) for other in given if other != name]
            found[name] = _choose(text, next(filter(None, others), ""), borrowed, matrix)
    _require_two(found)
    return found


def _require_names(given: Mapping[str, str], matrix: Matrix) -> None:
    for name, text in given.items():
        if not text.strip():
            raise SelectionError(f"--{name} is empty: it names no image\n  next: --{name} IMAGE, as in {', '.join(matrix.images)}")


def _require_two(sources: Mapping[str, Source]) -> None:
    """Rows beside themselves are alike, whatever they say, and so is an image that is measured beside itself."""
    live = {name: image_of(source).label for name, source in sources.items() if not isinstance(source, Stored)}
    for one, other in ((ANCHOR, BASELINE), (BASELINE, CANDIDATE), (ANCHOR, CANDIDATE)):
        if one in live and live[one] == live.get(other):
            way = f"--calibrate {live[one]} measures an image against itself" if other == CANDIDATE else "leave --anchor out"
            raise SelectionError(f"the {one} is the {other}: {live[one]}\n  next: {way}")
    candidate = sources[CANDIDATE]
    for name, source in sources.items():
        if name != CANDIDATE and isinstance(source, Stored) and isinstance(candidate, Stored) and source.rows == candidate.rows:
            raise SelectionError(
                f"the {name} and the candidate are the same rows\n  next: name another run, or the sides of one as RUN{SEPARATOR}{BASELINE} and RUN{SEPARATOR}{CANDIDATE}"
            )


def find_stored(text: str, matrix: Matrix, results: Path) -> Stored | None:
    """What was measured before and is named so; None for the name of an image. A run may be named as it is under ``--results``."""
    if text.startswith(DOCKER_PREFIX) or text.partition("@")[0] in matrix.images:
        return None
    name, _, which = text.partition(SEPARATOR)
    for path in (Path(name), results / name):
        if is_run(path):
            return read_run(path.absolute(), which)
        if path.is_file():
            if which:
                raise SelectionError(f"{path} has one image\n  next: name it without {SEPARATOR}{which}")
            return read_baseline(path.absolute())
    if Path(name).is_dir():
        raise SelectionError(f"{name} is no run: it has no manifest\n  next: name one of the directories under {results}/")
    return None


def _settings_of(source: Source | None, text: str, matrix: Matrix) -> str:
    """The image of the configuration whose settings one without its own can borrow; empty where there is none."""
    if isinstance(source, Stored):
        return source.image.name if source.image.name in matrix.images else ""
    return "" if text.startswith(DOCKER_PREFIX) else choose_image(text, matrix, text).name


def _choose(text: str, other: str, borrowed: str | None, matrix: Matrix) -> PlannedImage:
    """other: an image of the configuration whose settings a reference borrows where ``borrowed`` names none."""
    if borrowed is None and text.startswith(DOCKER_PREFIX):
        if not other or other.startswith(DOCKER_PREFIX):
            raise SelectionError(f"{text} has no settings of its own\n  next: --image NAME, for an image of matrix.toml like it")
        borrowed = choose_image(other, matrix, other).name
    try:
        return choose_image(text, matrix, borrowed or text)
    except SelectionError as error:
        raise SelectionError(f"{error}; or the directory of a run, or a baseline file") from None


def replay_of(options: argparse.Namespace) -> tuple[str, ...]:
    """See ``GateSetup.replay``."""
    return ("" if options.config == Path(FILE_NAME) else str(options.config), *measuring_words(options))


def duration_seconds(text: str) -> float:
    """Of ``1h30m``, ``90m``, ``2h``, ``3600s``. ArgumentTypeError for another form."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != text or not 0 < seconds <= LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no time of at most a week, as in 90m, 2h, 1h30m or 3600s")
    return seconds
