"""Torch's C++ runtime for exported programs, in builds of torch that have it; in others the reason, which is found by looking."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from harness.backends import nativert
from harness.experiments.checking import Checked
from harness.protocols import NoEvidence, Subject, Unsupported
from harness.records import Status
from tests.unit.test_backends import Counting, Doubling, Mlp, caches, checked, fresh, make

__all__ = ["caches", "fresh"]


def is_there() -> bool:
    try:
        nativert.runner_class()
    except Unsupported:
        return False
    return True


needs_runtime = pytest.mark.skipif(not is_there(), reason=f"torch {torch.__version__} is built without NativeRT")


class Nested(nn.Module):
    """Outputs in a tree, one of them no tensor."""

    def forward(self, x: torch.Tensor) -> dict[str, object]:
        return {"a": torch.sin(x), "b": (torch.softmax(x, -1), 3)}


@pytest.mark.skipif(is_there(), reason="this torch has it")
def test_a_torch_without_the_runtime_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"torch\._C\._nativert.* built without NativeRT"):
        make("nativert", tmp_path)


@pytest.mark.parametrize(
    ("module", "words"),
    [(SimpleNamespace(), "has no torch._C._nativert"), (SimpleNamespace(PyModelRunner=type("Stub", (), {})), "is an empty class")],
)
def test_what_is_missing_of_it_is_looked_at(module: object, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.import_module", lambda name: module)
    with pytest.raises(Unsupported, match=words):
        nativert.runner_class()


def test_it_runs_inference_and_has_no_options(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="nothing in it to train"):
        make("nativert", tmp_path, mode="training")


@needs_runtime
@pytest.mark.parametrize("model", [Mlp(), Nested()])
def test_a_right_result_with_its_evidence(model: nn.Module, tmp_path: Path) -> None:
    outcome, report = checked("nativert", model, tmp_path)
    assert isinstance(outcome, Checked), report.fields
    assert report.fields["calls_captured"] >= 2
    assert report.fields["artifact_bytes"] > 0
    assert 0 < report.fields["load_seconds"] < 60
    assert json.loads(report.fields["evidence"])["runtime_called"]
    outcome.backend.run()


@needs_runtime
def test_what_a_call_should_do_to_its_input_it_does_not(tmp_path: Path) -> None:
    outcome, report = checked("nativert", Doubling(), tmp_path)
    assert outcome == Status.FAIL_ACCURACY
    assert report.fields["reason"].startswith("inputs: ")


@needs_runtime
def test_autocast_is_part_of_the_program(tmp_path: Path) -> None:
    outcome, report = checked("nativert", Mlp(), tmp_path, precision="amp")
    assert isinstance(outcome, Checked), report.fields
    assert outcome.backend.run().dtype == torch.bfloat16


@needs_runtime
def test_a_package_has_buffers_of_its_own(tmp_path: Path) -> None:
    backend, _ = make("nativert", tmp_path)
    with pytest.raises(Unsupported, match="calls change the buffers count"):
        backend.prepare(Subject(model=Counting(), inputs=(torch.rand(8, 64),)))


@needs_runtime
def test_without_a_call_there_is_no_evidence(tmp_path: Path) -> None:
    backend, _ = make("nativert", tmp_path)
    backend.prepare(Subject(model=Mlp(), inputs=(torch.rand(8, 64),)))
    with pytest.raises(NoEvidence):
        backend.evidence()
