"""Runs in the order of time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports.page.model import Page
from tests.unit.page_runs import MACHINE, failed, manifest_of, page_of, row, texts, write_run


def runs(folder: Path, levels: list[float], *, machines: dict[int, str] | None = None, launches: int = 1) -> Page:
    """A run a day, each of the next version of an image, named so that their order is not that of time."""
    paths = []
    for day, level in enumerate(levels, start=1):
        label = f"cpu@{day}"
        manifest = manifest_of([label], [label] * launches, day=day)
        for start in manifest["starts"]:
            start["machine"] = MACHINE | {"cpu": (machines or {}).get(day, "AMD EPYC")}
        noise = np.random.default_rng(day).lognormal(0, 0.005, launches)
        rows = [row(image=label, launch=number, backend_latency_seconds=1e-3 * level * float(noise[number])) for number in range(launches)]
        paths.append(write_run(folder / f"run-{99 - day}", rows, manifest=manifest))
    return page_of(*reversed(paths))


def test_a_line_per_cell_in_the_order_of_time(tmp_path: Path) -> None:
    history = runs(tmp_path, [1.0, 2.0, 3.0]).history
    assert [point.label for point in history.points] == ["cpu@1", "cpu@2", "cpu@3"]
    assert history.seconds.shape == (1, 3)
    assert history.seconds[0] == pytest.approx([1e-3, 2e-3, 3e-3], rel=0.02)
    assert (texts(history.family), texts(history.clock), texts(history.backend)) == (["cpu"], ["host"], ["inductor"])
    assert np.isnan(history.low).all(), "one launch has no interval"


def test_launches_enough_have_an_interval(tmp_path: Path) -> None:
    history = runs(tmp_path, [1.0, 1.0], launches=6).history
    assert (history.low < history.seconds).all()
    assert (history.seconds < history.high).all()


def test_a_step_is_listed_with_the_version_that_brought_it(tmp_path: Path) -> None:
    page = runs(tmp_path, [1.0, 1.01, 1.0, 0.99, 1.2, 1.21, 1.19, 1.2])
    (step,) = page.history.steps
    assert (page.history.points[step.before].label, page.history.points[step.point].label) == ("cpu@4", "cpu@5")
    assert step.ratio == pytest.approx(1.2, rel=0.02)
    changes = page.history.differences[step.difference].changes
    assert [(change.what, change.baseline, change.candidate) for change in changes] == [("torch", "cpu@4", "cpu@5")]


def test_another_machine_is_another_line(tmp_path: Path) -> None:
    history = runs(tmp_path, [1.0, 2.0, 1.0, 2.0], machines={2: "other", 4: "other"}).history
    assert history.seconds.shape == (2, 4)
    assert sorted(np.flatnonzero(np.isfinite(series)).tolist() for series in history.seconds) == [[0, 2], [1, 3]]
    assert len(set(history.machine.tolist())) == 2


def test_runs_of_no_known_machine_are_not_joined(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name, [row(started_at=f"2026-01-0{name}T00:00:00")]) for name in ("1", "2")]
    history = page_of(*paths).history
    assert len(history.line) == 0
    assert "same machine" in history.note


def test_what_failed_is_a_gap(tmp_path: Path) -> None:
    paths = []
    for day in (1, 2, 3):
        rows = [failed(image="cpu@1")] if day == 2 else [row(image="cpu@1")]
        paths.append(write_run(tmp_path / f"run-{day}", rows, manifest=manifest_of(["cpu@1"], ["cpu@1"], day=day)))
    history = page_of(*paths).history
    assert np.isfinite(history.seconds[0]).tolist() == [True, False, True]


def test_one_run_is_no_history(tmp_path: Path) -> None:
    history = page_of(write_run(tmp_path / "run", [row()], manifest=manifest_of(["cpu@1"], ["cpu@1"]))).history
    assert (len(history.line), history.steps) == (0, ())
    assert "name several" in history.note


@pytest.mark.parametrize(
    ("reference", "family"),
    [
        ("registry:5000/team/torch:2.1", "docker://registry:5000/team/torch"),
        ("torch@sha256:0", "docker://torch"),
        ("torch", "docker://torch"),
    ],
)
def test_versions_of_a_reference_are_one_line(tmp_path: Path, reference: str, family: str) -> None:
    label = f"docker://{reference}"
    paths = []
    for day in (1, 2):
        manifest = manifest_of([label], [label], day=day)
        manifest["images"][0] |= {"name": "cpu", "reference": reference}
        paths.append(write_run(tmp_path / f"run-{day}", [row(image=label)], manifest=manifest))
    assert texts(page_of(*paths).history.family) == [family]
