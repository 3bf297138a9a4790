"""``python -m reports.accept [RUN]``: take what became of a run's cells for what is to be expected of their images' versions.

Cells that the run does not have stay as they are in the file; what the engine kept from being measured changes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from harness import catalog
from harness.choice import nearest
from harness.records import Status
from images.errors import UserError
from matrix.config import SUITES, Matrix, load_matrix
from matrix.errors import SelectionError
from matrix.parser import Parser
from matrix.store import latest_run
from reports.accepted import FOLDER, Change, became, changes, file_of, read_accepted, write_accepted
from reports.load import load
from reports.manifest import mapping
from reports.page.numbers import counted

SOURCE = Path(__file__).resolve().parent.parent
DECIDING = (
    *("torch_config", "channels_last", "activation_checkpointing", "optimizer", "distributed", "deterministic", "tf32", "threads"),
    *("gpu_memory_fraction", "timeout_seconds"),
)
"""Of ``[run]``."""
SHOWN = 20
DIFFERS = 1
"""Exit code of ``--check`` where something is not as accepted."""


def main(arguments: list[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    try:
        return _accept(options)
    except UserError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="nox -s accept --", description="Take a run's statuses for what is expected of its images from now on.", allow_abbrev=False
    )
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="directory of a run; the latest where absent")
    parser.add_argument("--check", action="store_true", help=f"only tell what differs; exit code {DIFFERS} where something does")
    parser.add_argument(
        "--as",
        dest="label",
        metavar="IMAGE[@VERSION]",
        help="the image whose file it is, where the run is of docker://REF or of another version",
    )
    parser.add_argument("--config", type=Path, default=Path("matrix.toml"), help=f"{FOLDER}/ is beside it (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where the latest run is looked for")
    return parser


def _accept(options: argparse.Namespace) -> int:
    run = options.run or latest_run(options.results)
    matrix = load_matrix(options.config, SOURCE / SUITES)
    loaded = load([run])
    if other := other_settings(loaded.sources[0].manifest, matrix):
        raise SelectionError(
            f"{run} was measured with other settings than {options.config} has, and would be expected of every run: {', '.join(other)}\n"
            f"  next: a run without these options, or write them into [run] of {options.config}"
        )
    differ = 0
    for label, found in statuses_of(run, loaded.table, options.label):
        if label.partition("@")[0] not in matrix.images:
            raise SelectionError(
                f"{label} is no image of {options.config}{nearest(label.partition('@')[0], matrix.images)}\n"
                f"  next: nox -s accept -- {run} --as IMAGE@VERSION"
            )
        path = file_of(options.config.absolute().parent / FOLDER, label)
        known = read_accepted(path) if path.exists() else {}
        changed = changes(known, found)
        differ += len(changed)
        print(_told(label, changed, len(found)))
        if not options.check:
            write_accepted(path, {**known, **found})
            print(f"{path}: {counted(len({**known, **found}), 'cell')}")
    if differ and options.check:
        print(f"  next: mend it, or accept it: nox -s accept -- {run}", file=sys.stderr)
        return DIFFERS
    return 0


def other_settings(manifest: Mapping[str, Any], matrix: Matrix) -> list[str]:
    """Settings of a run that decide what becomes of a cell, are no part of its id, and are not those of the configuration."""
    run = mapping(mapping(manifest, "matrix"), "run")
    ours = matrix.run.model_dump(mode="json")
    return [f"{name} = {run[name]}" for name in DECIDING if name in run and run[name] != ours[name]]


def statuses_of(run: Path, table: pd.DataFrame, label: str | None) -> Iterator[tuple[str, dict[str, str]]]:
    """By the label of an image, what became of its cells. SelectionError where the run has nothing to accept, or no name for it."""
    told = table[(table["experiment"] == catalog.PERFORMANCE) & (table["status"] != Status.INFRA_ERROR)]
    labels = sorted(told["image"].unique())
    if not labels:
        raise SelectionError(f"{run} has no cell that was measured for its performance\n  next: nox -s bench-IMAGE, then nox -s accept")
    if label is not None and len(labels) > 1:
        raise SelectionError(
            f"--as {label}: {run} has {len(labels)} images: {', '.join(labels)}\n  next: leave --as out, or name a run of one image"
        )
    for each in labels:
        name = label or each
        mine = told[told["image"] == each]
        yield name, {str(cell): became(rows["status"]) for cell, rows in mine.groupby("cell", sort=True)}


def _told(label: str, changed: list[Change], cells: int) -> str:
    if not changed:
        return f"{label}: {counted(cells, 'cell')}, as accepted"
    lines = [f"{label}: {len(changed)} of {counted(cells, 'cell')} {'differs' if len(changed) == 1 else 'differ'} from what was accepted"]
    lines += [f"  {change}" for change in changed[:SHOWN]]
    return "\n".join([*lines, f"  and {len(changed) - SHOWN} more"] if len(changed) > SHOWN else lines)


if __name__ == "__main__":
    sys.exit(main())
