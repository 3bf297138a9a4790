"""Totals beside an independent computation with pandas, from the CSV file alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.records import Status
from reports.page.model import Page, Total
from reports.page.totals import common_lines, geomean
from tests.benchmarks.page_data import Shape
from tests.benchmarks.page_data import write_run as write_made_up
from tests.unit.page_runs import failed, page_of, row, write_run


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_made_up(tmp_path_factory.mktemp("totals") / "run", Shape(cells=160, images=2, launches=3, samples=1, failing=0.07))


def by_pandas(run: Path) -> pd.DataFrame:
    """A line per cell and image: median speedup over launches, NaN where any launch failed."""
    rows = pd.read_csv(run / "results.csv")
    groups = rows.groupby(["image", "backend", "suite", "name"])
    found = groups["speedup"].median().to_frame()
    found["passed"] = groups["status"].apply(lambda statuses: bool((statuses == "pass").all()))
    found["launches"], found["launches_passed"] = groups.size(), groups["status"].apply(lambda statuses: int((statuses == "pass").sum()))
    found.loc[~found["passed"], "speedup"] = np.nan
    return found.reset_index()


def total(page: Page, image: str, backend: str, suite: str) -> Total:
    (found,) = (
        total
        for total in page.totals
        if (page.matrix.columns[total.column].label, total.suite, total.clock) == (f"{image} {backend}", suite, "host")
    )
    return found


@pytest.mark.parametrize("suite", ["", "micro", "timm"])
def test_geomeans_are_those_of_pandas(made_up: Path, suite: str) -> None:
    page, cells = page_of(made_up), by_pandas(made_up)
    mine = cells if not suite else cells[cells["suite"] == suite]
    table = mine.pivot_table(index="name", columns=["image", "backend"], values="speedup", dropna=False)
    common = table.dropna()
    assert 0 < len(common) < len(table), "some of them have to be missing"
    for image, backend in map(tuple, table.columns):
        values, found = table[image, backend], total(page, image, backend, suite)
        assert found.geomean == pytest.approx(np.exp(np.log(common[image, backend]).mean()), rel=1e-9)
        assert (found.common, found.planned, found.missing) == (len(common), len(values), len(values) - len(common))
        of_backend = table.xs(backend, axis=1, level="backend").dropna()
        assert found.backend_geomean == pytest.approx(np.exp(np.log(of_backend[image]).mean()), rel=1e-9)
        assert found.backend_common == len(of_backend) > len(common)
        assert found.own_geomean == pytest.approx(np.exp(np.log(values.dropna()).mean()), rel=1e-9)
        assert (found.own, found.failed) == (values.notna().sum(), values.isna().sum())
        assert found.geomean is not None
        assert found.as_eager is not None
        log = np.log(common[image, backend])
        assert found.as_eager == pytest.approx(np.exp(log.sum() / (len(log) + values.isna().sum())), rel=1e-9)
        assert found.as_eager is not None
        assert found.geomean is not None
        assert min(1.0, found.geomean) <= found.as_eager <= max(1.0, found.geomean), "a bound of the bar, by the lines that the bar is of"


def test_what_was_not_checked_is_in_no_mean(tmp_path: Path) -> None:
    rows = [row("micro/a", speedup=2.0), row("micro/b", speedup=9.0, status=Status.PASS_DUE_TO_SKIP)]
    (found,) = (each for each in page_of(write_run(tmp_path / "run", rows)).totals if (each.suite, each.clock) == ("", "host"))
    assert [found.geomean, found.own_geomean, found.as_eager] == pytest.approx([2.0] * 3)
    assert (found.common, found.planned, found.missing, found.failed) == (1, 2, 1, 0)


def test_pass_rates_are_those_of_pandas(made_up: Path) -> None:
    page, cells = page_of(made_up), by_pandas(made_up)
    for rate in page.pass_rates:
        column = page.matrix.columns[rate.column]
        mine = cells[(cells["image"] + " " + cells["backend"] == column.label) & (cells["suite"].str.startswith(rate.suite))]
        assert (rate.cells, rate.passed) == (len(mine), mine["passed"].sum())
        assert (rate.rows, rate.rows_passed) == (mine["launches"].sum(), mine["launches_passed"].sum())
        assert sum(count for _, count in rate.statuses) == rate.cells
        assert rate.low <= rate.passed / rate.cells <= rate.high
    assert {rate.suite for rate in page.pass_rates} == {"", "micro", "torchbench", "huggingface", "timm"}


def test_slowdowns_are_not_clipped_and_failures_count_as_eager(tmp_path: Path) -> None:
    rows = [row("micro/a", "x", speedup=0.25), row("micro/b", "x", speedup=4.0), failed("micro/c", "x")]
    rows += [row("micro/a", "y", speedup=0.5), row("micro/b", "y", speedup=0.5), row("micro/c", "y", speedup=0.5)]
    x, y = (total for total in page_of(write_run(tmp_path / "run", rows)).totals if total.suite == "")
    assert (x.common, x.missing, x.failed) == (2, 1, 1)
    assert x.geomean == pytest.approx(1.0)
    assert x.as_eager == pytest.approx((0.25 * 4.0 * 1.0) ** (1 / 3))  # both common lines, and the one that it failed
    assert [y.geomean, y.as_eager] == pytest.approx([0.5, 0.5])
    assert y.missing == 1


def test_a_column_without_speedups_takes_no_line_away(tmp_path: Path) -> None:
    rows = [row("micro/a", "x"), row("micro/a", "checked", speedup=None)]
    (found,) = (total for total in page_of(write_run(tmp_path / "run", rows)).totals if total.suite == "")
    assert (found.column, found.common) == (0, 1)


def test_what_only_launches_of_another_clock_tell_is_another_total(tmp_path: Path) -> None:
    rows = [row("micro/a", speedup=1.5, device_speedup=3.0), row("micro/b", speedup=2.0)]
    found = {total.clock: total for total in page_of(write_run(tmp_path / "run", rows)).totals if total.suite == ""}
    assert (found["host"].common, found["device"].common) == (2, 1)
    assert found["device"].geomean == pytest.approx(3.0)
    assert found["device"].failed == 0


def test_common_lines_and_means_of_nothing() -> None:
    assert geomean([]) is None
    assert common_lines(np.zeros((0, 2))).tolist() == []
    assert common_lines(np.full((2, 2), np.nan)).tolist() == [False, False]


def test_when_compiling_pays(tmp_path: Path) -> None:
    rows = [
        row(f"micro/{calls}", compilation_latency=1.0, break_even_calls=float(calls) if calls else None, speedup=2.0 if calls else 0.9)
        for calls in (0, 100, 200, 300, 400)
    ]
    rows.append(row("micro/unsaid", compilation_latency=1.0, speedup=2.0))
    # One launch of three found it faster, and said how soon it would pay: the cell is slower all the same.
    rows += [
        row("micro/slower", launch=launch, compilation_latency=1.0, speedup=speedup, break_even_calls=calls)
        for launch, (speedup, calls) in enumerate([(0.8, None), (1.1, 50.0), (0.9, None)])
    ]
    page = page_of(write_run(tmp_path / "run", rows))
    (all_suites, micro) = page.paybacks
    by_name = dict(zip((line.workload for line in page.matrix.lines), page.matrix.entries.never_pays.tolist(), strict=True))
    assert [name for name, never in by_name.items() if never] == ["micro/0", "micro/slower"]
    assert (all_suites.pays, all_suites.never) == (4, 2)
    assert all_suites.quartiles == pytest.approx((175.0, 250.0, 325.0))
    assert micro.suite == "micro"


def test_the_front_of_compile_time_and_speedup(tmp_path: Path) -> None:
    points = {"fast": (8.0, 3.0), "cheap": (1.0, 1.2), "beaten": (9.0, 2.0), "equal": (1.0, 1.2)}
    rows = [
        row(f"micro/{number}", backend, compilation_latency=seconds, speedup=speedup)
        for backend, (seconds, speedup) in points.items()
        for number in range(2)
    ]
    page = page_of(write_run(tmp_path / "run", rows))
    found = {page.matrix.columns[point.column].backend: point for point in page.tradeoffs if point.suite == ""}
    assert {name for name, point in found.items() if point.on_front} == {"fast", "cheap", "equal"}
    assert all(math.isclose(found[name].compile_seconds, seconds) for name, (seconds, _) in points.items())
    assert {point.cells for point in found.values()} == {2}


def test_a_status_is_counted_once_for_a_cell_and_once_for_a_row(tmp_path: Path) -> None:
    rows = [row(launch=0), failed(launch=1, status="crash:SIGSEGV"), row(launch=2)]
    page = page_of(write_run(tmp_path / "run", rows))
    assert dict(page.matrix.columns[0].statuses) == {Status.PASS: 2, "crash:SIGSEGV": 1}
    assert (page.pass_rates[0].passed, page.pass_rates[0].cells, page.pass_rates[0].rows_passed) == (0, 1, 2)
