"""Backends by real compilations of tiny models, checked as a cell checks them: on the way, all that a call changes is compared with eager."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch._dynamo
from torch import nn
from torch._dynamo.utils import counters

from harness import catalog
from harness.cell import Cell
from harness.choice import parse_choice
from harness.experiments.checking import Checked, check
from harness.measure.clock import CpuClock
from harness.protocols import Backend, BackendFactory, ExportFailed, NoEvidence, Subject, Unsupported
from harness.records import Status
from tests.said import Said, bench_of

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++: inductor needs one on a CPU")


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(64, 64), nn.Linear(64, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.down(torch.relu(self.up(x)))
        return output


class Counting(nn.Module):
    """Changes a buffer and its input."""

    # An annotation here would be more than TorchScript can read.
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)  # type: ignore[operator]
        x.mul_(2)
        return x + self.count  # type: ignore[operator]


class Doubling(nn.Module):
    """Changes its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.mul_(2)
        return torch.sin(x) + 1


class Branching(nn.Module):
    """Goes another way for another sign: a tracer sees one of them, an exporter objects."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x - 1


class Variadic(nn.Module):
    """TorchScript knows no functions of any number of arguments."""

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return torch.stack(tensors)


class CompilingItself(nn.Module):
    """As flex_attention does in eager. Compiled from outside, it is part of the graph around it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.compile(torch.sin, backend="eager")(x) + 1


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Torch's headers are precompiled into them: once is enough."""
    return tmp_path_factory.mktemp("inductor")


@pytest.fixture(autouse=True)
def fresh(caches: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counters are the process': a cell has a process of its own."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(caches))
    torch._dynamo.reset()
    counters.clear()
    with torch._dynamo.config.patch(use_lazy_graph_module=True):
        yield


def make(text: str, tmp_path: Path, **cell: Any) -> tuple[Backend, Cell]:
    choice = parse_choice(text)
    asked = Cell(workload="w/w", backend=choice.name, options=choice.options, **cell)
    factory = cast("BackendFactory", catalog.load(catalog.backend_reference(choice.name)))
    return factory(asked, lambda name: tmp_path / name), asked


def checked(text: str, model: nn.Module, tmp_path: Path, **cell: Any) -> tuple[Checked | str, Said]:
    """What ``check`` says of the backend, and what it wrote down."""
    backend, asked = make(text, tmp_path, **cell)
    torch.manual_seed(1)
    inputs = (torch.rand(8, 64),)
    report = Said(tmp_path)
    return check(bench_of(asked, Subject(model=model.eval(), inputs=inputs), backend, CpuClock("cold"), report)), report


@pytest.mark.parametrize("text", ["aot_eager", "ts", "dynamo:aot_eager", "export", "torchscript", "torchscript(method=script)"])
def test_a_right_result_with_its_evidence(text: str, tmp_path: Path) -> None:
    outcome, report = checked(text, Mlp(), tmp_path)
    assert isinstance(outcome, Checked), report.fields
    assert report.fields["calls_captured"] == 3
    assert report.fields["unique_graphs"] == 1
    assert report.fields["compared_by"] == "elements"


def test_what_eager_compiles_for_itself_is_no_evidence_of_a_backend(tmp_path: Path) -> None:
    outcome, report = checked("aot_eager", CompilingItself(), tmp_path)
    assert isinstance(outcome, Checked), report.fields
    assert (report.fields["unique_graphs"], report.fields["recompiles"]) == (1, 0)
    backend, _ = make("aot_eager", tmp_path)
    CompilingItself()(torch.rand(8, 64))
    backend.prepare(Subject(model=CompilingItself(), inputs=(torch.rand(8, 64),)))
    with pytest.raises(NoEvidence):
        backend.evidence()


@pytest.mark.parametrize("text", ["export", "torchscript", "torchscript(method=script)", "aot_eager"])
def test_what_a_call_changes_is_changed_as_by_eager(text: str, tmp_path: Path) -> None:
    """Tracing and exporting leave no trace of their own; nor do the calls that it takes until later ones are alike."""
    outcome, report = checked(text, Counting(), tmp_path)
    assert isinstance(outcome, Checked), report.fields


@pytest.mark.parametrize("text", ["export", "torchscript", "torchscript(method=script)"])
def test_autocast_is_part_of_what_is_exported(text: str, tmp_path: Path) -> None:
    outcome, report = checked(text, Mlp(), tmp_path, precision="amp")
    assert isinstance(outcome, Checked), report.fields
    assert outcome.backend.run().dtype == torch.bfloat16


def test_a_program_casts_where_nobody_else_does(tmp_path: Path) -> None:
    backend, _ = make("export", tmp_path, precision="amp")
    subject = Subject(model=Mlp(), inputs=(torch.rand(8, 64),))
    assert backend.prepare(subject)(*subject.inputs).dtype == torch.bfloat16


@pytest.mark.parametrize(("text", "model"), [("export", Branching()), ("torchscript(method=script)", Variadic())])
def test_what_cannot_be_exported_is_named_by_its_rule(text: str, model: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed) as failure:
        checked(text, model, tmp_path)
    assert failure.value.rule
    assert str(failure.value)


def test_a_tracer_tells_what_it_took_for_a_constant(tmp_path: Path) -> None:
    _, report = checked("torchscript", Branching(), tmp_path)
    (warning,) = json.loads(report.fields["evidence"])["tracer_warnings"]
    assert "Python boolean" in warning


@pytest.mark.parametrize("text", ["export", "aot-inductor", "torchscript"])
def test_programs_of_the_forward_pass_have_no_training(text: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="nothing in it to train"):
        make(text, tmp_path, mode="training")


@pytest.mark.parametrize("text", ["export", "torchscript", "aot_eager"])
def test_without_a_call_there_is_no_evidence(text: str, tmp_path: Path) -> None:
    backend, _ = make(text, tmp_path)
    backend.prepare(Subject(model=Mlp(), inputs=(torch.rand(8, 64),)))
    with pytest.raises(NoEvidence):
        backend.evidence()


@pytest.mark.parametrize(
    ("text", "says"),
    [("cudagraphs", "CUDA graphs need a GPU"), ("tensorrt", "needs a GPU"), ("dynamo:no_such", "lists no dynamo backend 'no_such'")],
)
def test_what_is_not_here_is_unsupported(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=says):
        make(text, tmp_path)


@pytest.mark.parametrize("text", ["inductor", "aot-inductor"])
def test_a_missing_compiler_is_unsupported_before_anything_is_loaded(text: str, tmp_path: Path) -> None:
    with torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}), pytest.raises(Unsupported, match=r"install g\+\+"):
        make(text, tmp_path)


