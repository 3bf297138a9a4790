"""What a gate goes by when its rows are there: said once on the command line, and kept for whoever resumes it."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matrix.config import Matrix
from matrix.errors import SelectionError
from reports.accepted import FOLDER
from reports.gate.baseline_file import BaselineUnreadable, read_baseline

KEY = "ending"
"""Of the gate's part of the manifest."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    expected_failures: Path
    accepted: Path
    """Folder."""
    save_baseline: Path | None
    inconclusive_passes: bool

    def as_json(self) -> dict[str, Any]:
        saved = None if self.save_baseline is None else str(self.save_baseline)
        return {
            "expected_failures": str(self.expected_failures),
            "accepted": str(self.accepted),
            "save_baseline": saved,
            "inconclusive_passes": self.inconclusive_passes,
        }


def ending_of(options: argparse.Namespace, matrix: Matrix) -> Ending:
    """Raises SelectionError for a baseline file that cannot be written: before anything is measured, not after."""
    return Ending(
        expected_failures=options.config.absolute().parent / matrix.gate.expected_failures,
        accepted=options.config.absolute().parent / FOLDER,
        save_baseline=_writable(options.save_baseline),
        inconclusive_passes=options.inconclusive == "pass",
    )


def ending_again(about: Mapping[str, Any], options: argparse.Namespace, matrix: Matrix) -> Ending:
    """As it was begun, but for what this command says itself. KeyError, TypeError where the manifest's does not read."""
    if KEY not in about:
        # A trial of a search has no end of its own.
        return ending_of(options, matrix)
    kept = about[KEY]
    begun = Ending(
        expected_failures=Path(kept["expected_failures"]),
        accepted=Path(kept["accepted"]),
        save_baseline=None if kept["save_baseline"] is None else Path(kept["save_baseline"]),
        inconclusive_passes=bool(kept["inconclusive_passes"]),
    )
    if options.save_baseline is not None:
        begun = dataclasses.replace(begun, save_baseline=_writable(options.save_baseline))
    if options.inconclusive is not None:
        begun = dataclasses.replace(begun, inconclusive_passes=options.inconclusive == "pass")
    return begun


def _writable(path: Path | None) -> Path | None:
    if path is None:
        return None
    found = path.absolute()
    if found.is_dir() or not found.parent.is_dir():
        what = "is a folder" if found.is_dir() else f"cannot be made: there is no folder {found.parent}"
        raise SelectionError(f"--save-baseline {path} {what}\n  next: name a file in a folder that is there")
    if found.exists():
        try:
            read_baseline(found)
        except BaselineUnreadable:
            raise SelectionError(f"--save-baseline {path}: the file that is there is no baseline\n  next: name another file") from None
    return found
