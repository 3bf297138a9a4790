"""The experiments beside ``performance``, by real cells in this process: each ends in one row, whatever the workload does."""

from __future__ import annotations

import csv
import gzip
import json
import math
import random
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo
from torch._dynamo.backends.registry import register_backend
from torch._dynamo.utils import counters, get_compilation_metrics

from harness import catalog, numerics
from harness.cell import Cell, Numerics, Sampling
from harness.experiments import inspection
from harness.experiments.coverage import Captured
from harness.experiments.determinism import Difference, difference
from harness.journal import Journal, JournalWriter, read_journal
from harness.protocols import NoEvidence, Subject
from harness.records import Status, Warn
from harness.worker import run_cell
from tests.conftest import SOURCE
from tests.said import spec_of

SAMPLING = Sampling(samples=6, minimum_samples=6, budget_seconds=0.1, width=1.0)
FAULTY = SOURCE / "tests" / "faulty_workloads.py"
MICRO = ("micro/linear_gelu_mlp", "micro/pointwise_chain", "micro/sum_rows")
NEED_BATCHES = ("dynamic-shapes", "largest-batch")
"""Experiments that say nothing of a workload whose batches have one size."""
EXPERIMENTS = sorted(set(catalog.EXPERIMENTS) - {catalog.PERFORMANCE})


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A cell has a process of its own; here it leaves nothing behind."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    torch._dynamo.reset()
    counters.clear()
    torch._dynamo.utils.clear_compilation_metrics()
    yield
    numerics.apply(Numerics())
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def measured(experiment: str, workload: str, folder: Path, settings: Mapping[str, Any] = {}, **changes: Any) -> Journal:  # read only
    """What a cell's process writes down; workload: of the catalog, or a class of the faulty ones. settings: of the launch; changes: of the cell."""
    folder.mkdir(exist_ok=True)
    path = None if "/" in workload else str(FAULTY)
    name = workload if path is None else f"path/faulty_workloads:{workload}"
    backend = catalog.EXPERIMENT_BACKENDS.get(experiment, "dynamo:eager")
    cell = Cell(**{"workload": name, "backend": backend, "path": path, **changes})
    spec = spec_of(cell, experiment=experiment, sampling=SAMPLING, **{"baselines": ("dynamo:eager", "aot_eager"), **settings})
    run_cell(cell, spec, JournalWriter(folder / "journal", folder / "artifacts"))
    return read_journal(folder / "journal")


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "artifacts" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("workload", MICRO)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_passes_on_what_works(experiment: str, workload: str, tmp_path: Path) -> None:
    journal = measured(experiment, workload, tmp_path)
    assert journal.status == Status.PASS
    assert not journal.reason
    assert journal.fields["batch_size"]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize(
    ("workload", "status"), [("Raises", Status.EAGER_FAIL_TO_RUN), ("NoInputs", Status.MODEL_FAIL_TO_LOAD), ("Breaks", Status.PASS)]
)
def test_every_experiment_ends_in_the_status_of_what_happened(experiment: str, workload: str, status: str, tmp_path: Path) -> None:
    if experiment in NEED_BATCHES and workload != "NoInputs":
        status = Status.UNSUPPORTED
    journal = measured(experiment, workload, tmp_path)
    assert journal.status == status, journal.reason
    assert workload != "Raises" or "planted in forward" in journal.reason or experiment in NEED_BATCHES


@pytest.mark.parametrize("experiment", ["coverage", "overhead", "recompiles", "determinism", "inspect"])
@pytest.mark.parametrize(
    ("workload", "status"),
    [
        ("RaisesWhenCompiled", Status.FAIL_TO_RUN),
        ("WrongWhenCompiled", Status.FAIL_ACCURACY),
        ("TwoRunsDiffer", Status.EAGER_TWO_RUNS_DIFFER),
        ("NothingToCompare", Status.UNSUPPORTED),
    ],
)
def test_what_goes_through_dynamo_is_checked_before_it_is_counted(experiment: str, workload: str, status: str, tmp_path: Path) -> None:
    journal = measured(experiment, workload, tmp_path)
    assert journal.status == status, journal.reason
    found = {"pct_ops", "pct_time", "speedup", "overhead_seconds", "recompile_reasons", "eager_repeatable", "cache_lookup_seconds"}
    assert not found & journal.fields.keys()


