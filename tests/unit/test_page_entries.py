"""The matrix's entries: medians, intervals, what became of a cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.records import Status, Warn
from reports.page.metrics import METRICS
from reports.page.model import Page
from tests.benchmarks.page_data import Shape
from tests.benchmarks.page_data import write_run as write_made_up
from tests.unit.page_runs import failed, manifest_of, page_of, row, texts, write_run


def number(page: Page, name: str, entry: int = 0) -> float:
    return float(page.matrix.entries.numbers[name][entry])


def test_numbers_are_medians_over_the_launches_that_passed(tmp_path: Path) -> None:
    run = write_made_up(tmp_path / "run", Shape(cells=24, images=2, launches=5, samples=1, failing=0.1))
    page = page_of(run)
    rows = pd.read_csv(run / "results.csv")
    rows = rows[rows["status"] == "pass"]
    columns = {
        "speedup": "speedup",
        "host_seconds": "backend_latency_seconds",
        "compile_seconds": "compilation_latency",
        "error": "backend_error",
    }
    columns |= {"eager_error": "eager_error", "break_even_calls": "break_even_calls", "graph_breaks": "graph_breaks"}
    expected = rows.groupby(["name", "image", "backend"])[list(columns.values())].median()
    entries = page.matrix.entries
    for entry, (line, column) in enumerate(zip(entries.line.tolist(), entries.column.tolist(), strict=True)):
        about = page.matrix.columns[column]
        key = (page.matrix.lines[line].workload, page.images[about.image].label, about.backend)
        for metric, name in columns.items():
            never = metric == "break_even_calls" and key in expected.index and expected.loc[key, "speedup"] <= 1
            if key in expected.index and not never:
                np.testing.assert_allclose(number(page, metric, entry), expected.loc[key, name], rtol=1e-12)
            else:
                assert np.isnan(number(page, metric, entry))


def test_every_metric_of_the_choice_is_there(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", [row()]))
    assert {metric.name for metric in METRICS} <= page.matrix.entries.numbers.keys()


def test_the_interval_is_that_of_the_signed_rank_test_over_launches(tmp_path: Path) -> None:
    """By brute force: the ratios that the test does not reject, two-sided at 10 %."""
    speedups = np.exp(np.random.default_rng(3).normal(0.4, 0.05, 9))
    rows = [row(launch=launch, speedup=float(value), speedup_low=0.1, speedup_high=9.0) for launch, value in enumerate(speedups)]
    page = page_of(write_run(tmp_path / "run", rows))
    low, high = number(page, "speedup_low"), number(page, "speedup_high")
    assert texts(page.matrix.entries.interval_of) == ["launches"]

    def rejected(ratio: float) -> bool:
        return any(
            stats.wilcoxon(np.log(speedups) - np.log(ratio), alternative=side, method="exact").pvalue <= 0.05
            for side in ("greater", "less")
        )

    # A touch inside the bounds nothing is rejected, a touch outside it is.
    assert not rejected(low * 1.0001)
    assert not rejected(high * 0.9999)
    assert rejected(low * 0.9999)
    assert rejected(high * 1.0001)


def test_few_launches_have_the_interval_of_their_samples_or_none(tmp_path: Path) -> None:
    few = [row("micro/a", launch=launch, speedup_low=1.5 + launch, speedup_high=2.5 + launch) for launch in range(4)]
    page = page_of(write_run(tmp_path / "run", [*few, row("micro/b")]))
    assert texts(page.matrix.entries.interval_of) == ["samples", ""]
    assert (number(page, "speedup_low"), number(page, "speedup_high")) == (3.0, 4.0)
    assert np.isnan(number(page, "speedup_low", 1))


def test_a_failed_launch_is_not_hidden_by_passed_ones(tmp_path: Path) -> None:
    rows = [row(launch=0, speedup=1.0), failed(launch=1, status="crash:SIGSEGV", reason="killed"), row(launch=2, speedup=3.0)]
    entries = page_of(write_run(tmp_path / "run", rows)).matrix.entries
    assert (texts(entries.status), texts(entries.reason)) == (["crash:SIGSEGV"], ["killed"])
    assert (entries.launches.tolist(), entries.passed.tolist()) == ([3], [2])
    assert entries.numbers["speedup"].tolist() == [2.0]


def test_warnings_of_all_launches_are_shown_once_each(tmp_path: Path) -> None:
    rows = [row(launch=0, warnings="drift;throttled"), row(launch=1, warnings="contended;drift"), row("micro/b")]
    assert texts(page_of(write_run(tmp_path / "run", rows)).matrix.entries.warnings) == ["contended;drift;throttled", ""]


def test_launches_that_fall_into_modes_are_unstable_together(tmp_path: Path) -> None:
    """No launch can know it: each is quiet by itself."""
    steady = [row("micro/one", launch=index, backend_latency_seconds=1e-3 * (1 + 0.001 * index)) for index in range(6)]
    moded = [
        row("micro/two", launch=index, backend_latency_seconds=(1.1e-3, 2.6e-3)[index % 2] * (1 + 0.001 * index)) for index in range(6)
    ]
    page = page_of(write_run(tmp_path / "run", [*steady, *moded]))
    assert texts(page.matrix.entries.warnings) == ["", Warn.UNSTABLE.value]
    assert number(page, "spread") == pytest.approx(0.005, rel=0.01)


def test_the_ancestor_s_milliseconds_are_seconds(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", [row(backend_latency_seconds=None, abs_latency=1.5)]))
    assert number(page, "host_seconds") == 1.5e-3


def test_what_is_wrong_has_an_error_and_no_time(tmp_path: Path) -> None:
    rows = [row(status=Status.FAIL_ACCURACY, backend_error=0.5)]
    page = page_of(write_run(tmp_path / "run", rows))
    assert number(page, "error") == 0.5
    assert np.isnan(number(page, "speedup"))


def test_an_image_against_itself_has_two_columns(tmp_path: Path) -> None:
    sides = ("baseline", "candidate")
    manifest = manifest_of(["cpu@1"], ["cpu@1"] * 4, gate={"baseline": "cpu@1", "candidate": "cpu@1"})
    for number_of, launch in enumerate(manifest["launches"]):
        launch |= {"block": number_of // 2, "side": sides[number_of % 2]}
    rows = [row(launch=launch, speedup=1.0 + launch % 2) for launch in range(4)]
    page = page_of(write_run(tmp_path / "run", rows, manifest=manifest))
    assert [column.label for column in page.matrix.columns] == ["cpu@1 (baseline) inductor", "cpu@1 (candidate) inductor"]
    assert page.matrix.entries.numbers["speedup"].tolist() == [1.0, 2.0]
    assert page.comparisons[0].cells[0].report.findings[0].blocks == 2


def test_no_block_of_a_manifest_makes_a_table_too_large(tmp_path: Path) -> None:
    manifest = manifest_of(["cpu@1"], ["cpu@1"] * 2)
    manifest["launches"][1]["block"] = 10**12
    manifest["launches"][0]["block"] = -5
    page = page_of(write_run(tmp_path / "run", [row(launch=0), row(launch=1)], manifest=manifest))
    assert page.matrix.entries.launches.tolist() == [2]
