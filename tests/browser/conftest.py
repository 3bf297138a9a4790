"""Pages that several tests look at, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.gate.outputs.as_json import to_json
from reports.gate.procedure import Verdict
from reports.gate.report import Decision, Side
from tests.benchmarks.page_data import Shape, write_run
from tests.browser.watched import Watched, made, watching
from tests.unit.gate_samples import cell, finding, report

SHAPE = Shape(cells=48, images=2, launches=4, samples=12, failing=0.1)
RUNS = 6


@pytest.fixture
def watched(chromium: str) -> Iterator[Watched]:
    with watching(chromium) as found:
        yield found


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of two images, four launches each, with failures and warnings, and no gate."""
    folder = tmp_path_factory.mktemp("page")
    return made(write_run(folder / "run", SHAPE), output=folder / "report.html")


@pytest.fixture(scope="session")
def history_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one image in a row of versions; the fourth is slower by 15 %, and those after it stay so."""
    folder = tmp_path_factory.mktemp("history")
    runs = [
        write_run(
            folder / f"run-{number}",
            Shape(cells=8, images=1, launches=4, samples=4, failing=0.0, day=number, versions=number // 3, growth=0.15, noise=0.003),
        )
        for number in range(RUNS)
    ]
    return made(*runs, output=folder / "report.html")


@pytest.fixture(scope="session")
def gated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the gate, with every verdict."""
    folder = tmp_path_factory.mktemp("gated")
    run = write_run(folder / "run", Shape(cells=8, images=2, launches=2, samples=4, failing=0.0))
    found = report(
        cell("micro/workload_00000", Verdict.REGRESSED, finding(Verdict.REGRESSED, reason="4.1 % slower, and that is sure")),
        cell("micro/gone", Verdict.REGRESSED, finding(Verdict.REGRESSED, metric="status", ratio=None, low=None, high=None, reason="lost")),
        cell("micro/unsure", Verdict.INCONCLUSIVE, finding(Verdict.INCONCLUSIVE, ratio=1.01, low=None, high=1.2, reason="too few")),
        cell("torchbench/workload_00001", Verdict.IMPROVED, finding(Verdict.IMPROVED, ratio=0.9, low=0.88, high=0.92, reason="faster")),
        cell("micro/same", Verdict.EQUIVALENT, finding(Verdict.EQUIVALENT, ratio=1.001, low=0.99, high=1.01)),
        decision=Decision.REGRESSED,
        baseline=Side(label="cpu@2.10", digest="sha256:1", packages={"torch": "2.13"}, python="3.11.7"),
        candidate=Side(label="cpu@2.11", digest="sha256:2", packages={"torch": "2.14"}, python="3.11.8"),
        lost_cells=("micro/gone inductor cpu inference float32 small",),
    )
    (run / "gate.json").write_text(to_json(found))
    return made(run, output=folder / "report.html")
