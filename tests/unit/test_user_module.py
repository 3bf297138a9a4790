"""``path:FILE:CLASS``: what a module says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.measure.accuracy import default_tolerance
from harness.protocols import Subject, Tolerance
from harness.workloads.user_module import UserModule

NET = """
import torch

class Net(torch.nn.ReLU):
    {attributes}

    def get_example_inputs(self):
        return torch.ones(3)
"""


def loaded(folder: Path, attributes: str) -> Subject:
    path = folder / "net.py"
    path.write_text(NET.format(attributes=attributes.replace("; ", "\n    ") or "pass"))
    return UserModule(path, "Net").load(device="cpu", precision="bfloat16", mode="training", shapes="small", batch_size=None, seed=1)


@pytest.mark.parametrize(
    ("attributes", "tolerance"),
    [
        ("", None),
        ("tolerance = 1e-3", Tolerance(absolute_and_relative=1e-3)),
        ("tolerance = 1; cosine = False", Tolerance(absolute_and_relative=1.0)),
        ("tolerance = 0.5; cosine = True", Tolerance(absolute_and_relative=0.5, cosine=True)),
        ("cosine = True", Tolerance(absolute_and_relative=default_tolerance("training", "bfloat16").absolute_and_relative, cosine=True)),
    ],
)
def test_it_says_how_its_results_are_judged(tmp_path: Path, attributes: str, tolerance: Tolerance | None) -> None:
    assert loaded(tmp_path, attributes).tolerance == tolerance


@pytest.mark.parametrize("value", ["float('inf')", "float('nan')", "-1", "0", "True", "50", "'abc'", "[1e-3]"])
def test_a_tolerance_that_is_none_is_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValueError, match=r"Net\.tolerance is .*: write a number above 0 and at most 1"):
        loaded(tmp_path, f"tolerance = {value}")


@pytest.mark.parametrize("value", ["'no'", "1", "torch.ones(3)"])
def test_a_cosine_that_is_none_is_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(TypeError, match=r"(?s)Net\.cosine is .*: write True or False"):
        loaded(tmp_path, f"cosine = {value}")
