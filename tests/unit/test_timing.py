"""From samples to what a row says of them."""

from __future__ import annotations

import copy
import os
import random
from pathlib import Path

import pytest
import torch

from harness import numerics
from harness.cell import Numerics
from harness.experiments.checking import share_tensors
from harness.experiments.sparing import spared
from harness.experiments.timing import BACKEND, EAGER, break_even_calls, warnings
from harness.measure.sampling import Measurement
from harness.protocols import Unsupported
from harness.records import Taken, Warn
from tests.said import Said


def measured(
    eager: list[float], backend: list[float], *, minimum: int = 30, steady: bool = True, marks: list[str] | None = None
) -> Measurement:
    taken = [
        Taken(variant, "host", 0.0, seconds, 1)
        for pair in zip(eager, backend, strict=True)
        for variant, seconds in zip((EAGER, BACKEND), pair, strict=True)
    ]
    return Measurement(
        samples=tuple(taken),
        marks=tuple(marks or [""] * len(eager)),
        steady=steady,
        cache="",
        warmup_seconds=0.1,
        spent=False,
        calls={(EAGER, "host"): 1, (BACKEND, "host"): 1},
        minimum=minimum,
        started=0.0,
    )


def alternating(low: float, high: float) -> list[float]:
    return [low, high] * 20


def noisy(level: float) -> list[float]:
    numbers = random.Random(1)
    return [level * numbers.lognormvariate(0.0, 0.03) for _ in range(40)]


def test_quiet_samples_have_no_warnings() -> None:
    assert warnings(measured([2.0] * 40, [1.0] * 40), "host", 0.01) == []


@pytest.mark.parametrize(
    ("found", "warning"),
    [
        (measured([2.0] * 10, [1.0] * 10), Warn.SHORT_SAMPLES),
        (measured([2.0] * 40, noisy(1.0)), Warn.WIDE_INTERVAL),
        (measured([2.0] * 40, [1.0] * 40, steady=False), Warn.UNSTEADY),
        (measured([2.0 + 0.02 * i for i in range(40)], [1.0 + 0.01 * i for i in range(40)]), Warn.DRIFT),
        (measured(alternating(2.0, 5.0), alternating(1.0, 2.5)), Warn.UNSTABLE),
    ],
    ids=lambda value: value.value if isinstance(value, Warn) else "",
)
def test_what_samples_say_against_themselves(found: Measurement, warning: Warn) -> None:
    assert warnings(found, "host", 0.01) == [warning]


def test_rounds_that_do_not_count_are_in_no_number() -> None:
    found = measured([2.0] * 30 + [9.0] * 5, [1.0] * 35, marks=[""] * 30 + ["contended"] * 5)
    assert found.seconds(EAGER, "host") == [2.0] * 30
    assert found.ratio(EAGER, BACKEND, "host").estimate == pytest.approx(2.0)


def test_compiling_pays_for_itself_or_never() -> None:
    assert break_even_calls(10.0, 3e-3, 1e-3) == pytest.approx(5000)
    assert break_even_calls(10.0, 1e-3, 1e-3) is None
    assert break_even_calls(None, 3e-3, 1e-3) is None


def test_both_variants_use_the_same_memory_where_they_can() -> None:
    ours = torch.nn.ModuleDict({"one": torch.nn.Linear(4, 4), "norm": torch.nn.BatchNorm1d(4), "two": torch.nn.Linear(4, 2)})
    theirs = copy.deepcopy(ours)
    theirs.get_parameter("two.weight").data = theirs.get_parameter("two.weight").data.to(torch.float64)
    share_tensors(theirs, ours)
    assert ours.get_parameter("one.weight").data_ptr() == theirs.get_parameter("one.weight").data_ptr()
    assert ours.get_buffer("norm.running_mean").data_ptr() == theirs.get_buffer("norm.running_mean").data_ptr()
    assert ours.get_parameter("two.weight").dtype == torch.float32


def test_settings_that_change_results_are_those_that_were_asked_for() -> None:
    try:
        numerics.apply(Numerics(tf32=True, cudnn_benchmark=True, deterministic=True))
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.benchmark
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        numerics.apply(Numerics())
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_cost_that_cannot_be_measured_takes_no_time_away(tmp_path: Path) -> None:
    said = Said(tmp_path)
    with spared("energy", said):
        raise RuntimeError("planted")
    assert said.warnings == [Warn.COSTS_INCOMPLETE]
    assert said.fields == {"reason": "energy could not be measured: RuntimeError: planted"}


def test_more_threads_than_processors_are_refused_before_they_are_made() -> None:
    before = torch.get_num_threads()
    with pytest.raises(Unsupported, match=f"threads = 100000: this machine has {os.cpu_count()} processors"):
        numerics.use_threads(100_000)
    numerics.use_threads(None)
    assert torch.get_num_threads() == before
    try:
        numerics.use_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
