"""Operators: recorded with fake tensors and real ones, made again from the file, planned, run as cells, and weighed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from harness import operator_file
from harness.cell import Cell
from harness.measure.operator_inputs import NotEncodable, OperatorRecorder, decode, encode_arguments
from harness.measure.operators import OperatorCount
from harness.operator_file import OperatorCall, Recording
from harness.protocols import Unsupported
from harness.records import Status
from harness.workloads.loading import load_subject
from harness.workloads.recorded import Recorded, operator_of
from matrix.errors import SelectionError
from matrix.plan import recorded_operators
from reports import operators as weighing
from tests.said import spec_of
from tests.unit.test_experiments import fresh, measured

__all__ = ["fresh"]


def recorded_of(workload: str, folder: Path, **changes: Any) -> tuple[Recording, dict[str, Any], Path]:
    journal = measured("operators", workload, folder, **changes)
    assert journal.status == Status.PASS, journal.reason
    path = folder / "artifacts" / "operators.jsonl.gz"
    return operator_file.read(path), {**journal.fields, **json.loads(str(journal.fields["evidence"]))}, path


def test_a_layer_is_recorded_without_memory_for_its_tensors(tmp_path: Path) -> None:
    recording, found, _ = recorded_of("micro/linear_gelu_mlp", tmp_path)
    assert found["recorded"] == "with fake tensors"
    assert found["left_out"] == {}
    counts: Counter[str] = Counter()
    for each in recording.operators:
        counts[each.operator] += each.calls
    real = OperatorCount()
    subject = load_subject(Cell(workload="micro/linear_gelu_mlp", backend="eager"), spec_of())
    with torch.no_grad(), real:
        subject.model(*subject.inputs)
    assert counts == real.counts, "the same as with real ones"
    assert counts["aten.addmm.default"] == 2
    assert found["total_ops"] == sum(each.calls for each in recording.operators)
    assert found["unique_ops"] == len(recording.operators)
    views = [each for each in recording.operators if each.operator in {"aten.t.default", "aten.view.default"}]
    assert views
    assert not any(each.alone for each in views), "a view is no work"


def test_what_reads_indices_is_recorded_with_their_range(tmp_path: Path) -> None:
    recording, found, _ = recorded_of("micro/gather", tmp_path)
    assert found["recorded"] == "with real tensors"
    assert "NeedsValues" in found["why"]
    (gather,) = [each for each in recording.operators if each.operator == "aten.gather.default"]
    (index,) = [each for each in json.loads(gather.arguments)[0] if isinstance(each, dict) and "range" in each]
    low, high = index["range"]
    assert 0 <= low < high


def test_backward_and_optimizer_are_recorded_too(tmp_path: Path) -> None:
    recording, _, _ = recorded_of("micro/linear_gelu_mlp", tmp_path, mode="training")
    names = {each.operator for each in recording.operators}
    assert "aten.gelu_backward.default" in names


@pytest.mark.parametrize("name", ["add", "where", "cat", "embedding", "to", "sum", "expanded"])
def test_arguments_are_made_again_in_their_form(name: str) -> None:
    x, rows = torch.randn(4, 6).t(), torch.tensor([3, 1, 7])
    calls: dict[str, Any] = {
        "add": lambda: torch.add(x, x, alpha=2.5),
        "where": lambda: torch.where(x > 0, x, float("-inf")),
        "cat": lambda: torch.cat([x, x], dim=1),
        "embedding": lambda: torch.nn.functional.embedding(rows, torch.randn(9, 2)),
        "to": lambda: x.to(torch.float64, memory_format=torch.contiguous_format),
        "sum": lambda: x.sum(dim=[0], dtype=torch.float64),
        "expanded": lambda: torch.randn(1, 5).expand(1000, 5) + 1,
    }
    with OperatorRecorder() as recorder:
        calls[name]()
    assert not recorder.left_out
    for each in recorder.operators():
        tensors, call = decode(each.arguments, "cpu", torch.Generator().manual_seed(1))
        call(operator_of(each.operator), *tensors)
        with OperatorRecorder() as again:
            call(operator_of(each.operator), *tensors)
        # Ranges are those of what was drawn: within what was recorded.
        (form,) = [json.loads(found.arguments) for found in again.operators() if found.operator == each.operator]
        assert _without_ranges(form) == _without_ranges(json.loads(each.arguments))
        sizes = [tensor.untyped_storage().nbytes() for tensor in tensors]
        assert all(size < 4000 for size in sizes), "an expanded tensor takes no more than it did"


def _without_ranges(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _without_ranges(value) for name, value in tree.items() if name != "range"}
    return [_without_ranges(each) for each in tree] if isinstance(tree, list) else tree


def test_what_no_file_can_hold_is_left_out_by_name() -> None:
    with pytest.raises(NotEncodable, match="Generator"):
        encode_arguments([torch.Generator()], {})
    with OperatorRecorder() as recorder:
        torch.rand(3, generator=torch.Generator()).exponential_(generator=torch.Generator())
    assert recorder.left_out["aten.exponential_.default"] == 1


def test_a_recorded_operator_is_a_cell_that_is_checked_and_timed(tmp_path: Path) -> None:
    recording, _, path = recorded_of("micro/linear_gelu_mlp", tmp_path / "recording")
    names = recorded_operators(f"operators:{path}")
    assert list(operator_file.measurable(recording)) == [operator_file.index_of(name.rpartition(":")[2]) for name, _ in names]
    workload = next(name for name, _ in names if name.endswith("aten.gelu.default"))
    journal = measured("performance", workload, tmp_path / "cell", {"warm_compile": False}, path=str(path), backend="aot_eager")
    assert journal.status == Status.PASS, journal.reason
    assert journal.fields["recorded_calls"] == 1
    assert float(str(journal.fields["eager_latency_seconds"])) > 0


def test_of_attention_the_result_is_compared_and_not_what_its_backward_would_need(tmp_path: Path) -> None:
    recording, _, path = recorded_of("micro/attention", tmp_path)
    (index,) = [i for i, each in enumerate(recording.operators) if "_scaled_dot_product_" in each.operator]
    load: dict[str, Any] = {"device": "cpu", "precision": "float32", "mode": "inference", "shapes": "small", "batch_size": None, "seed": 1}
    subject = Recorded(path, recording.name(index)).load(**load)
    output = subject.model(*subject.inputs)
    torch.testing.assert_close(output, torch.nn.functional.scaled_dot_product_attention(*subject.inputs))


def test_what_does_not_fit_the_recording_is_refused(tmp_path: Path) -> None:
    _, _, path = recorded_of("micro/linear_gelu_mlp", tmp_path)
    usual: dict[str, Any] = {"device": "cpu", "precision": "float32", "mode": "inference", "shapes": "small", "batch_size": None, "seed": 1}
    workload = Recorded(path, "0000-aten.addmm.default")
    for changed, text in (
        ({"precision": "bfloat16"}, "recorded in float32"),
        ({"batch_size": 3}, "leave batch_size out"),
        ({"mode": "training"}, "without gradients"),
    ):
        with pytest.raises(Unsupported, match=text):
            workload.load(**{**usual, **changed})
    with pytest.raises(Unsupported, match=r"has no operator aten\.nosuch\.default"):
        operator_of("aten.nosuch.default")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x1f\x8b"])
def test_a_file_that_is_none_is_named_with_the_next_step(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "operators.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(SelectionError, match=r"no file of recorded operators(.|\n)*--experiment operators"):
        recorded_operators(f"operators:{path}")
    with pytest.raises(SelectionError, match="No such file"):
        recorded_operators(f"operators:{tmp_path / 'missing'}")


def test_a_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    recording = Recording(
        cell="w", precision="float32", operators=(OperatorCall(operator="aten.relu.default", arguments="[[],{}]", calls=3, alone=True),)
    )
    operator_file.write(tmp_path / "file", recording)
    assert operator_file.read(tmp_path / "file") == recording
    assert operator_file.index_of(recording.name(0)) == 0


def test_a_recording_without_an_operator_says_so(tmp_path: Path) -> None:
    view = OperatorCall(operator="aten.view.default", arguments="[[],{}]", calls=3, alone=False)
    operator_file.write(tmp_path / "file", Recording(cell="w", precision="float32", operators=(view,)))
    with pytest.raises(SelectionError, match=r"no operator of it can be measured(.|\n)*next: record another"):
        recorded_operators(f"operators:{tmp_path / 'file'}")


def rows(**columns: list[Any]) -> pd.DataFrame:
    known: dict[str, Any] = {
        "suite": "operators",
        "image": "cpu",
        "backend": "inductor",
        "status": "pass",
        "eager_device_seconds": None,
        "backend_device_seconds": None,
        "empty_call_seconds": 1e-6,
    }
    frame = pd.DataFrame(columns)
    return frame.assign(**{name: value for name, value in known.items() if name not in columns})


def test_times_are_weighted_by_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = rows(
        name=["operators/m:0000-aten.mm.default", "operators/m:0001-aten.relu.default", "operators/m:0002-aten.sort.default"],
        recorded_calls=[2, 10, 1],
        eager_latency_seconds=[101e-6, 11e-6, None],
        backend_latency_seconds=[51e-6, 11e-6, None],
        status=["pass", "pass", "fail_to_run"],
    )
    (found,) = weighing.weighted(table)
    assert found.eager_seconds == pytest.approx(300e-6)
    assert found.backend_seconds == pytest.approx(200e-6)
    assert found.table["operator"].tolist() == ["aten.mm.default", "aten.relu.default"]
    assert found.table["share"].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert found.failed == 1
    table.to_csv(tmp_path / "results.csv", index=False)
    assert weighing.main([str(tmp_path), "--csv", str(tmp_path / "all.csv")]) == 0
    assert "2 x aten.mm.default" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "all.csv")) == 2
    assert weighing.main([str(tmp_path / "nowhere")]) == 2


def test_device_time_is_preferred_where_there_is_one() -> None:
    table = rows(
        name=["operators/m:0000-aten.mm.default"],
        recorded_calls=[3],
        eager_latency_seconds=[1.0],
        backend_latency_seconds=[1.0],
        eager_device_seconds=[2e-3],
        backend_device_seconds=[1e-3],
    )
    (found,) = weighing.weighted(table)
    assert [found.eager_seconds, found.backend_seconds] == pytest.approx([6e-3, 3e-3])
