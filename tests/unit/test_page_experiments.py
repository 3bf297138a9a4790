"""Runs of other experiments in a report: named, told in their own words, and compared with nothing that measured another thing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import catalog
from harness.records import Row, Status
from reports.load import load
from reports.page.build import build
from reports.page.collect import collect
from reports.page.experiments import SENTENCES
from reports.page.model import Page
from reports.page.summary import summary
from tests.unit.page_runs import NOW, decoded, failed, manifest_of, page_of, row, write_run

SAID: dict[str, tuple[dict[str, Any], str]] = {
    "coverage": (
        {"captured_ops": 2, "total_ops": 4, "unique_graphs": 2, "pct_ops": 0.5, "pct_time": 0.412},
        "2 of 4 operators in 2 graphs, 41.2 % of the time",
    ),
    "tolerance": (
        {"eager_error": 1.2e-7, "worst_precision": "bfloat16", "worst_output": "outputs", "worst_error": 2e-3},
        "error 1.2e-07, worst bfloat16 2.0e-03 (outputs)",
    ),
    "nothing": ({}, "ran"),
    "dynamic-shapes": (
        {"speedup": 1.5, "shapes_measured": 4, "speedup_mean": 1.25, "recompiles": 1},
        "1.50x mean 1.25x over 4 shapes, 1 graph compiled again",
    ),
    "recompiles": ({"recompiles": 3, "recompile_reasons": 1, "changes_met": 10}, "3 graphs compiled again in 10 calls, by 1 guard"),
    "baselines": (
        {"speedup": 2.0, "fastest": "inductor", "backends_passed": 2, "backends_failed": 1},
        "2.00x inductor is the fastest of 2, 1 failed",
    ),
    "determinism": (
        {"eager_repeatable": 1, "backend_batch_invariant": 0},
        "eager repeats: yes, the backend keeps its bits in half a batch: no",
    ),
    "largest-batch": ({"largest_batch_size": 384, "eager_peak_beyond_bytes": 3 << 30}, "a batch of 384 fits, 3.0 GiB beyond its inputs"),
    "operators": ({"total_ops": 40, "unique_ops": 12}, "40 operators, 12 of different forms"),
    "inspect": ({"unique_graphs": 2, "cache_lookup_seconds": 2e-5}, "2 graphs, 20 us a cache lookup, files in artifacts/"),
    "overhead": ({"speedup": 0.8, "overhead_seconds": 2.5e-5, "guards": 12}, "0.80x +25 us a call, 12 guards"),
}


def of(experiment: str, name: str = "micro/softmax", launch: int = 0, **columns: Any) -> Row:
    backend = catalog.EXPERIMENT_BACKENDS.get(experiment, "inductor")
    values = {"speedup": None, "backend_latency_seconds": None, "eager_latency_seconds": None, **columns}
    return replace(row(name, backend), experiment=experiment, launch=launch, **values)


@pytest.mark.parametrize("experiment", SAID)
def test_the_terminal_says_what_was_found(experiment: str, tmp_path: Path) -> None:
    columns, text = SAID[experiment]
    found = summary(page_of(write_run(tmp_path / "run", [of(experiment, **columns), of(experiment, "micro/sort")])))
    assert f"({experiment})" in found.splitlines()[0]
    assert text in next(line for line in found.splitlines() if "softmax" in line)
    assert next(line for line in found.splitlines() if "sort" in line).split()[-1] in {"pass", "ran"}, (
        "what says nothing has passed all the same"
    )


def test_what_was_found_before_a_failure_is_told_beside_it(tmp_path: Path) -> None:
    rows = [
        failed("micro/sort", "eager", experiment="largest-batch", launch=0, largest_batch_size=64, eager_peak_beyond_bytes=1 << 30),
        failed("micro/sort", "eager", experiment="largest-batch", launch=1, largest_batch_size=32, eager_peak_beyond_bytes=1 << 29),
        failed("micro/sort", "eager", experiment="largest-batch", launch=2),
        of("nothing", "micro/softmax", launch=3),
        failed("micro/softmax", "eager", experiment="nothing", launch=4),
    ]
    lines = [re.split(r"  +", line) for line in summary(page_of(write_run(tmp_path / "run", rows))).splitlines()[1:3]]
    told = sorted(cell for _, *cells in lines for cell in cells)
    assert told == ["-", "-", "timeout", "timeout: a batch of 32 fits, 512.0 MiB beyond its inputs"], (
        "what fits in every launch that found one"
    )


def test_a_pass_that_has_no_number_says_which(tmp_path: Path) -> None:
    rows = [of("performance", status=Status.PASS_DUE_TO_SKIP), of("performance", "micro/sort", status=Status.PASS_DUE_TO_SKIP, speedup=2.0)]
    lines = summary(page_of(write_run(tmp_path / "run", rows))).splitlines()[1:3]
    assert [line.split("  ")[-1].strip() for line in lines] == ["pass_due_to_skip", "2.00x (pass_due_to_skip)"]


def test_every_experiment_has_its_words() -> None:
    assert set(SAID) == set(SENTENCES) == set(catalog.EXPERIMENTS) - {catalog.PERFORMANCE}


def test_the_median_over_launches_is_told(tmp_path: Path) -> None:
    rows = [of("coverage", launch=launch, captured_ops=launch, total_ops=9, unique_graphs=1) for launch in range(3)]
    assert "1 of 9 operators" in summary(page_of(write_run(tmp_path / "run", rows)))


def test_there_is_no_mean_of_what_is_no_speedup(tmp_path: Path) -> None:
    rows = [of("coverage", captured_ops=1, total_ops=1), failed("micro/sort", "dynamo:eager", experiment="coverage")]
    page = page_of(write_run(tmp_path / "run", rows))
    assert not page.totals
    assert summary(page).splitlines()[-1] == "cpu@1 dynamo:eager (coverage): 1 pass, 1 timeout"


def beside(tmp_path: Path, experiment: str) -> Page:
    """A run of an experiment and one of performance, of the same image, backend and workload."""
    manifest = manifest_of(["cpu@1"], ["cpu@1"])
    rows = [replace(row(backend="dynamo:eager"), experiment=name) for name in (experiment, "performance")]
    paths = [write_run(tmp_path / name, [each], manifest=manifest) for name, each in zip(("first", "second"), rows, strict=True)]
    return build(collect(load(paths)), NOW)


def test_what_two_experiments_measured_is_not_compared(tmp_path: Path) -> None:
    assert beside(tmp_path / "one", "performance").comparisons, "the same experiment is"
    found = beside(tmp_path / "other", "overhead")
    assert found.comparisons == ()
    assert [column.label for column in found.matrix.columns] == ["cpu@1 dynamo:eager (overhead)", "cpu@1 dynamo:eager"]


def test_rows_of_two_experiments_in_one_file_are_two_columns(tmp_path: Path) -> None:
    rows = [replace(row(), experiment="coverage"), replace(row(), experiment="performance", launch=1)]
    found = page_of(write_run(tmp_path / "run", rows))
    assert sorted(column.label for column in found.matrix.columns) == ["cpu@1 inductor", "cpu@1 inductor (coverage)"]


def test_a_cell_is_measured_again_by_its_experiment(tmp_path: Path) -> None:
    cell = {"workload": "micro/softmax", "backend": "dynamo:eager", "options": []}
    manifest = manifest_of(["cpu@1"], ["cpu@1"], cells={"cpu@1": [cell]})
    mine = replace(of("coverage"), cell="micro/softmax dynamo:eager cpu inference float32 small")
    (command,) = page_of(write_run(tmp_path / "run", [mine], manifest=manifest)).matrix.replay
    assert "--image cpu@1 --experiment coverage --only micro/softmax --backend dynamo:eager" in command


def test_the_page_has_the_columns_of_an_experiment(tmp_path: Path) -> None:
    columns, _ = SAID["coverage"]
    blocks = decoded(page_of(write_run(tmp_path / "run", [of("coverage", **columns)])))
    drawer = next(about for name, (about, _) in blocks.items() if name.startswith("bm-drawer"))
    assert drawer["rows"]["experiment"] == ["coverage"]
    assert drawer["rows"]["pct_ops"] == [0.5]
    assert drawer["rows"]["total_ops"] == [4]
