"""Images beside each other: what gates have said, word for word, and what may be said without one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import matrix.ready
import reports.gate.__main__ as command
from harness.records import Row, Status
from reports.gate.outputs.as_json import read
from reports.page.beside import TWO_RUNS, UNJUDGED
from reports.page.forest import KINDS, forest
from reports.page.model import Comparison
from reports.page.payload import lead
from reports.page.summary import summary
from tests.fake_engine import Played, PlayedEngine
from tests.unit.gate_runs import TEXT, planted
from tests.unit.page_runs import MACHINE, decoded, failed, manifest_of, page_of, row, write_run

OLD, NEW = "cpu@1", "cpu@2"
IN_TURNS = [OLD, NEW] * 6


def seconds_of(ratio: float, seed: int = 0, count: int = 6) -> list[float]:
    return [1e-3 * ratio * float(noise) for noise in np.random.default_rng(seed).lognormal(0, 0.01, count)]


def rows_of(image: str, seconds: list[float], first: int, name: str = "micro/softmax", step: int = 2) -> list[Row]:
    return [row(name, image=image, launch=first + step * number, backend_latency_seconds=value) for number, value in enumerate(seconds)]


def compared(tmp_path: Path, *rows: Row) -> Comparison:
    (found,) = page_of(write_run(tmp_path / "run", rows, manifest=manifest_of([OLD, NEW], IN_TURNS))).comparisons
    return found


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gate's run, by its own command: regressed, improved, broken, noisy, lost in places, and a cell that only one image has."""
    folder = tmp_path_factory.mktemp("gated")
    script = planted(
        softmax=Played(seconds=1.2e-3), layer_norm=Played(seconds=0.8e-3), gather=Played(status="crash:SIGSEGV"), sort=Played(noise=0.5)
    )
    config = folder / "matrix.toml"
    config.write_text(f"{TEXT}\n[gate]\nlooks = [6]\nconfirm = 6\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix.ready, "choose_engine", lambda *arguments: (PlayedEngine(script), {"name": "fake"}))
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(command, "interruptible", contextlib.nullcontext)
        patch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        options = ["--config", str(config), "--results", str(folder / "results"), "--baseline", "cpu@old", "--candidate", "cpu@new"]
        assert command.main(options) == 1
    (run,) = (folder / "results").iterdir()
    return run


def test_what_a_gate_said_is_on_the_page_as_it_is_in_its_file(gated: Path) -> None:
    gate, page = read(gated / "gate.json"), page_of(gated)
    (found,) = page.comparisons
    assert found.by_gate
    assert (found.decision, found.why, found.capped, found.notes) == (gate.decision.value, gate.why, gate.capped, gate.notes)
    assert (found.lost, found.new, found.difference.changes) == (gate.lost_cells, gate.new_cells, gate.changes)
    assert tuple(cell.report for cell in found.cells) == gate.cells, "verdicts, numbers and order"
    assert {cell.report.verdict.value for cell in found.cells} >= {"regressed", "improved", "equivalent"}
    ratios = [finding.ratio for cell in gate.cells for finding in cell.findings if finding.metric in ("latency", "image_time")]
    assert found.geomean == pytest.approx(math.exp(np.mean(np.log([ratio for ratio in ratios if ratio]))))
    assert found.level == pytest.approx(0.9)


def test_a_gate_of_eager_alone_is_shown_over_its_baseline(gated: Path, tmp_path: Path) -> None:
    """Eager over its own eager is 1, whatever has become slower."""
    assert page_of(gated).reference is None, "there is something to see over eager"
    eager = tmp_path / "eager"
    shutil.copytree(gated, eager)
    for path in eager.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"inductor", b"eager"))
    page = page_of(eager)
    (comparison,) = page.comparisons
    assert page.reference is not None
    found = page.matrix.columns[page.reference]
    assert (found.image, found.backend) == (comparison.baseline_image, "eager")
    assert page_of(write_run(tmp_path / "one", [row(backend="eager")])).reference is None, "nothing was judged"


