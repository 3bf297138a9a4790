"""A gate that held its candidate against an anchor too: the page has both comparisons, the worse first."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from harness.cell import Cell
from matrix.plan import PlannedImage
from reports.load import load
from reports.page.build import build
from reports.page.collect import collect
from tests.fake_engine import Played
from tests.unit.gate_runs import NEW, OLD
from tests.unit.test_gate_command import BOTH, Run, engine, only_run, run

__all__ = ["engine", "run"]


def creeping(image: PlannedImage, cell: Cell, launch: int) -> Played:
    """The anchor was faster."""
    return Played(seconds=0.9e-3) if image.reference == "pinned" and cell.workload == "micro/softmax" else Played()


@pytest.mark.usefixtures("engine")
def test_what_regressed_against_the_anchor_is_what_the_page_begins_with(tmp_path: Path, run: Run) -> None:
    assert run(*BOTH, "--anchor", "docker://pinned", script=creeping) == 1
    page = build(collect(load([only_run(tmp_path)])), datetime.datetime.now(datetime.timezone.utc))
    first, second = page.comparisons[:2]
    assert [(each.baseline, each.candidate, each.decision) for each in (first, second)] == [
        ("docker://pinned", NEW.label, "regressed"),
        (OLD.label, NEW.label, "pass"),
    ]
    assert ("held against", "the anchor") in first.facts
    assert first.baseline_image not in (None, second.baseline_image)
    worst = first.cells[0]
    assert (worst.report.verdict, worst.baseline is not None) == ("regressed", True)
