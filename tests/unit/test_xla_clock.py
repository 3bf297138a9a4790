"""The clock of XLA, on whatever device PJRT has here; skipped without torch_xla."""

from __future__ import annotations

import random

import pytest
import torch

from harness.cell import Sampling
from harness.measure.sampling import interleave
from harness.measure.xla_clock import XlaClock
from harness.protocols import Unsupported


def test_an_image_without_torch_xla_says_so() -> None:
    pytest.importorskip("torch")
    try:
        import torch_xla  # noqa: F401
    except ImportError:
        with pytest.raises(Unsupported, match="no torch_xla"):
            XlaClock()
    else:
        pytest.skip("torch_xla is here")


def test_lazy_work_is_inside_of_the_call_that_asks_for_it() -> None:
    """A lazy call returns in microseconds; 16 times the work takes many times as long only where it is waited for."""
    pytest.importorskip("torch_xla", reason="no torch_xla here")
    clock = XlaClock()
    small, large = (torch.randn(size, size).to("xla") for size in (256, 1024))
    found = interleave(
        {"small": lambda: small @ small, "large": lambda: large @ large}, clock, Sampling(samples=10, budget_seconds=3.0), random.Random(1)
    )
    assert [gauge.name for gauge in clock.gauges] == ["host"]
    assert found.ratio("large", "small", "host").estimate > 5
    assert clock.transfer_seconds((small,), (large,)) > 0