def test_every_cell_of_a_gate_is_tied_to_its_line_and_entries(gated: Path) -> None:
    page = page_of(gated)
    for cell in page.comparisons[0].cells:
        assert cell.line is not None
        for entry, image in ((cell.baseline, "cpu@old"), (cell.candidate, "cpu@new")):
            assert entry is not None
            column = page.matrix.columns[page.matrix.entries.column[entry]]
            assert page.images[column.image].label == image
            assert page.matrix.lines[cell.line].workload == cell.report.cell.partition(" ")[0]


def test_the_file_has_the_gate_s_verdicts_and_numbers(gated: Path) -> None:
    """As a browser reads them."""
    gate, blocks = read(gated / "gate.json"), decoded(page_of(gated))
    (found,) = blocks["bm-compare"][0]
    words = found["verdict"]
    assert [words["words"][code] for code in words["codes"]] == [cell.verdict.value for cell in gate.cells]
    for place, cell in enumerate(gate.cells):
        time = next((finding for finding in cell.findings if finding.metric in ("latency", "image_time")), None)
        for name in ("ratio", "low", "high"):
            expected = getattr(time, name) if time else None
            assert found[name][place] == (None if expected is None else pytest.approx(expected, rel=1e-4))
        leading = lead(cell)
        assert leading is not None
        assert found["reason"]["words"][found["reason"]["codes"][place]] == leading.reason
    told = [report["report"]["cell"] for report in blocks["bm-drawer-0"][0]["compared"]]
    assert sorted(told) == sorted(cell.cell for cell in gate.cells)