@needs_compiler
def test_inductor_tells_its_mode_its_options_and_what_it_made(tmp_path: Path) -> None:
    outcome, report = checked("inductor(mode=reduce-overhead, epilogue_fusion=false)", Mlp(), tmp_path)
    assert isinstance(outcome, Checked), report.fields
    evidence = json.loads(report.fields["evidence"])
    assert evidence["mode"] == "reduce-overhead"
    assert evidence["options"] == {"epilogue_fusion": False, "triton.cudagraphs": True}
    assert evidence["generated_kernels"] >= 1
    assert evidence["cuda_graphs"] == "no effect: the cell is one of cpu"


@needs_compiler
def test_an_option_has_its_effect(tmp_path: Path) -> None:
    """Without fusion, each of two operators is a kernel."""
    kernels = {}
    for fusion in ("64", "1"):
        torch._dynamo.reset()
        torch._inductor.metrics.reset()
        _, report = checked(f"inductor(max_fusion_size={fusion}, max_autotune=true)", _Reductions(), tmp_path)
        kernels[fusion] = json.loads(report.fields["evidence"])["generated_kernels"]
    assert kernels["64"] < kernels["1"]


class _Reductions(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(torch.softmax(torch.sin(x), -1) + x, -1)


@needs_compiler
def test_a_package_is_loaded_back_and_changes_the_callers_input(tmp_path: Path, caches: Path) -> None:
    outcome, report = checked("aot-inductor(keep=true, epilogue_fusion=false)", Doubling(), tmp_path)
    assert isinstance(outcome, Checked), report.fields
    kept = tmp_path / "model.pt2"
    assert report.fields["artifact_bytes"] == kept.stat().st_size > 0
    assert report.fields["export_seconds"] > 0
    evidence = json.loads(report.fields["evidence"])
    assert evidence["libraries"]
    assert evidence["options"] == {"epilogue_fusion": False}
    # What was unpacked is gone, and calls go on.
    assert not list(caches.glob("package-*"))
    outcome.backend.call()


def test_a_package_has_no_buffers_that_a_caller_could_see(tmp_path: Path) -> None:
    backend, _ = make("aot-inductor", tmp_path)
    with pytest.raises(Unsupported, match="calls change the buffers count"):
        backend.prepare(Subject(model=Counting(), inputs=(torch.rand(8, 64),)))


def test_what_packaging_sets_itself_is_no_option(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"sets aot_inductor\.package itself"):
        make("aot-inductor(aot_inductor.package=false)", tmp_path)


def test_a_wrong_result_fails_its_check(tmp_path: Path) -> None:
    outcome, report = checked("dynamo:relu_accuracy_error_TESTING_ONLY", Mlp(), tmp_path)
    assert outcome == Status.FAIL_ACCURACY
    assert "outputs" in report.fields["reason"]
