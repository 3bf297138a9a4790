"""Pages that several tests look at, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.records import Row, Status
from reports.gate.outputs.as_json import to_json
from reports.gate.procedure import Verdict
from reports.gate.report import Change, Decision, Side
from tests.benchmarks.page_data import Shape, write_run, write_versions
from tests.browser.watched import Watched, made, watching
from tests.unit.gate_samples import cell, finding, report
from tests.unit.page_runs import manifest_of
from tests.unit.page_runs import row as small_row
from tests.unit.page_runs import write_run as write_small

LONG = "x" * 150 + "-" + "deep/" * 30
"""A name without a space, as long as three lines of a wide window."""
SHAPE = Shape(cells=48, images=2, launches=4, samples=12, failing=0.1)


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
    """Runs of versions in a row, the later ones slower by 15 %."""
    folder = tmp_path_factory.mktemp("history")
    return made(*write_versions(folder, growth=0.15), output=folder / "report.html")


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


@pytest.fixture(scope="session")
def wide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images, 24 columns: more than any window has room for. All but their versions is the same."""
    folder = tmp_path_factory.mktemp("wide")
    run = write_run(folder / "run", Shape(cells=16, images=6, launches=1, samples=2, failing=0.05))
    for name in ("results.csv", "manifest.json"):
        path = run / name
        path.write_text(path.read_text().replace("cpu@2.", "registry.example.com/team/project/pytorch-nightly@2."))
    return made(run, output=folder / "report.html")


@pytest.fixture(scope="session")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs whose every name is far too long, one of them with a gate's verdicts on it."""
    folder = tmp_path_factory.mktemp("long")
    runs = []
    for day in range(1, 4):
        images = [f"{LONG}@{day}.{version}" for version in range(2)]
        about = manifest_of(
            images, images * 2, day=day, command=[LONG] * 3, seed=LONG, excluded=[{"image": LONG, "cell": LONG, "reason": LONG}]
        )
        for start in about["starts"]:
            start["machine"] = {"cpu": LONG, LONG: LONG, "kernel": LONG}
            start["packages"] = {LONG: f"{LONG}{start['image'][-1]}"}
        rows = [row for launch, image in enumerate(images * 2) for row in _long_rows(image, launch)]
        runs.append(write_small(folder / f"{'x' * 180}-{day}", rows, manifest=about))
    long_cell = f"{LONG}/a {LONG} cpu"
    found = report(
        cell(LONG, Verdict.REGRESSED, finding(Verdict.REGRESSED, reason=LONG), replay=LONG, expected=LONG, candidate_status=LONG),
        cell(f"{LONG}/gone", Verdict.REGRESSED, finding(Verdict.REGRESSED, ratio=None, reason=LONG), candidate_status=LONG),
        cell(f"{LONG}/unsure", Verdict.INCONCLUSIVE, finding(Verdict.INCONCLUSIVE, ratio=None, reason=LONG), baseline_status=LONG),
        decision=Decision.REGRESSED,
        why=LONG,
        capped=LONG,
        machine=LONG,
        notes=(LONG,),
        baseline=Side(label=images[0], digest=LONG, packages={LONG: LONG}, python=LONG),
        candidate=Side(label=images[1], digest=LONG, packages={LONG: f"{LONG}1"}, python=f"{LONG}1"),
        changes=(Change(what=LONG, baseline=LONG, candidate=f"{LONG}1"),),
        lost_cells=(long_cell,),
        new_cells=(long_cell,),
    )
    (runs[-1] / "gate.json").write_text(to_json(found))
    return made(*runs, output=folder / "report.html")


def _long_rows(image: str, launch: int) -> Iterator[Row]:
    axes: dict[str, Any] = {"image": image, "launch": launch, "suite": LONG, "dev": LONG, "precision": LONG, "shapes": LONG}
    for number, backend in enumerate((LONG, f"{LONG}2")):
        about = {**axes, "backend": backend, "options": LONG, "compilation_latency": 1.0 + number, "evidence": LONG, "log": LONG}
        yield small_row(f"{LONG}/a", **about, cell=f"a{number}", warnings=LONG, mode=LONG)
        yield small_row(f"{LONG}/b", **about, cell=f"b{number}", status=Status.crash("SIGSEGV"), reason=LONG, speedup=None, mode=f"{LONG}2")
        yield small_row(f"{LONG}/c", **about, cell=f"c{number}", mode=f"{LONG}2")