def write_voided(gated: Path, run: Path, blocks: Sequence[int]) -> Path:
    """A run of three blocks, in some of which the gate has voided the baseline."""
    manifest = manifest_of([OLD, NEW], [OLD, NEW] * 3)
    for number, launch in enumerate(manifest["launches"]):
        launch |= {"block": number // 2, "side": ("baseline", "candidate")[number % 2]}
    rows = rows_of(OLD, [1e-3, 5e-3, 1e-3], 0) + rows_of(NEW, [1e-3] * 3, 1)
    write_run(run, rows, manifest=manifest)
    report = json.loads((gated / "gate.json").read_text())
    about = {
        "cells": [],
        "lost_cells": [],
        "new_cells": [],
        "voided": [{"block": block, "image": "baseline", "cell": rows[0].cell, "reason": "throttled"} for block in blocks],
    }
    (run / "gate.json").write_text(
        json.dumps(report | about | {side: report[side] | {"label": label} for side, label in (("baseline", OLD), ("candidate", NEW))})
    )
    return run


def test_what_a_gate_did_not_look_at_is_marked_and_not_in_the_medians(gated: Path, tmp_path: Path) -> None:
    page = page_of(write_voided(gated, tmp_path / "run", [1]))
    assert page.matrix.entries.numbers["host_seconds"].tolist() == [1e-3, 1e-3]
    assert page.matrix.entries.is_void.tolist() == [False, False]
    void = page.matrix.rows.columns["void"]
    assert [void.words[code] for code in void.codes] == ["", "throttled", "", "", "", ""]  # type: ignore[union-attr]


def test_a_cell_whose_launches_are_all_void_has_no_numbers_and_says_so(gated: Path, tmp_path: Path) -> None:
    page = page_of(write_voided(gated, tmp_path / "run", [0, 1, 2]))
    entries = page.matrix.entries
    assert entries.is_void.tolist() == [True, False]
    assert np.isnan(entries.numbers["host_seconds"]).tolist() == [True, False]
    assert decoded(page)["bm-matrix"][0]["entries"]["void"] == [0]
    assert dataclasses.replace(entries, launches=entries.launches + 1).is_void.tolist() == [False, False], "a failure is said before"
    said = summary(page).splitlines()
    assert "void" in said[1]
    assert "1 cell aside" in said[2]


def test_a_gate_json_of_another_schema_is_set_aside_and_the_rows_are_shown(gated: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [row()])
    (run / "gate.json").write_text('{"schema": 99}')
    page = page_of(run)
    assert [(item.file, "schema 99" in item.reason) for item in page.quarantined] == [("run/gate.json", True)]
    assert len(page.matrix.lines) == 1


def test_launches_in_turns_have_the_interval_of_their_pairs(tmp_path: Path) -> None:
    """By brute force: the ratios that the signed-rank test of the pairs does not reject."""
    before, after = seconds_of(1.0), seconds_of(1.1, seed=1)
    (cell,) = compared(tmp_path, *rows_of(OLD, before, 0), *rows_of(NEW, after, 1)).cells
    (finding,) = cell.report.findings
    differences = np.log(after) - np.log(before)
    averages = [(one + other) / 2 for place, one in enumerate(differences) for other in differences[place:]]
    assert finding.ratio == pytest.approx(math.exp(np.median(averages)))
    assert finding.low is not None
    assert finding.high is not None
    for bound, inside, side in ((finding.low, 1.0001, "greater"), (finding.high, 0.9999, "less")):
        p = [stats.wilcoxon(differences - np.log(bound * touch), alternative=side, method="exact").pvalue for touch in (inside, 1 / inside)]
        assert p[0] > 0.05 >= p[1]
    assert finding.blocks == 6
    assert [finding.baseline, finding.candidate] == pytest.approx([np.median(before), np.median(after)])


def test_without_a_gate_there_is_no_verdict_however_clear_it_looks(tmp_path: Path) -> None:
    found = compared(tmp_path, *rows_of(OLD, seconds_of(1.0), 0), *rows_of(NEW, seconds_of(2.0, seed=1), 1))
    (cell,) = found.cells
    assert (found.decision, cell.report.verdict, cell.lean) == ("inconclusive", "inconclusive", "slower")
    assert found.capped == UNJUDGED
    assert "1 looks slower" in found.why


def test_few_launches_have_a_ratio_and_no_interval(tmp_path: Path) -> None:
    (cell,) = compared(tmp_path, *rows_of(OLD, seconds_of(1.0, count=4), 0), *rows_of(NEW, seconds_of(2.0, count=4), 1)).cells
    (finding,) = cell.report.findings
    assert finding.ratio == pytest.approx(2.0, rel=0.05)
    assert (finding.low, finding.high, cell.lean) == (None, None, "")
    assert finding.reason == "4 paired launches: too few for an interval, which takes 5: inconclusive"


def test_what_was_not_checked_is_shown_and_in_no_mean(tmp_path: Path) -> None:
    rows = [
        row(name, image=image, backend_latency_seconds=seconds, status=status)
        for image, times in (("cpu@1", (1.0, 1.0)), ("cpu@2", (2.0, 9.0)))
        for name, seconds, status in zip(("micro/a", "micro/b"), times, (Status.PASS, Status.PASS_DUE_TO_SKIP), strict=True)
    ]
    (found,) = page_of(write_run(tmp_path / "run", rows)).comparisons
    assert found.geomean == pytest.approx(2.0)
    assert (found.compared, len(found.cells)) == (1, 2)


def test_the_slowest_comes_first_and_what_fails_before_it(tmp_path: Path) -> None:
    rows = [*rows_of(OLD, seconds_of(1.0), 0, "micro/a"), *rows_of(NEW, seconds_of(1.1, 1), 1, "micro/a")]
    rows += [*rows_of(OLD, seconds_of(1.0), 0, "micro/b"), *rows_of(NEW, seconds_of(1.5, 1), 1, "micro/b")]
    rows += [*rows_of(OLD, seconds_of(1.0), 0, "micro/c"), failed("micro/c", image=NEW, launch=1, status=Status.OOM)]
    rows += [*rows_of(NEW, seconds_of(1.0), 1, "micro/d"), failed("micro/d", image=OLD, launch=0)]
    found = compared(tmp_path, *rows)
    assert [cell.report.cell.partition(" ")[0] for cell in found.cells] == ["micro/c", "micro/b", "micro/a", "micro/d"]
    assert [cell.lean for cell in found.cells] == ["fails", "slower", "slower", "passes"]
    assert "OOM" in found.cells[0].report.findings[0].reason


def test_cells_of_one_image_alone_are_named(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        row("micro/a", image=OLD),
        row("micro/a", image=NEW, launch=1),
        row("micro/b", image=OLD),
        row("micro/c", image=NEW, launch=1),
    )
    assert (found.lost, found.new) == (("micro/b inductor",), ("micro/c inductor",))


def two_runs(tmp_path: Path, **of_second: object) -> Comparison:
    first = write_run(tmp_path / "a", rows_of(OLD, seconds_of(1.0), 0, step=1), manifest=manifest_of([OLD], [OLD] * 6))
    manifest = manifest_of([NEW], [NEW] * 6, **of_second)  # type: ignore[arg-type]
    second = write_run(tmp_path / "b", rows_of(NEW, seconds_of(1.3, 1, 7), 0, step=1), manifest=manifest)
    (found,) = page_of(first, second).comparisons
    return found


def test_two_runs_have_the_interval_of_the_rank_sum_test(tmp_path: Path) -> None:
    """Their launches are no pairs."""
    (cell,) = two_runs(tmp_path).cells
    (finding,) = cell.report.findings
    before, after = np.log(seconds_of(1.0)), np.log(seconds_of(1.3, 1, 7))
    assert finding.ratio == pytest.approx(math.exp(np.median(after[:, None] - before)))
    assert finding.low is not None
    p = [
        stats.mannwhitneyu(after - np.log(finding.low * touch), before, alternative="greater", method="exact").pvalue
        for touch in (1.00001, 0.99999)
    ]
    assert p[0] > 0.05 >= p[1]
    assert "in two runs" in finding.reason
    assert cell.lean == "slower"


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"starts": [{"image": NEW, "machine": MACHINE | {"cpu": "another"}}]}, "two machines (AMD EPYC, 2 cores; another, 2 cores)"),
        ({"starts": [{"image": NEW, "machine": MACHINE, "gpus": [{"name": "H200", "driver": "1"}]}]}, "two machines"),
        ({"starts": []}, "nothing says that both were measured on one machine"),
        ({"harness_sha256": "e" * 64}, "two harnesses"),
    ],
    ids=["processor", "GPU", "unknown", "harness"],
)
def test_what_cannot_be_compared_has_no_interval_and_says_why(tmp_path: Path, second: dict[str, object], says: str) -> None:
    found = two_runs(tmp_path, **second)
    (finding,) = found.cells[0].report.findings
    assert (finding.low, finding.high, found.cells[0].lean) == (None, None, "")
    assert says in found.capped
    assert says in finding.reason


