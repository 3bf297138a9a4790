"""ONNX Runtime: results in eager's form from torch's own memory, where nodes ran, and why something could not be exported."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

from harness.backends.onnxruntime import OnnxRuntime
from harness.backends.ort_session import judge, nodes_by_provider, open_session, require_kept
from harness.cell import Cell, LaunchSpec, Sampling
from harness.choice import Value, parse_choice
from harness.files import read_fields
from harness.protocols import ExportFailed, FellBack, NoEvidence, Outputs, Subject, Unsupported
from tests.conftest import SOURCE

for package in ("onnxruntime", "onnx", "onnxscript"):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

EXPORTERS = ("dynamo", "dynamo-optimized", "dynamo-inlined", "torchscript")
BOTH = pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])


class Fixture:
    """A backend and what it made of a subject."""

    def __init__(self, folder: Path, model: nn.Module, *inputs: Any, precision: str = "float32", **options: Value) -> None:
        self.artifacts = folder
        self.subject = Subject(model=model.eval(), inputs=inputs)
        cell = Cell(workload="path/m:M", backend="onnxruntime", precision=precision, options=tuple(sorted(options.items())))
        self.backend = OnnxRuntime(cell, lambda name: folder / name)
        with torch.no_grad():
            self.call: Callable[..., Outputs] = self.backend.prepare(self.subject)

    def run(self) -> Outputs:
        with torch.no_grad():
            return self.call(*self.subject.inputs)

    def eager(self) -> Outputs:
        with torch.no_grad():
            return self.subject.model(*self.subject.inputs)


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., Fixture]:
    return lambda *arguments, **options: Fixture(tmp_path, *arguments, **options)


def assert_same(found: Outputs, expected: Outputs) -> None:
    """Values, types and structure."""
    assert pytree.tree_structure(found) == pytree.tree_structure(expected)
    for one, other in zip(pytree.tree_leaves(found), pytree.tree_leaves(expected), strict=True):
        if isinstance(other, torch.Tensor):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
        else:
            assert one == other


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor, others: list[Any], by_name: dict[str, torch.Tensor], scale: int) -> dict[str, Any]:
        return {
            "second": torch.nn.functional.gelu(self.linear(x)) * scale,
            "first": [others[0] + by_name["b"], None, 3, (others[2] > 1,)],
            "same": by_name["a"],
        }


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_results_have_the_form_that_eager_gives_them(prepared: Callable[..., Fixture], exporter: str) -> None:
    inputs = (torch.randn(2, 8), [torch.randn(3), None, torch.arange(4)], {"b": torch.randn(3), "a": torch.randn(5)}, 2)
    fixture = prepared(Nested(), *inputs, exporter=exporter)
    assert_same(fixture.run(), fixture.eager())


@BOTH
def test_every_element_type_is_bound(prepared: Callable[..., Fixture], exporter: str) -> None:
    class Transposed(nn.Module):
        def forward(self, *tensors: torch.Tensor) -> list[torch.Tensor]:
            return [tensor.t().contiguous() for tensor in tensors]

    floating = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
    types = [*floating, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool]
    tensors = [(torch.arange(12) % 5).reshape(3, 4).to(dtype) for dtype in types]
    fixture = prepared(Transposed(), *tensors, exporter=exporter)
    for found, tensor in zip(fixture.run(), tensors, strict=True):
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor.t())


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_an_output_may_be_there_twice_or_be_an_input_or_a_weight(prepared: Callable[..., Fixture], exporter: str) -> None:
    class Repeats(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            y = x + 1
            return y, x, y, self.weight, x.detach(), torch.arange(4)

    fixture = prepared(Repeats(), torch.randn(3, 3), exporter=exporter)
    assert_same(fixture.run(), tuple(leaf.detach() for leaf in fixture.eager()))


class Sum(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + 2 * y


def test_other_tensors_and_other_contents_are_read_and_results_lie_in_the_same_place(prepared: Callable[..., Fixture]) -> None:
    x, y = torch.randn(5, 3), torch.randn(5, 3)
    fixture = prepared(Sum(), x, y)
    first = fixture.run()
    assert_same(first, x + 2 * y)
    x.fill_(1.0)
    second = fixture.run()
    assert_same(second, x + 2 * y)
    assert second.data_ptr() == first.data_ptr()
    other = torch.randn(5, 3)
    assert_same(fixture.call(other, y), other + 2 * y)
    assert_same(fixture.call(y, other), y + 2 * other)
    x.data = torch.full((5, 3), 7.0)
    assert_same(fixture.call(x, y), x + 2 * y)


def test_an_input_that_is_not_contiguous_is_copied_in_every_call_and_named(prepared: Callable[..., Fixture]) -> None:
    x, y = torch.randn(3, 5).t(), torch.randn(5, 3)
    fixture = prepared(Sum(), x, y)
    assert_same(fixture.run(), x + 2 * y)
    x.fill_(3.0)
    assert_same(fixture.run(), x + 2 * y)
    assert fixture.backend.evidence().details["inputs_copied"] == ["input_0"]


@BOTH
def test_outputs_whose_shapes_depend_on_data_are_new_in_every_call(prepared: Callable[..., Fixture], exporter: str) -> None:
    class Positive(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            where = torch.nonzero(x)
            return where, x * 2, where > 1

    x = torch.tensor([1.0, 0.0, 2.0, 0.0])
    fixture = prepared(Positive(), x, exporter=exporter)
    first = fixture.run()
    assert_same(first, fixture.eager())
    kept = [leaf.clone() for leaf in first]
    x.copy_(torch.tensor([0.0, 1.0, 1.0, 1.0]))
    assert_same(fixture.run(), fixture.eager())
    assert torch.equal(first[0], kept[0])


def test_a_model_without_inputs_and_one_with_an_input_that_it_does_not_use(prepared: Callable[..., Fixture]) -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3))

        def forward(self, *x: torch.Tensor) -> torch.Tensor:
            return torch.sin(self.weight) if not x else torch.sin(x[1])

    x = torch.randn(2), torch.randn(4)
    for exporter in EXPORTERS:
        fixture = prepared(Unused(), *x, exporter=exporter)
        assert_same(fixture.run(), fixture.eager())
        assert_same(fixture.call(x[0], x[1] * 2), torch.sin(x[1] * 2))
    fixture = prepared(Unused(), level="disable", exporter="torchscript")
    assert_same(fixture.run(), fixture.eager())


class ChangesBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.counter: torch.Tensor
        self.register_buffer("counter", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.counter.add_(1)
        return x + self.counter


class ChangesInput(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.mul_(2)
        return x + 1


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize(("model", "what"), [(ChangesBuffer, "counter"), (ChangesInput, "input 0")])
def test_what_is_changed_in_place_is_no_graph(prepared: Callable[..., Fixture], exporter: str, model: type[nn.Module], what: str) -> None:
    with pytest.raises(Unsupported, match=rf"changes {what}.* in place"):
        prepared(model(), torch.ones(3), exporter=exporter)


class NoRules(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.special.bessel_j0(x), torch.linalg.qr(x)[0]


@BOTH
def test_every_operator_without_a_rule_is_in_the_table_of_export_errors(tmp_path: Path, exporter: str) -> None:
    with pytest.raises(ExportFailed) as error:
        Fixture(tmp_path, NoRules(), torch.randn(3, 3), exporter=exporter)
    assert "bessel_j0" in error.value.rule
    with (tmp_path / "export_errors.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["rule"] == error.value.rule
    assert rows[0]["message"] == str(error.value)
    assert any("linalg_qr" in row["rule"] for row in rows)
    assert {row["exception"] for row in rows} & {"DispatchError", "UnsupportedOperatorError"}


@BOTH
def test_a_model_that_cannot_be_traced_names_the_exception(tmp_path: Path, exporter: str) -> None:
    class Raises(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise LookupError("nothing here")

    with pytest.raises(ExportFailed, match="nothing here") as error:
        Fixture(tmp_path, Raises(), torch.ones(1), exporter=exporter)
    assert error.value.rule == "LookupError"
    assert "LookupError" in (tmp_path / "export_errors.csv").read_text()


def test_evidence_is_the_provider_of_every_node(prepared: Callable[..., Fixture]) -> None:
    fixture = prepared(nn.Sequential(nn.Linear(64, 64), nn.Softmax(dim=-1)), torch.randn(4, 64), threads=1, opset=21)
    with pytest.raises(NoEvidence):
        fixture.backend.evidence()
    fixture.run()
    evidence = fixture.backend.evidence()
    assert evidence.details["nodes"] == {"CPUExecutionProvider": {"Gemm": 1, "Softmax": 1}}
    assert evidence.details["elsewhere"] == {}
    assert evidence.warnings == ()
    assert evidence.details["opset"] == 21
    assert evidence.columns["export_seconds"] > 0  # type: ignore[operator]
    assert evidence.columns["artifact_bytes"] > 64 * 64 * 4  # type: ignore[operator]
    # What is timed is not what was profiled, and still works after it.
    options = fixture.backend._call.session.get_session_options()
    assert not options.enable_profiling
    assert options.intra_op_num_threads == 1
    assert_same(fixture.run(), fixture.eager())
    assert fixture.backend.evidence() is evidence
    assert not fixture.backend._exported.path.exists()


@pytest.mark.parametrize("opset", [0, 99])
def test_an_opset_that_the_exporter_does_not_keep_to_is_unsupported(prepared: Callable[..., Fixture], opset: int) -> None:
    with pytest.raises(Unsupported, match=f"opset = {opset}: the dynamo exporter"):
        prepared(nn.Softmax(dim=-1), torch.randn(2, 8), opset=opset)


class EmptyOutput(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x[:0] + 1, x.sin()


@BOTH
def test_what_is_empty_has_a_place_all_the_same(prepared: Callable[..., Fixture], exporter: str) -> None:
    fixture = prepared(EmptyOutput(), torch.randn(3, 4), exporter=exporter)
    assert_same(fixture.run(), fixture.eager())
    empty = prepared(Sum(), torch.ones(0, 2), torch.ones(0, 2), exporter=exporter)
    assert_same(empty.run(), empty.eager())


def test_a_graph_that_returns_its_inputs_is_nothing_to_run(prepared: Callable[..., Fixture]) -> None:
    with pytest.raises(Unsupported, match="returns its inputs and nothing else"):
        prepared(nn.Identity(), torch.randn(3), exporter="dynamo-inlined")


def test_without_the_option_a_session_has_as_many_threads_as_torch(prepared: Callable[..., Fixture]) -> None:
    fixture = prepared(Sum(), torch.ones(2), torch.ones(2))
    assert fixture.backend._call.session.get_session_options().intra_op_num_threads == torch.get_num_threads()
    with pytest.raises(Unsupported, match="threads = 4000"):
        prepared(Sum(), torch.ones(2), torch.ones(2), threads=4000)


@pytest.mark.parametrize("level", ["disable", "basic", "extended", "layout", "all"])
def test_levels_are_the_session_s(prepared: Callable[..., Fixture], level: str) -> None:
    fixture = prepared(nn.Sequential(nn.Linear(8, 8), nn.GELU()), torch.randn(2, 8), level=level, exporter="dynamo-inlined")
    assert_same(fixture.run(), fixture.eager())
    assert level in str(fixture.backend._call.session.get_session_options().graph_optimization_level).lower()


def test_autocast_is_in_the_graph(prepared: Callable[..., Fixture]) -> None:
    """ONNX Runtime's CPU has no kernels for products in bfloat16: that it says so shows that they are."""
    x = torch.randn(4, 8)
    fixture = prepared(nn.Softmax(dim=-1), x, precision="amp")
    assert_same(fixture.run(), torch.softmax(x, dim=-1))
    with pytest.raises(Unsupported, match=r"has no kernel for this model on CPUExecutionProvider: .*NOT_IMPLEMENTED"):
        prepared(nn.Linear(8, 8), x, precision="amp")


