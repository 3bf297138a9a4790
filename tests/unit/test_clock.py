"""The host's clocks: what is inside of a reading, and what is not."""

from __future__ import annotations

import time

import pytest

from harness.measure.clock import MAXIMUM_CALLS, WAITED_CALLS, CpuClock, HostGauge, WaitingGauge, calls_for, resolution_seconds


def test_the_clock_measures_what_sleeps() -> None:
    measured = HostGauge().time(lambda: time.sleep(0.02), 3)
    assert 0.02 <= measured < 0.2


def test_waiting_is_in_the_reading_and_what_comes_before_is_not() -> None:
    said: list[str] = []

    def wait() -> None:
        said.append("wait")
        time.sleep(0.01)

    def before() -> None:
        said.append("before")
        time.sleep(0.5)

    measured = WaitingGauge(wait, before).time(lambda: said.append("call"), 3)
    untimed, timed = 1, 3
    assert said == ["before", "wait", "call", "wait"] * (untimed + timed)
    assert 0.01 <= measured < 0.1


def test_a_sample_is_a_thousand_times_what_the_clock_can_tell() -> None:
    gauge = HostGauge()
    assert gauge.calls(1e-9, 0.0) * 1e-9 >= 999 * gauge.resolution_seconds
    assert 0 < resolution_seconds() < 1e-4


def test_a_sample_of_short_calls_that_are_waited_for_has_a_few() -> None:
    gauge = WaitingGauge(lambda: None, lambda: None)
    least = calls_for(1000 * gauge.resolution_seconds, 1e-5)
    assert gauge.calls(1e-5, 1e-3) == max(least, WAITED_CALLS)
    assert gauge.calls(5e-4, 1e-3) == 2
    assert gauge.calls(1.0, 1e-3) == 1


@pytest.mark.parametrize(("seconds", "one", "calls"), [(1e-3, 1e-6, 1000), (1e-3, 2.0, 1), (1e-3, 0.0, MAXIMUM_CALLS), (1e-3, 3e-4, 4)])
def test_calls_fill_a_sample(seconds: float, one: float, calls: int) -> None:
    assert calls_for(seconds, one) == calls


def test_a_processor_has_one_clock_and_no_copies() -> None:
    clock = CpuClock()
    assert [gauge.name for gauge in clock.gauges] == ["host"]
    assert clock.settle(1.0, None) == ""
