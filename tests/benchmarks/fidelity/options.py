"""Options that studies share, and what is made of them."""

from __future__ import annotations

import argparse
import dataclasses
import random
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.cell import Cell, LaunchSpec, Sampling
from tests.benchmarks.fidelity.launches import Place

TIMEOUT_SECONDS = 600.0
HOST, CONTAINER = "host", "container"
"""Images of rows: where a launch was made."""


def count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def command(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    if not words:
        raise argparse.ArgumentTypeError("the command is empty")
    return words


def existing(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return Path(text)


def add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write STUDY.md and STUDY.csv (the raw rows) there too")
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--threads", type=count, help="inside an operator (default: torch's choice)")
    parser.add_argument("--budget", type=positive, metavar="SECONDS", help="for a cell's samples (default: the harness's)")
    parser.add_argument("--width", type=positive, help="of the 95 %% interval, at which sampling ends (default: the harness's)")
    parser.add_argument("--samples", type=count, help="rounds at least (default: the harness's)")


def add_launching(parser: argparse.ArgumentParser, launches: int) -> None:
    add_common(parser)
    parser.add_argument("--launches", type=count, default=launches, help="default: %(default)s")
    parser.add_argument("--python", default=sys.executable, help="interpreter of launches (default: this one)")
    parser.add_argument(
        "--container",
        type=command,
        metavar="COMMAND",
        help="prefix that starts Python in a container: 'docker run --rm -i -v {source}:{source}:ro -v {out}:{out} -e PYTHONPATH={source} "
        "... IMAGE python3'. {source} (this repository) and {out} (the launch's folder) must have the same paths inside",
    )
    parser.add_argument(
        "--from", type=existing, dest="rendered", metavar="CSV", help="measure nothing: the tables of the rows in this file"
    )


def sampling(options: argparse.Namespace) -> Sampling:
    given = {"budget_seconds": options.budget, "width": options.width, "samples": options.samples}
    chosen = {name: value for name, value in given.items() if value is not None}
    if "samples" in chosen:
        chosen["minimum_samples"] = min(options.samples, Sampling().minimum_samples)
    return dataclasses.replace(Sampling(), **chosen)


def place(options: argparse.Namespace, *, module: str = "harness", variables: Mapping[str, str] | None = None, without: str = "") -> Place:
    """In the container, where one is named."""
    prefix = options.container or (options.python,)
    return Place(prefix=prefix, module=module, variables=variables or {}, without=without)


def specification(
    options: argparse.Namespace,
    cells: Iterable[Cell],
    *,
    launch: int,
    image: str = HOST,
    pin_allocator: bool = True,
    fresh_caches: bool = True,
    warm_compile: bool = False,
    ceilings: bool = False,
) -> LaunchSpec:
    """One launch. ceilings: measure those of the machine (once for all launches); else no row has a share of a limit."""
    return LaunchSpec(
        run=str(options.study),
        launch=launch,
        attempt=0,
        image=image,
        cells=tuple(cells),
        seed=options.seed,
        timeout_seconds=TIMEOUT_SECONDS,
        sampling=sampling(options),
        threads=options.threads,
        pin_allocator=pin_allocator,
        fresh_caches=fresh_caches,
        warm_compile=warm_compile,
        measure_ceilings=ceilings,
    )


def shuffled(values: Sequence[str], options: argparse.Namespace, launch: int) -> list[str]:
    """The same order for the same seed and launch, whichever launches are made at one time."""
    order = list(values)
    random.Random(f"{options.seed} {launch}").shuffle(order)
    return order