def test_a_provider_that_is_not_in_the_build_is_unsupported(tmp_path: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime is built with CUDA")
    with pytest.raises(Unsupported, match="built without CUDAExecutionProvider"):
        Fixture(tmp_path, Sum(), torch.ones(2), torch.ones(2), provider="cuda")


def test_a_provider_that_the_session_dropped_is_a_fallback(prepared: Callable[..., Fixture]) -> None:
    fixture = prepared(Sum(), torch.ones(2), torch.ones(2))
    require_kept(fixture.backend._call.session, "cpu")
    with pytest.raises(FellBack, match="dropped CUDAExecutionProvider and would have run on CPUExecutionProvider"):
        require_kept(fixture.backend._call.session, "cuda")


def test_nodes_on_another_provider_are_named_and_all_of_them_are_a_fallback(prepared: Callable[..., Fixture], tmp_path: Path) -> None:
    fixture = prepared(nn.Sequential(nn.Linear(8, 8), nn.Softmax(dim=-1)), torch.randn(4, 8))
    session = open_session(fixture.backend._exported.path, fixture.backend._settings, tmp_path / "profile")
    placed, nodes = nodes_by_provider(session, lambda: session.run(None, {"input_0": fixture.subject.inputs[0].numpy()}))
    assert [node["operator"] for node in nodes] == ["Gemm", "Softmax"]
    assert not list(tmp_path.glob("profile*"))
    assert judge(placed, "cpu") == {}
    with pytest.raises(FellBack, match="no node ran on CUDAExecutionProvider"):
        judge(placed, "cuda")
    assert judge({**placed, "CUDAExecutionProvider": {"Conv": 3}}, "cuda") == placed


def test_test_data_is_what_torch_makes_of_the_inputs(tmp_path: Path) -> None:
    import onnx
    import onnxruntime
    from onnx import numpy_helper

    for _ in range(2):  # the second time it takes the place of the first
        fixture = Fixture(
            tmp_path,
            Nested(),
            torch.randn(2, 8),
            [torch.randn(3), None, torch.arange(4)],
            {"b": torch.randn(3), "a": torch.ones(1)},
            2,
            test_data=True,
        )
        fixture.run()
        fixture.backend.evidence()
    folder = tmp_path / "onnx" / "test_data_set_0"

    def read(kind: str) -> list[Any]:
        files = sorted(folder.glob(f"{kind}_*.pb"))
        return [onnx.TensorProto.FromString(file.read_bytes()) for file in files]

    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(None, {tensor.name: numpy_helper.to_array(tensor) for tensor in read("input")})
    expected = [numpy_helper.to_array(tensor) for tensor in read("output")]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), torch.from_numpy(other), rtol=1e-4, atol=1e-5)


