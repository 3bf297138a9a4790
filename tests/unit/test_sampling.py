"""Sampling: exact numbers from a clock that is made up."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from harness.cell import Sampling
from harness.measure.clock import HostTimed, calls_for
from harness.measure.sampling import Measurement, counted, interleave, one_call_seconds, warm_up
from harness.protocols import Call, Gauge
from harness.records import Taken

Duration = Callable[[], float]


class FakeGauge:
    """Every call takes what its function says."""

    name = "host"
    resolution_seconds = 1e-9

    def __init__(self) -> None:
        self.now = 0.0
        self.empty: Call = lambda: 0.0

    def time(self, call: Call, calls: int) -> float:
        started = self.now
        for _ in range(calls):
            self.now += call()  # type: ignore[operator]  # the calls of these tests return their duration
        return (self.now - started) / calls

    def calls(self, one_call: float, minimum: float) -> int:
        return calls_for(max(minimum, 1000 * self.resolution_seconds), one_call)


class FakeClock(HostTimed):
    device = "fake"

    def __init__(self) -> None:
        self.gauge = FakeGauge()
        self.gauges: tuple[Gauge, ...] = (self.gauge,)
        self.settled: list[tuple[float, str | None]] = []

    def settle(self, shortest_call_seconds: float, state: str | None) -> str:
        self.settled.append((shortest_call_seconds, state))
        return state or "hot"

    def transfer_seconds(self, inputs: object, outputs: object) -> None:
        return None


class FakeWatch:
    """Marks the rounds that it is told to."""

    def __init__(self, marked: Callable[[int], bool]) -> None:
        self.marked = marked
        self.rounds = 0
        self.said: list[str] = []

    def begin(self) -> None:
        self.said.append("begin")

    def mark(self, seconds: float) -> str:
        assert seconds > 0
        self.rounds += 1
        return "contended" if self.marked(self.rounds - 1) else ""

    def pause(self) -> None:
        self.said.append("pause")

    def resume(self) -> None:
        self.said.append("resume")

    def end(self) -> None:
        self.said.append("end")


def take(variants: dict[str, Duration], sampling: Sampling, watch: FakeWatch | None = None, state: str | None = None) -> Measurement:
    clock = FakeClock()
    return interleave(variants, clock, sampling, random.Random(1), watch=watch, state=state, now=lambda: clock.gauge.now)


def noisy(seconds: float, spread: float, seed: int) -> Duration:
    numbers = random.Random(seed)
    return lambda: seconds * numbers.lognormvariate(0.0, spread)


@pytest.mark.parametrize("seconds", [1e-7, 1e-6, 3e-4, 1e-3, 2.0])
def test_a_sample_is_as_long_as_asked(seconds: float) -> None:
    found = take({"a": lambda: seconds, "b": lambda: seconds}, Sampling(samples=6, minimum_sample_seconds=1e-3, budget_seconds=1e9))
    calls = found.calls["a", "host"]
    assert calls * seconds >= 1e-3 * 0.999
    assert (calls - 1) * seconds < 1e-3


def test_a_disturbed_trial_does_not_make_samples_short() -> None:
    durations = iter([1.0, *[1e-5] * 1_000_000])
    assert one_call_seconds(lambda: next(durations), FakeGauge()) == pytest.approx(1e-5)


def test_variants_are_interleaved_in_random_order() -> None:
    found = take({"a": lambda: 1.0, "b": lambda: 2.0}, Sampling(samples=40, budget_seconds=1e9))
    assert found.seconds("a", "host") == [1.0] * 40
    assert found.seconds("b", "host") == [2.0] * 40
    rounds = [(found.samples[i].variant, found.samples[i + 1].variant) for i in range(0, 80, 2)]
    assert all({first, second} == {"a", "b"} for first, second in rounds)
    assert 8 < sum(first == "a" for first, _ in rounds) < 32
    assert [sample.started_seconds for sample in found.samples] == sorted(sample.started_seconds for sample in found.samples)
    assert found.samples[0].started_seconds == 0


def test_sampling_goes_on_until_the_interval_is_narrow() -> None:
    quiet = take({"a": noisy(1e-3, 0.001, 1), "b": noisy(1e-3, 0.001, 2)}, Sampling(samples=30, budget_seconds=1e9))
    loud = take({"a": noisy(1e-3, 0.05, 1), "b": noisy(1e-3, 0.05, 2)}, Sampling(samples=30, budget_seconds=1e9))
    assert len(quiet.marks) == 30
    assert len(loud.marks) > 100
    for found in (quiet, loud):
        assert found.ratio("a", "b", "host").width <= 0.01
        assert not found.spent


def test_a_spent_budget_ends_it_with_the_wanted_rounds() -> None:
    found = take({"a": noisy(1e-3, 0.5, 1), "b": noisy(1e-3, 0.5, 2)}, Sampling(samples=30, budget_seconds=0.5))
    assert found.spent
    assert 30 <= len(found.marks) <= 0.5 / 2e-3 * 1.2
    assert found.ratio("a", "b", "host").width > 0.01


def test_calls_so_long_that_patience_ends_leave_a_few_rounds() -> None:
    found = take({"a": lambda: 1.0}, Sampling(samples=30, minimum_samples=5, budget_seconds=2.0))
    assert found.spent
    assert len(found.marks) == 8


def test_disturbed_rounds_are_marked_and_left_out_where_others_are_enough() -> None:
    watch = FakeWatch(lambda index: index % 3 == 0)
    found = take({"a": lambda: 1.0, "b": lambda: 1.0}, Sampling(samples=30, budget_seconds=1e9), watch)
    assert watch.said == ["begin", "end"]
    assert len(found.seconds("a", "host")) >= 30
    assert all(index % 3 for index in found.counted)
    assert {sample.mark for sample in found.samples[:2]} == {"contended"}
    assert {sample.mark for sample in found.samples[2:6]} == {""}


def test_where_every_round_is_disturbed_all_count() -> None:
    assert counted(["contended"] * 40 + [""] * 5, 30) == list(range(45))
    assert counted(["contended"] * 40 + [""] * 30, 30) == list(range(40, 70))
    found = take({"a": lambda: 1.0, "b": lambda: 1.0}, Sampling(samples=30, budget_seconds=1e9), FakeWatch(lambda index: True))
    assert len(found.counted) == len(found.marks) == 90


def test_warming_up_waits_for_what_gets_faster() -> None:
    gauge, calls = FakeGauge(), 0

    def slow_at_first() -> float:
        nonlocal calls
        calls += 1
        return 0.01 * (1 + 20 / calls)

    assert warm_up(slow_at_first, gauge, 1e9, lambda: gauge.now)
    assert calls > 40
    steady, calls = FakeGauge(), 0
    assert warm_up(lambda: 0.01, steady, 1e9, lambda: steady.now)
    assert steady.now == pytest.approx(0.11)


def test_warming_up_is_given_up_when_its_time_is_spent() -> None:
    gauge, calls = FakeGauge(), 0

    def ever_faster() -> float:
        nonlocal calls
        calls += 1
        return float(0.97**calls)

    assert not warm_up(ever_faster, gauge, 5.0, lambda: gauge.now)


def test_what_earlier_launches_chose_is_passed_to_the_clock() -> None:
    assert take({"a": lambda: 1.0}, Sampling(samples=6, budget_seconds=1e9), state="cold").cache == "cold"
    assert take({"a": lambda: 1.0}, Sampling(samples=6, budget_seconds=1e9)).cache == "hot"


def test_samples_that_turn_out_too_short_are_made_longer() -> None:
    """Calibrated while every call still compiled; then calls take a thousandth."""
    calls = 0

    def late() -> float:
        nonlocal calls
        calls += 1
        return 0.01 if calls < 25 else 1e-5

    found = take({"a": late, "b": late}, Sampling(samples=30, minimum_sample_seconds=1e-3, budget_seconds=1e9))
    assert found.calls["a", "host"] == 100
    assert all(sample.calls >= 99 for sample in found.samples)
    assert found.steady


def test_samples_survive_a_call_that_raises() -> None:
    kept: list[Taken] = []
    clock = FakeClock()
    durations = iter([1.0] * 60)
    with pytest.raises((StopIteration, RuntimeError)):
        interleave(
            {"a": lambda: next(durations)},
            clock,
            Sampling(samples=100, budget_seconds=1e9),
            random.Random(1),
            keep=kept.extend,
            now=lambda: clock.gauge.now,
        )
    assert 30 <= len(kept) < 60
    assert [sample.started_seconds for sample in kept] == sorted(sample.started_seconds for sample in kept)


class FakeSlices:
    """Others have their turn for a second whenever it is given up."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self.seconds = seconds
        self.clock = clock
        self.waited = 0.0
        self.began: list[float] = []

    def next(self) -> None:
        self.clock.gauge.now += 1.0
        self.waited += 1.0
        self.began.append(self.now())

    def now(self) -> float:
        return self.clock.gauge.now - self.waited