def test_coverage_of_what_is_captured_whole(tmp_path: Path) -> None:
    found: dict[str, Any] = measured("coverage", "micro/pointwise_chain", tmp_path).fields
    assert (found["unique_graphs"], found["graph_calls"], found["graph_breaks"]) == (1, 1, 0)
    assert found["captured_ops"] == found["total_ops"] == 9
    assert found["pct_ops"] == 1
    assert 0 < found["pct_time_low"] <= found["pct_time"] <= found["pct_time_high"]
    assert "speedup" not in found, "there is no speedup of what compiles nothing"


def test_coverage_tells_what_runs_between_graphs(tmp_path: Path) -> None:
    journal = measured("coverage", "Breaks", tmp_path)
    found = journal.fields
    assert (found["unique_graphs"], found["graph_calls"], found["graph_breaks"]) == (2, 2, 1)
    assert (found["captured_ops"], found["total_ops"], found["pct_ops"]) == (2, 4, 0.5)
    assert Warn.GRAPH_BREAKS.value in journal.warnings
    outside = {line["operator"] for line in table(tmp_path, "operators.csv") if line["captured"] == "0"}
    assert outside == {"aten.mul.Tensor", "aten.add.Tensor"}
    assert {sample.variant for sample in journal.samples} == {"backend", "graphs"}


def test_nothing_captured_is_a_finding_of_coverage_and_no_evidence_for_overhead(tmp_path: Path) -> None:
    found = measured("coverage", "NotCompiled", tmp_path)
    assert (found.status, found.fields["unique_graphs"], found.fields["pct_ops"], found.fields["pct_time"]) == (Status.PASS, 0, 0, 0)
    assert (found.fields["captured_ops"], found.fields["total_ops"]) == (0, 1)
    torch._dynamo.reset()
    counters.clear()
    journal = measured("overhead", "NotCompiled", tmp_path / "overhead")
    assert journal.status == Status.FAIL_TO_RUN
    assert "no evidence" in journal.reason


def test_coverage_of_what_dynamo_never_saw_is_not_known(tmp_path: Path) -> None:
    captured = Captured(Cell(workload="w/w", backend="dynamo:eager"), lambda name: tmp_path / name)
    captured.prepare(Subject(model=torch.nn.ReLU(), inputs=(torch.ones(2),)))
    with pytest.raises(NoEvidence, match="looked at no frame"):
        captured.evidence()


def test_in_training_backward_and_optimizer_are_outside_of_the_graphs(tmp_path: Path) -> None:
    journal = measured("coverage", "micro/linear_gelu_mlp", tmp_path, mode="training")
    assert journal.status == Status.PASS, journal.reason
    found: dict[str, Any] = journal.fields
    assert 0 < found["captured_ops"] < found["total_ops"]


def test_graphs_are_timed_as_they_were_called_in_autocast(tmp_path: Path) -> None:
    journal = measured("coverage", "micro/linear_gelu_mlp", tmp_path, precision="amp")
    assert journal.status == Status.PASS, journal.reason
    assert journal.fields["pct_ops"] == 1


def test_overhead_is_the_difference_of_what_was_sampled_in_turns(tmp_path: Path) -> None:
    journal = measured("overhead", "micro/sum_rows", tmp_path)
    found: dict[str, Any] = journal.fields
    assert found["overhead_seconds_low"] <= found["overhead_seconds"] <= found["overhead_seconds_high"]
    assert found["speedup_low"] <= found["speedup"] <= found["speedup_high"]
    assert found["guards"] == sum(each.guard_count or 0 for each in get_compilation_metrics()) > 0
    assert {sample.variant for sample in journal.samples} == {"eager", "backend"}


def test_errors_of_every_precision_are_told_by_output(tmp_path: Path) -> None:
    found: dict[str, Any] = measured("tolerance", "micro/linear_gelu_mlp", tmp_path).fields
    lines = {line["precision"]: line for line in table(tmp_path, "tolerance.csv")}
    assert set(lines) == {"float32", "bfloat16", "float16", "amp"}
    assert {line["status"] for line in lines.values()} == {Status.PASS}
    ordered = [float(lines[precision]["error"]) for precision in ("float32", "float16", "bfloat16")]
    assert 0 < ordered[0] < ordered[1] < ordered[2], "fewer digits, more error"
    assert found["eager_error"] == ordered[0]
    assert found["worst_error"] == max(float(line["error"]) for line in lines.values())
    assert found["worst_max_error"] >= found["worst_error"], "the largest is at least the mean"
    assert found["worst_precision"] in {"bfloat16", "amp"}
    assert not {"speedup", "backend_latency_seconds"} & found.keys()