def test_a_kernel_and_a_driver_change_no_machine_and_are_named(tmp_path: Path) -> None:
    found = two_runs(tmp_path, starts=[{"image": NEW, "machine": MACHINE | {"kernel": "6.2"}}])
    assert found.capped == TWO_RUNS
    assert [(change.what, change.baseline, change.candidate) for change in found.difference.machine] == [("kernel", "6.1", "6.2")]


def test_device_time_is_compared_where_all_launches_of_both_have_it(tmp_path: Path) -> None:
    rows = [row(image=image, launch=launch, backend_device_seconds=1e-4 * (1 + launch % 2)) for launch, image in enumerate(IN_TURNS)]
    (cell,) = compared(tmp_path, *rows).cells
    assert cell.report.findings[0].clock == "device"
    assert cell.report.findings[0].ratio == pytest.approx(2.0)


def test_many_images_are_not_all_set_beside_each_other(tmp_path: Path) -> None:
    labels = [f"cpu@{number}" for number in range(8)]
    rows = [row(image=label, launch=number) for number, label in enumerate(labels)]
    page = page_of(write_run(tmp_path / "run", rows, manifest=manifest_of(labels, labels)))
    assert [(found.baseline, found.candidate) for found in page.comparisons] == [("cpu@0", "cpu@7"), ("cpu@6", "cpu@7")]
    assert len(page.differences) == 7


def test_what_fails_in_both_images_is_said_to(tmp_path: Path) -> None:
    rows = [failed(image=image, launch=launch, status=Status.FAIL_ACCURACY) for launch, image in enumerate((OLD, NEW))]
    page = page_of(write_run(tmp_path / "run", rows, manifest=manifest_of([OLD, NEW], IN_TURNS)))
    (comparison,) = page.comparisons
    assert [row.kind for row in forest(page, comparison).rows] == ["neither"]
    assert KINDS["neither"] == "both fail"


def test_one_core_is_one(tmp_path: Path) -> None:
    manifest = manifest_of([OLD], [OLD])
    manifest["starts"][0]["machine"] = {"cpu": "AMD EPYC", "cores": 1}
    page = page_of(write_run(tmp_path / "run", [row(image=OLD)], manifest=manifest))
    assert [machine.text for machine in page.machines] == ["AMD EPYC, 1 core"]
