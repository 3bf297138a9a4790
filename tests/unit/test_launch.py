"""The launch, in-process: rows come one by one, and what is imported once is what its cells need."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.caches import kept_of
from harness.cell import Cell, LaunchSpec, Numerics, Sampling, Treatment
from harness.files import read_fields, row_from_fields
from harness.launch import _compiles_again, modules_of
from tests.conftest import SOURCE


def spec(*backends: str, workload: str = "micro/sum_all") -> LaunchSpec:
    cells = tuple(Cell(workload=workload, backend=backend) for backend in backends)
    sampling = Sampling(samples=5, budget_seconds=0.5)
    return LaunchSpec(run="r", launch=0, attempt=0, image="i", cells=cells, seed=1, timeout_seconds=60, sampling=sampling)


def test_only_what_the_cells_need_is_imported() -> None:
    assert not any("inductor" in name for name in modules_of(spec("eager")))
    assert "torch._inductor.compile_fx" in modules_of(spec("eager", "dynamo:aot_eager"))
    assert modules_of(spec("unheard-of")) == modules_of(spec())


def test_only_an_experiment_that_measures_caches_has_a_second_process() -> None:
    performance = spec("dynamo:eager")
    assert _compiles_again(performance)
    assert not _compiles_again(dataclasses.replace(performance, warm_compile=False))
    assert not _compiles_again(dataclasses.replace(performance, experiment="overhead"))


def test_a_launch_leaves_rows_samples_logs_and_facts(tmp_path: Path) -> None:
    (tmp_path / "cells.json").write_text(spec("eager", "unheard-of", workload="micro/sum_all").to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(tmp_path / "cells.json"), "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=SOURCE, text=True, capture_output=True, check=True)
    rows = list(read_fields(tmp_path / "results.csv"))
    assert [row["status"] for row in rows] == ["pass", "unsupported"]
    assert "the harness has no backend 'unheard-of'" in rows[1]["reason"]
    assert rows[1]["speedup"] == ""
    samples = list(read_fields(tmp_path / "samples.csv"))
    assert len(samples) >= 2 * 5
    assert [sample["index"] for sample in samples] == [str(index) for index in range(len(samples))]
    assert all((tmp_path / row["log"]).exists() for row in rows)
    facts = json.loads((tmp_path / "launch.json").read_text())
    assert facts["machine"]["cores"] >= 1
    assert "torch" in facts["packages"]
    assert not (tmp_path / "running.json").exists()
    assert "2/2 micro/sum_all unheard-of" in done.stdout


@pytest.mark.parametrize(("content", "words"), [("{}", "schema None"), ("not json", "cannot read"), (None, "No such file")])
def test_a_specification_that_does_not_read_is_a_usage_error(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "cells.json"
    if content is not None:
        path.write_text(content)
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(path), "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=SOURCE, text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize("pinned", [True, False])
def test_an_allocator_that_is_not_pinned_is_a_warning(tmp_path: Path, pinned: bool) -> None:
    chosen = dataclasses.replace(spec("eager"), pin_allocator=pinned, measure_ceilings=False)
    (tmp_path / "cells.json").write_text(chosen.to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(tmp_path / "cells.json"), "--out", str(tmp_path)]
    subprocess.run(command, cwd=SOURCE, capture_output=True, check=True)
    (row,) = read_fields(tmp_path / "results.csv")
    facts = json.loads((tmp_path / "launch.json").read_text())
    assert facts["allocator"]["pinned"] is pinned
    assert ("unpinned_allocator" in row["warnings"]) is not pinned
    assert row["eager_limit_share"] == ""


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++: inductor needs one on a CPU")
def test_a_cell_compiles_from_empty_caches_and_again_from_its_own(tmp_path: Path) -> None:
    """Twice the same cell: were caches shared, the second would find what the first one left."""
    chosen = dataclasses.replace(spec("inductor", "inductor"), measure_ceilings=False, timeout_seconds=200)
    (tmp_path / "cells.json").write_text(chosen.to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(tmp_path / "cells.json"), "--out", str(tmp_path)]
    subprocess.run(command, cwd=SOURCE, capture_output=True, check=True)
    for row in read_fields(tmp_path / "results.csv"):
        assert (row["status"], row["cache_hits"], row["cache_misses"], row["warm_cache_hits"]) == ("pass", "0", "1", "1")
        assert float(row["warm_first_call_seconds"]) > 0
        assert 0 < float(row["codegen_seconds"]) < float(row["backend_compile_seconds"]) < float(row["first_call_seconds"])
        assert float(row["first_result_seconds"]) > float(row["first_call_seconds"])
        kept = json.loads((tmp_path / row["artifacts"] / "compile.json").read_text())
        assert kept["counters"]["inductor"]["fxgraph_cache_miss"] == 1
        assert kept["seconds"]["entire_frame_compile"] > 0


def test_caches_that_are_kept_are_found_by_the_next_launch_which_does_not_call_them_empty(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    asked = dataclasses.replace(
        spec("inductor", "eager", workload="micro/pointwise_chain"),
        kept_caches=str(kept),
        measure_ceilings=False,
        warm_compile=False,
        timeout_seconds=200,
    )
    rows = []
    for number in ("first", "second"):
        directory = tmp_path / number
        directory.mkdir()
        (directory / "cells.json").write_text(asked.to_json())
        command = [sys.executable, "-m", "harness", "launch", "--cells", str(directory / "cells.json"), "--out", str(directory)]
        subprocess.run(command, cwd=SOURCE, capture_output=True, check=True)
        rows.append(next(row_from_fields(fields) for fields in read_fields(directory / "results.csv")))
    first, second = rows
    assert (first.status, second.status) == ("pass", "pass")
    assert first.cache_hits == 0
    assert first.first_call_seconds is not None
    assert (first.warm_first_call_seconds, first.warm_cache_hits) == (None, None)
    assert second.warm_cache_hits == 1
    assert second.warm_first_call_seconds is not None
    assert second.warm_first_call_seconds < first.first_call_seconds
    assert second.warm_first_result_seconds is not None
    of_empty = (second.compilation_latency, second.first_call_seconds, second.codegen_seconds, second.break_even_calls, second.cache_hits)
    assert of_empty == (None,) * 5
    assert len(list(kept.iterdir())) == 2


def test_who_compiles_otherwise_finds_no_kept_caches(tmp_path: Path) -> None:
    module = tmp_path / "mine.py"
    module.write_text("one")
    cell = Cell(workload="path/mine:A", backend="inductor", path=str(module))
    asked = spec("inductor")
    places = {kept_of(tmp_path, cell, asked), kept_of(tmp_path, dataclasses.replace(cell, mode="training"), asked)}
    for changed in (
        {"treatment": Treatment(channels_last=True)},
        {"threads": 1},
        {"numerics": Numerics(tf32=True)},
        {"experiment": "overhead"},
    ):
        places.add(kept_of(tmp_path, cell, dataclasses.replace(asked, **changed)))
    module.write_text("two")
    places.add(kept_of(tmp_path, cell, asked))
    assert len(places) == 7
    assert kept_of(tmp_path, cell, dataclasses.replace(asked, run="other", launch=3)) in places
