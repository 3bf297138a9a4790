"""Quantization, where torchao is installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.experiments.checking import Checked
from harness.measure.accuracy import compare
from harness.protocols import Subject, Unsupported
from tests.unit.test_backends import Mlp, caches, checked, fresh, make  # noqa: F401  # fixtures

pytest.importorskip("torchao", reason="torchao is not installed")
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++: inductor needs one on a CPU")


@pytest.mark.parametrize("scheme", ["int8-dynamic", "int8-weight-only", "int4-weight-only"])
def test_linear_layers_are_quantized_and_compared_by_direction(scheme: str, tmp_path: Path) -> None:
    outcome, report = checked(f"torchao(scheme={scheme})", Mlp(), tmp_path)
    assert isinstance(outcome, Checked), report.fields
    evidence = json.loads(report.fields["evidence"])
    assert (evidence["scheme"], evidence["linear_layers"]) == (scheme, 2)
    assert sum(evidence["quantized_weights"].values()) == 2
    assert (report.fields["compared_by"], report.fields["tolerance"]) == ("cosine", pytest.approx(0.01))
    # Eager computes with more digits: what ran was not it.
    assert 10 * report.fields["eager_error"] < report.fields["backend_error"]


def test_the_model_that_it_is_made_of_stays_as_it_is(tmp_path: Path) -> None:
    backend, _ = make("torchao", tmp_path)
    model = Mlp()
    before = dict(model.named_parameters())
    backend.prepare(Subject(model=model, inputs=(torch.rand(8, 64),)))
    assert all(before[name] is parameter for name, parameter in model.named_parameters())
    assert all(type(parameter) is nn.Parameter for parameter in model.parameters())


def test_without_linear_layers_there_is_nothing_to_quantize(tmp_path: Path) -> None:
    backend, _ = make("torchao", tmp_path)
    with pytest.raises(Unsupported, match="no linear layer"):
        backend.prepare(Subject(model=nn.Conv2d(3, 3, 3), inputs=(torch.rand(1, 3, 8, 8),)))


def test_autoquant_is_not_for_processors(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="autoquant"):
        make("torchao(scheme=autoquant)", tmp_path)


def test_a_wrong_scale_is_no_quantization(tmp_path: Path) -> None:
    backend, _ = make("torchao", tmp_path)
    assert backend.tolerance is not None
    x = torch.randn(1000)
    assert compare(x, x + 0.05 * torch.randn(1000), None, backend.tolerance).same
    assert "root mean square" in compare(x, 1.5 * x, None, backend.tolerance).reason
    assert not compare(x, x + 0.3 * torch.randn(1000), None, backend.tolerance).same
