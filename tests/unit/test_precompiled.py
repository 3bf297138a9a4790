"""What was compiled, saved and loaded back: real files of torch's, checked as a cell checks them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch._dynamo
from torch import nn

from harness.backends.inductor import warm_up_inductor
from harness.experiments.checking import Checked
from harness.protocols import NoEvidence, Subject, Unsupported
from harness.records import Warn
from tests.unit.test_backends import Counting, Mlp, caches, checked, fresh, make

__all__ = ["caches", "fresh"]
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++: inductor needs one on a CPU")


class Broken(nn.Module):
    """Two graphs."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.sin(self.up(x))
        torch._dynamo.graph_break()
        return torch.softmax(y, -1)


@pytest.fixture(scope="module", autouse=True)
def warm(caches: Path) -> None:
    """As in a launch: else torch's headers would be precompiled before and after what is loaded, in each test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(caches))
        warm_up_inductor("cpu")


@pytest.fixture(autouse=True)
def as_it_was(fresh: None) -> Iterator[None]:
    with torch._dynamo.config.patch(caching_precompile=False):
        yield


@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("method", ["aot", "cache"])
def test_what_is_loaded_is_right_and_nothing_is_compiled_again(method: str, mode: str, tmp_path: Path) -> None:
    outcome, report = checked(f"precompiled(method={method})", Mlp(), tmp_path, mode=mode)
    assert isinstance(outcome, Checked), report.fields
    evidence = json.loads(report.fields["evidence"])
    assert (evidence["method"], evidence["graphs_compiled_after_loading"]) == (method, 0)
    assert (report.fields["calls_captured"], report.fields["unique_graphs"], report.fields["recompiles"]) == (3, 1, 0)
    assert all(report.fields[name] > 0 for name in ("save_seconds", "load_seconds", "artifact_bytes", "backend_compile_seconds"))
    assert not report.warnings
    outcome.backend.run()


@pytest.mark.parametrize("method", ["aot", "cache"])
def test_what_a_call_changes_is_changed_as_by_eager(method: str, tmp_path: Path) -> None:
    outcome, report = checked(f"precompiled(method={method})", Counting(), tmp_path)
    assert isinstance(outcome, Checked), report.fields


def test_autocast_is_part_of_it(tmp_path: Path) -> None:
    outcome, report = checked("precompiled", Mlp(), tmp_path, precision="amp")
    assert isinstance(outcome, Checked), report.fields
    assert outcome.backend.run().dtype == torch.bfloat16


def test_graph_breaks_can_be_cached_and_not_compiled_into_one_function(tmp_path: Path) -> None:
    outcome, report = checked("precompiled(method=cache)", Broken(), tmp_path)
    assert isinstance(outcome, Checked), report.fields
    assert (report.fields["unique_graphs"], report.fields["graph_breaks"]) == (2, 1)
    anew = json.loads(report.fields["evidence"])["graphs_compiled_after_loading"]
    assert (Warn.FALLBACK in report.warnings) is (anew > 0)
    backend, _ = make("precompiled(method=aot)", tmp_path)
    with pytest.raises(torch._dynamo.exc.Unsupported):
        backend.prepare(Subject(model=Broken(), inputs=(torch.rand(8, 64),)))


def test_without_a_call_there_is_no_evidence(tmp_path: Path) -> None:
    for method in ("aot", "cache"):
        torch._dynamo.reset()
        backend, _ = make(f"precompiled(method={method})", tmp_path)
        with torch.no_grad():
            backend.prepare(Subject(model=Mlp(), inputs=(torch.rand(8, 64),)))
        with pytest.raises(NoEvidence):
            backend.evidence()


def test_a_torch_without_it_is_unsupported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.compiler, "load_compiled_function")
    with pytest.raises(Unsupported, match=r"no torch\.compiler\.load_compiled_function, which method=aot goes by"):
        make("precompiled", tmp_path)
    make("precompiled(method=cache)", tmp_path)