def test_a_precision_that_does_not_run_has_its_reason_in_the_table(tmp_path: Path) -> None:
    journal = measured("tolerance", "FailsInHalf", tmp_path)
    assert journal.status == Status.PASS, journal.reason
    lines = {line["precision"]: line for line in table(tmp_path, "tolerance.csv")}
    assert (lines["float16"]["status"], lines["float16"]["error"]) == (Status.EAGER_FAIL_TO_RUN, "")
    assert "planted for half" in lines["float16"]["reason"]
    assert lines["bfloat16"]["status"] == Status.PASS


def test_the_cells_own_precision_must_run(tmp_path: Path) -> None:
    journal = measured("tolerance", "FailsInHalf", tmp_path, precision="float16")
    assert (journal.status, "planted for half" in journal.reason) == (Status.EAGER_FAIL_TO_RUN, True)


def test_errors_have_weights_and_inputs_of_float32_for_their_measure(tmp_path: Path) -> None:
    """A cell in half precision must not hide what rounding its weights has cost."""
    half: dict[str, Any] = measured("tolerance", "micro/linear_gelu_mlp", tmp_path / "half", precision="bfloat16").fields
    measured("tolerance", "micro/linear_gelu_mlp", tmp_path / "single")
    (line,) = (line for line in table(tmp_path / "single", "tolerance.csv") if line["precision"] == "bfloat16")
    assert half["eager_error"] == pytest.approx(float(line["error"]))


def test_what_overflows_is_not_finite_and_has_no_number(tmp_path: Path) -> None:
    journal = measured("tolerance", "Overflows", tmp_path)
    assert journal.status == Status.PASS
    assert journal.fields["worst_precision"] == "float16"
    assert "worst_error" not in journal.fields
    assert journal.reason.startswith("in float16, outputs is not finite")


def test_gradients_are_outputs_of_training(tmp_path: Path) -> None:
    measured("tolerance", "micro/linear_gelu_mlp", tmp_path, mode="training")
    outputs = {line["output"].partition("[")[0] for line in table(tmp_path, "tolerance.csv")}
    assert outputs == {"outputs", "gradients", "input gradients"}


def test_random_outputs_have_no_reference_and_so_no_error(tmp_path: Path) -> None:
    journal = measured("tolerance", "Random", tmp_path)
    assert journal.status == Status.UNSUPPORTED
    assert "float64" in journal.reason


def test_nothing_says_that_it_ran_and_no_time(tmp_path: Path) -> None:
    journal = measured("nothing", "micro/sum_rows", tmp_path)
    assert journal.fields["evidence"] == '{"forward_calls_checked": 1}'
    assert journal.samples == []
    assert set(journal.fields) == {"batch_size", "evidence"}


def number(line: dict[str, str], column: str) -> float:
    return float(line[column])


@pytest.mark.parametrize("dynamic", ["batch", "whole"])
def test_one_compilation_serves_many_batch_sizes(dynamic: str, tmp_path: Path) -> None:
    journal = measured("dynamic-shapes", "micro/pointwise_chain", tmp_path, {"dynamic": dynamic}, batch_size=64)
    assert (journal.status, journal.reason) == (Status.PASS, "")
    found: dict[str, Any] = journal.fields
    lines = table(tmp_path, "shapes.csv")
    assert [line["batch_size"] for line in lines] == ["64", "65", "32", "128"]
    assert [line["graphs"] for line in lines] == ["1", "0", "0", "0"]
    assert (found["dynamic"], found["shapes_measured"], found["recompiles"]) == (dynamic, 4, 0)
    speedups = [number(line, "speedup") for line in lines]
    assert found["speedup"] == speedups[0]
    assert found["speedup_mean"] == pytest.approx(statistics.fmean(speedups))
    assert found["speedup_median"] == pytest.approx(statistics.median(speedups))
    assert found["speedup_variance"] == pytest.approx(statistics.variance(speedups))
    assert {sample.variant for sample in journal.samples} == {
        f"{variant}{size}" for variant in ("eager", "backend") for size in ("", " 65", " 32", " 128")
    }


