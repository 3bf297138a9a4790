"""Peaks, recordings and ceilings of a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.measure.ceilings import Ceilings, measure_ceilings
from harness.measure.memory import held_bytes, keeps_history, peak_of, snapshot

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda.is_available() is False"),
]
SIZE = 256 << 20


def block() -> None:
    torch.ones(SIZE, dtype=torch.uint8, device="cuda")


def test_a_block_is_seen_every_time() -> None:
    block()
    for _ in range(3):
        found = peak_of(block, "cuda")
        assert found.reason == ""
        assert found.beyond_bytes == pytest.approx(SIZE, rel=0.05)
        assert found.reserved_beyond_bytes == pytest.approx(SIZE, rel=0.05)
        assert found.reserved_bytes is not None
        assert found.reserved_bytes >= SIZE


def test_what_is_held_before_does_not_count() -> None:
    held = torch.ones(2 * SIZE, dtype=torch.uint8, device="cuda")
    found = peak_of(block, "cuda")
    assert found.beyond_bytes == pytest.approx(SIZE, rel=0.05)
    assert found.reserved_bytes is not None
    assert found.reserved_bytes >= 3 * SIZE
    assert held_bytes(torch.nn.Identity(), (held, held[1:])) == 2 * SIZE


def test_one_call_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.pickle"
    assert keeps_history("cuda")
    snapshot(block, path)
    assert path.stat().st_size > 0


def test_this_gpu_is_measured() -> None:
    before = torch.get_float32_matmul_precision()
    found = measure_ceilings("cuda")
    assert torch.get_float32_matmul_precision() == before
    assert Ceilings.from_json(found.to_json()) == found
    bandwidth, flops = dict(found.bandwidth), dict(found.flops)
    assert 50e9 < bandwidth[1 << 30] < 20e12
    assert 50e9 < bandwidth[16 << 20] < 200e12
    assert flops["float16"] > flops["float32"] > 1e12
    if "tf32" in flops:
        assert flops["float32"] < flops["tf32"] < flops["float16"] * 1.1