def in_slices(seconds: float, length: float, watch: FakeWatch | None = None, **sampling: float) -> tuple[Measurement, FakeSlices]:
    clock = FakeClock()
    slices = FakeSlices(clock, length)
    how = Sampling(samples=6, **sampling)  # type: ignore[arg-type]
    variants = {"a": lambda: seconds, "b": lambda: seconds}
    return interleave(variants, clock, how, random.Random(1), watch=watch, slices=slices), slices


def test_samples_are_taken_in_slices_and_no_time_of_others_is_in_them() -> None:
    found, slices = in_slices(0.005, 0.045, budget_seconds=10.0, least_seconds=1.0)
    assert all(sample.seconds == pytest.approx(0.005) for sample in found.samples)
    by_slice = found.by_slice("b", "host")
    assert len(by_slice) == len(slices.began) == len(set(found.slices))
    assert [len(each) for each in by_slice[:-1]] == [5] * (len(by_slice) - 1), "a slice ends with the round in which its time is over"
    assert found.samples[-1].started_seconds < 2.0, "its own time, and not that of the others"


def test_a_launch_with_nobody_beside_it_has_no_slices() -> None:
    assert take({"a": lambda: 1.0}, Sampling(samples=6, budget_seconds=1e9)).slices == ()
    assert take({"a": lambda: 1.0}, Sampling(samples=6, budget_seconds=1e9)).by_slice("a", "host") == []


def test_the_machine_is_not_watched_while_others_have_their_turn() -> None:
    watch = FakeWatch(lambda index: False)
    _, slices = in_slices(0.005, 0.05, watch, budget_seconds=10.0, least_seconds=0.5)
    assert watch.said == ["begin", *["pause", "resume"] * len(slices.began), "end"]


def test_samples_that_are_taken_anew_are_in_slices_anew() -> None:
    calls = 0

    def late() -> float:
        nonlocal calls
        calls += 1
        return 0.01 if calls < 25 else 1e-5

    clock = FakeClock()
    how = Sampling(samples=30, minimum_sample_seconds=1e-3, budget_seconds=1e9, least_seconds=0.5)
    found = interleave({"a": late, "b": late}, clock, how, random.Random(1), slices=FakeSlices(clock, 0.05))
    assert len(found.slices) == len(found.marks) == len(found.seconds("a", "host"))
    assert sum(map(len, found.by_slice("a", "host"))) == len(found.marks)