def test_sizes_that_a_symbol_cannot_be_are_compiled_anew_and_counted(tmp_path: Path) -> None:
    """Dynamo takes 1 for a number, whatever it is told."""
    journal = measured("dynamic-shapes", "micro/pointwise_chain", tmp_path, {"batch_sizes": (96, 1)}, batch_size=64)
    assert journal.status == Status.PASS, journal.reason
    assert [line["graphs"] for line in table(tmp_path, "shapes.csv")] == ["1", "0", "1"]
    assert journal.fields["recompiles"] == 1
    assert Warn.RECOMPILED.value in journal.warnings


def test_a_size_whose_result_is_wrong_fails_the_cell(tmp_path: Path) -> None:
    def wrong_at_half(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        return lambda *args: tuple(out + (out.shape[0] == 32) for out in graph.forward(*args))

    register_backend(wrong_at_half, name="wrong")
    journal = measured("dynamic-shapes", "micro/pointwise_chain", tmp_path, batch_size=64, backend="dynamo:wrong")
    assert journal.status == Status.FAIL_ACCURACY
    assert journal.reason.startswith("batch size 32: outputs")


def test_a_workload_of_one_size_has_symbols_where_all_of_it_is_symbols(tmp_path: Path) -> None:
    journal = measured("dynamic-shapes", "Healthy", tmp_path, {"dynamic": "whole"})
    assert journal.status == Status.PASS, journal.reason
    assert journal.fields["shapes_measured"] == 1
    assert [line["batch_size"] for line in table(tmp_path, "shapes.csv")] == [""]
    journal = measured("dynamic-shapes", "Healthy", tmp_path / "batch")
    assert (journal.status, journal.reason.partition(":")[0]) == (Status.UNSUPPORTED, "the workload has no batch dimension")


def test_a_class_of_one_s_own_whose_inputs_take_a_batch_size_has_other_shapes(tmp_path: Path) -> None:
    journal = measured("dynamic-shapes", "Batched", tmp_path / "shapes")
    assert (journal.status, journal.fields["shapes_measured"]) == (Status.PASS, 4)
    assert [line["batch_size"] for line in table(tmp_path / "shapes", "shapes.csv")] == ["16", "17", "8", "32"]
    journal = measured("largest-batch", "Batched", tmp_path / "largest", batch_size=4)
    assert (journal.status, journal.fields["batch_size"]) == (Status.PASS, 4)
    for experiment in ("dynamic-shapes", "largest-batch"):
        journal = measured(experiment, "Healthy", tmp_path / experiment)
        assert journal.status == Status.UNSUPPORTED
        assert "next: one that takes batch_size, as a class of yours does with get_example_inputs(self, batch_size=" in journal.reason
    journal = measured("nothing", "Healthy", tmp_path / "refused", batch_size=4)
    assert journal.reason.startswith("Healthy chooses its inputs itself")


def test_a_class_of_one_s_own_with_a_batch_size_that_is_none_says_so(tmp_path: Path) -> None:
    journal = measured("nothing", "NeedsASize", tmp_path / "own")
    assert journal.status == Status.MODEL_FAIL_TO_LOAD
    assert "write get_example_inputs(self, batch_size=16)" in journal.reason
    assert measured("nothing", "NeedsASize", tmp_path / "asked", batch_size=4).status == Status.PASS
    for name, size in (("KeepsItsSize", 5), ("HasItsWidth", 16)):
        journal = measured("nothing", name, tmp_path / name, batch_size=size)
        assert journal.status == Status.UNSUPPORTED
        assert journal.reason == f"{name}.get_example_inputs(batch_size={size}) has no dimension that is the batch size"


def test_sizes_that_a_workload_cannot_have_are_no_reason_to_pass_without_them(tmp_path: Path) -> None:
    journal = measured("recompiles", "Healthy", tmp_path / "asked", {"batch_sizes": (8,)})
    assert (journal.status, journal.reason.partition(":")[0]) == (Status.UNSUPPORTED, "the workload has no batch dimension")
    assert measured("recompiles", "Healthy", tmp_path / "all").status == Status.PASS


def test_what_does_not_go_through_dynamo_has_no_symbols(tmp_path: Path) -> None:
    journal = measured("dynamic-shapes", "micro/pointwise_chain", tmp_path, backend="eager")
    assert journal.status == Status.UNSUPPORTED
    assert "choose inductor" in journal.reason


def test_every_change_that_makes_dynamo_compile_has_its_guard(tmp_path: Path) -> None:
    journal = measured("recompiles", "micro/linear_gelu_mlp", tmp_path, batch_size=32)
    assert journal.status == Status.PASS, journal.reason
    lines = {line["change"]: line for line in table(tmp_path, "recompiles.csv")}
    assert lines["nothing"]["graphs"] == lines["nothing, again"]["graphs"] == "0"
    assert lines["batch size 33"]["graphs"] == "1"
    assert "size mismatch" in lines["batch size 33"]["reasons"]
    assert lines["batch size 16"]["graphs"] == "0", "after the second size it is a symbol"
    assert "GRAD_MODE" in lines["with gradients"]["reasons"] or "grad" in lines["with gradients"]["reasons"].lower()
    assert "stride mismatch" in lines["another layout"]["reasons"], "of the versions for gradients and for other sizes, it is another guard"
    assert {line["graphs"] for change, line in lines.items() if change.endswith("again")} == {"0"}
    found: dict[str, Any] = journal.fields
    assert found["recompiles"] == sum(int(line["graphs"]) for line in lines.values()) >= 2
    assert found["changes_met"] == len(lines)
    guards = {reason.partition(": ")[2] for line in lines.values() for reason in line["reasons"].split(" | ") if reason}
    assert found["recompile_reasons"] == len(guards)


def test_backends_are_sampled_in_turns_and_compared_with_eager_and_the_fastest(tmp_path: Path) -> None:
    journal = measured(
        "baselines", "micro/linear_gelu_mlp", tmp_path, {"baselines": ("dynamo:eager", "aot_eager", "dynamo:nosuch", "export")}
    )
    assert journal.status == Status.PASS, journal.reason
    found: dict[str, Any] = journal.fields
    lines = {line["backend"]: line for line in table(tmp_path, "baselines.csv")}
    assert {name: line["status"] for name, line in lines.items()} == {
        "dynamo:eager": Status.PASS,
        "aot_eager": Status.PASS,
        "dynamo:nosuch": Status.UNSUPPORTED,
        "export": Status.PASS,
    }
    assert "lists no dynamo backend 'nosuch'" in lines["dynamo:nosuch"]["reason"]
    assert (found["backends_passed"], found["backends_failed"]) == (3, 1)
    best = lines[found["fastest"]]
    assert best["of_fastest"] == ""
    assert number(best, "speedup") == found["speedup"] == max(number(line, "speedup") for line in lines.values() if line["speedup"])
    others = [line for name, line in lines.items() if line["speedup"] and name != found["fastest"]]
    assert len(others) == 2
    assert all(number(line, "of_fastest_low") <= number(line, "of_fastest") <= number(line, "of_fastest_high") for line in others)
    assert {sample.variant for sample in journal.samples} == {"eager", "dynamo:eager", "aot_eager", "export"}


def test_where_no_backend_passes_the_cell_is_what_the_first_one_is(tmp_path: Path) -> None:
    journal = measured("baselines", "WrongWhenCompiled", tmp_path, {"baselines": ("dynamo:eager", "aot_eager")})
    assert journal.status == Status.FAIL_ACCURACY
    assert journal.reason.startswith("no backend passed; dynamo:eager: ")
    assert [line["status"] for line in table(tmp_path, "baselines.csv")] == [Status.FAIL_ACCURACY] * 2
    assert measured("baselines", "micro/sum_rows", tmp_path / "none", {"baselines": ()}).status == Status.UNSUPPORTED


def test_the_same_call_is_the_same_bits_and_so_are_rows_of_half_a_batch(tmp_path: Path) -> None:
    found: dict[str, Any] = measured("determinism", "micro/pointwise_chain", tmp_path).fields
    assert (found["eager_repeatable"], found["backend_repeatable"]) == (1, 1)
    assert (found["eager_repeat_difference"], found["backend_repeat_difference"]) == (0.0, 0.0)
    assert (found["eager_batch_invariant"], found["backend_batch_invariant"]) == (1, 1)


def test_what_takes_one_size_of_batch_only_says_nothing_of_half_of_it(tmp_path: Path) -> None:
    journal = measured("determinism", "micro/pointwise_chain", tmp_path, backend="export")
    assert journal.status == Status.PASS, journal.reason
    assert (journal.fields["backend_repeatable"], journal.fields["eager_batch_invariant"]) == (1, 1)
    assert "backend_batch_invariant" not in journal.fields


def test_differences_have_a_place_and_a_size() -> None:
    one = {"a": torch.tensor([3.0, 4.0, torch.nan]), "b": torch.tensor([1, 2])}
    assert difference(one, {"a": one["a"].clone(), "b": one["b"].clone()}) == Difference()
    other = {"a": torch.tensor([3.0, 4.1, torch.nan]), "b": torch.tensor([1, 3])}
    found = difference(one, other)
    assert found.where == "outputs['a']"
    assert found.relative == pytest.approx(1.0), "of integers, by their number"
    assert difference({"a": one["a"]}, {"a": other["a"]}).relative == pytest.approx(0.1 / math.sqrt(12.5), rel=1e-4)


def test_calls_that_differ_in_a_bit_are_told(tmp_path: Path) -> None:
    journal = measured("determinism", "Drifts", tmp_path)
    assert journal.status == Status.PASS, journal.reason
    assert journal.fields["eager_repeatable"] == 0
    assert 0 < float(str(journal.fields["eager_repeat_difference"])) < 1e-5
    assert "eager: bits of outputs differ between calls" in journal.reason
    assert "eager_batch_invariant" not in journal.fields, "nothing is known of its batch"


def test_every_file_of_an_inspection_says_something(tmp_path: Path) -> None:
    journal = measured("inspect", "micro/conv_bn_relu", tmp_path)
    assert (journal.status, journal.reason) == (Status.PASS, "")
    files = {path.name: path for path in (tmp_path / "artifacts").iterdir()}
    assert set(files) >= {
        "compile_times.txt",
        "counters.json",
        "trace-eager.json.gz",
        "trace-backend.json.gz",
        "profile-eager.txt",
        "profile-backend.txt",
        "convolutions.csv",
        "explain.txt",
        "fx_graphs.txt",
        "graph_breaks.csv",
        "aten_graphs.txt",
    }
    assert "conv" in files["profile-eager.txt"].read_text()
    (convolution,) = table(tmp_path, "convolutions.csv")
    assert convolution["operator"].startswith("aten.convolution")
    assert "float32[" in convolution["arguments"]
    assert "# graph 0" in files["fx_graphs.txt"].read_text()
    assert "aten.convolution" in files["aten_graphs.txt"].read_text()
    assert json.loads(files["counters.json"].read_text())["stats"]["unique_graphs"] == 1
    assert json.loads(gzip.decompress(files["trace-eager.json.gz"].read_bytes()))["traceEvents"]
    assert 0 < float(str(journal.fields["cache_lookup_seconds"])) < 1e-2


def test_breaks_are_told_by_the_users_line(tmp_path: Path) -> None:
    measured("inspect", "Breaks", tmp_path)
    (line,) = table(tmp_path, "graph_breaks.csv")
    assert "faulty_workloads.py:" in line["where"]
    assert line["where"].endswith(" in forward")
    assert line["count"] == "1"


def test_aten_graphs_of_training_have_their_backward(tmp_path: Path) -> None:
    measured("inspect", "micro/linear_gelu_mlp", tmp_path, mode="training")
    text = (tmp_path / "artifacts" / "aten_graphs.txt").read_text()
    assert "# forward" in text
    assert "# backward" in text


def test_a_file_that_cannot_be_made_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(inspection, "_profile", fail)
    journal = measured("inspect", "micro/sum_rows", tmp_path)
    assert journal.status == Status.PASS
    assert Warn.COSTS_INCOMPLETE.value in journal.warnings
    assert journal.reason == "profile: RuntimeError: planted"
    assert (tmp_path / "artifacts" / "aten_graphs.txt").exists()


def test_what_is_wrong_is_shown_by_a_small_program(tmp_path: Path) -> None:
    """Of six layers, one is what the backend does wrong."""
    settings = {"minify": True, "warm_compile": False, "timeout_seconds": 120.0}
    journal = measured("performance", "WrongSomewhere", tmp_path, settings, backend="dynamo:relu_accuracy_error_TESTING_ONLY")
    assert journal.status == Status.FAIL_ACCURACY
    assert str(journal.fields["minified"]).startswith("minifier/repro.py shows it in ")
    program = (tmp_path / "artifacts" / "minifier" / "repro.py").read_text()
    assert "relu" in program
    assert "sigmoid" not in program