def test_what_is_not_there_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(workload="micro/softmax", backend="onnxruntime")
    for changed, says in (
        ({"mode": "training"}, "runs inference"),
        ({"device": "xla"}, "no provider for the device xla"),
        ({"device": "cuda", "options": (("provider", "cpu"),)}, "take device = cpu"),
    ):
        with pytest.raises(Unsupported, match=says):
            OnnxRuntime(dataclasses.replace(cell, **changed), Path)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(Unsupported, match="the package onnxscript is not in this image"):
        OnnxRuntime(cell, Path)
    OnnxRuntime(dataclasses.replace(cell, options=(("exporter", "torchscript"),)), Path)


def test_options_are_checked_where_they_are_written() -> None:
    assert parse_choice("onnxruntime(exporter=torchscript, opset=20)").options == (("exporter", "torchscript"), ("opset", 20))
    for text, says in (
        ("exporter=script", "exporter is one of dynamo, "),
        ("opset=new", "opset is a whole number"),
        ("provider=rocm", "provider is one of cpu, cuda, tensorrt"),
        ("levels=all", "did you mean 'level'"),
    ):
        with pytest.raises(ValueError, match=says):
            parse_choice(f"onnxruntime({text})")


def test_a_launch_says_where_nodes_ran_and_a_provider_that_is_not_there_has_no_times(tmp_path: Path) -> None:
    """The deliberately broken provider: CUDA asked for on a machine without."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    cells = [Cell(workload="micro/softmax", backend="onnxruntime", options=options) for options in ((), (("provider", "cuda"),))]
    cells.append(Cell(workload="micro/adam_step_foreach", backend="onnxruntime"))
    spec = LaunchSpec(
        run="r",
        launch=0,
        attempt=0,
        image="i",
        cells=tuple(cells),
        seed=1,
        timeout_seconds=200,
        sampling=Sampling(samples=5, budget_seconds=0.5, energy_seconds=0),
        measure_ceilings=False,
    )
    (tmp_path / "cells.json").write_text(spec.to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(tmp_path / "cells.json"), "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=SOURCE, text=True, capture_output=True, check=True)
    assert "not preloaded" not in done.stdout
    right, broken, failed = read_fields(tmp_path / "results.csv")
    assert right["status"] == "pass", right["reason"]
    assert json.loads(right["evidence"])["nodes"] == {"CPUExecutionProvider": {"Softmax": 1}}
    assert float(right["warm_compilation_seconds"]) > float(right["export_seconds"]) / 4
    assert int(right["artifact_bytes"]) > 0
    assert broken["status"] in ("fallback", "unsupported")
    assert broken["speedup"] == broken["abs_latency"] == ""
    assert failed["status"] == "fail_to_run"
    assert failed["export_error"].startswith("aten._foreach_lerp.Scalar: ")
    assert (tmp_path / failed["artifacts"] / "export_errors.csv").exists()
