"""Energy per call: devices that are made up, with counters that advance in steps."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.measure import nvml
from harness.measure.energy import NoReading, NvmlMeter, RaplMeter, Sighting, energy_per_call, find_meter, watts_between_steps
from tests.unit.fake_nvml import H100, install

IDLE_WATTS, BUSY_WATTS = 70.0, 500.0


class Device:
    """Draws more while it runs calls; its counter shows the energy as it was at the last step, and takes a while to be read."""

    def __init__(self, step_seconds: float, seconds_per_call: float, read_seconds: float = 0.0) -> None:
        self.step_seconds, self.seconds_per_call, self.read_seconds = step_seconds, seconds_per_call, read_seconds
        self.calls = 0
        self.changes = [(time.monotonic() - 10.0, IDLE_WATTS)]

    def run(self, calls: int) -> None:
        self.calls += calls
        self.changes.append((time.monotonic(), BUSY_WATTS))
        self.wait(calls * self.seconds_per_call)
        self.changes.append((time.monotonic(), IDLE_WATTS))

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def joules(self) -> float:
        time.sleep(self.read_seconds)
        shown = math.floor(time.monotonic() / self.step_seconds) * self.step_seconds
        ends = [start for start, _ in self.changes[1:]] + [math.inf]
        return sum(max(0.0, min(end, shown) - start) * watts for (start, watts), end in zip(self.changes, ends, strict=True))


class HeldDevice(Device):
    """Its calls keep Python busy, as launches to a GPU do."""

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass


@pytest.mark.parametrize(
    ("kind", "step_seconds", "read_seconds"), [(Device, 0.1, 0.003), (HeldDevice, 0.1, 0.003), (Device, 0.02, 0.0), (Device, 0.001, 0.0)]
)
def test_neither_steps_nor_reads_nor_idle_time_falsify_the_energy(
    kind: Callable[..., Device], step_seconds: float, read_seconds: float
) -> None:
    device = kind(step_seconds, 1e-3, read_seconds)
    found = energy_per_call(device.run, 1e-3, device)
    assert found is not None
    assert found.watts == pytest.approx(BUSY_WATTS, rel=0.05)
    assert found.joules_per_call == pytest.approx(found.watts * found.seconds / found.calls)
    assert found.calls == device.calls
    assert found.seconds == pytest.approx(1.0 + 2 * step_seconds, abs=0.2)


def test_calls_that_take_less_than_was_said_are_measured_for_as_long() -> None:
    device = Device(0.02, 1e-4)
    found = energy_per_call(device.run, 5e-3, device, minimum_seconds=0.3)
    assert found is not None
    assert found.seconds >= 0.25
    assert found.calls == pytest.approx(3400, rel=0.2)


def test_a_long_call_is_run_once() -> None:
    device = Device(0.02, 0.5)
    found = energy_per_call(device.run, 0.5, device, minimum_seconds=0.2)
    assert found is not None
    assert device.calls == found.calls == 1
    assert found.joules_per_call == pytest.approx(BUSY_WATTS * 0.5, rel=0.1)


@pytest.mark.parametrize("phase", [0.0, 0.013, 0.05, 0.099])
def test_power_is_from_step_to_step(phase: float) -> None:
    """70 watts before the calls start at 0.25 s, 500 after: what is at most one step before the first that is seen does not count."""
    times = [0.25 + 0.004 * index for index in range(300)]

    def shown(seconds: float) -> float:
        at = math.floor((seconds - phase) / 0.1) * 0.1 + phase
        return min(at, 0.25) * IDLE_WATTS + max(at - 0.25, 0.0) * BUSY_WATTS

    sightings = [Sighting(seconds - 0.0001, seconds, shown(seconds)) for seconds in times]
    assert watts_between_steps(sightings) == pytest.approx(BUSY_WATTS, rel=0.01)


def test_steps_that_were_seen_late_do_not_say_when_they_were() -> None:
    """What the calls did to the thread that looks: after a look at 0.1 s none until 0.35 s, and none from 0.5 s to 0.95 s."""
    times = [0.02 * index for index in range(60)]
    looked = [seconds for seconds in times if not (0.1 < seconds < 0.35 or 0.5 < seconds < 0.95)]
    sightings = [Sighting(seconds, seconds + 0.001, BUSY_WATTS * math.floor(seconds / 0.1) * 0.1) for seconds in looked]
    found = watts_between_steps(sightings)
    assert found == pytest.approx(BUSY_WATTS, rel=0.05)
    assert watts_between_steps([each for each in sightings if not 0.4 < each.before < 1.1]) is None


@pytest.mark.parametrize("joules", [[], [1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 2.0, 2.0]])
def test_power_needs_two_steps(joules: list[float]) -> None:
    assert watts_between_steps([Sighting(index, index + 0.01, each) for index, each in enumerate(joules)]) is None


@pytest.mark.parametrize("step_seconds", [0.001, 0.02])
def test_a_counter_that_stands_still_is_no_energy(step_seconds: float) -> None:
    class Still(Device):
        def joules(self) -> float:
            return 7.0

    device = Still(step_seconds, 1e-3)
    assert energy_per_call(device.run, 1e-3, device, minimum_seconds=0.1) is None


@pytest.mark.parametrize("step_seconds", [0.001, 0.02])
@pytest.mark.parametrize("reads", [0, 1])
def test_a_counter_that_stops_reading_is_no_energy(step_seconds: float, reads: int) -> None:
    left = itertools.count(reads, -1)

    class Failing(Device):
        def joules(self) -> float:
            if next(left) <= 0:
                raise NoReading("gone")
            return super().joules()

    device = Failing(step_seconds, 1e-3)
    assert energy_per_call(device.run, 1e-3, device, minimum_seconds=0.1) is None


def test_what_a_call_raises_is_not_hidden() -> None:
    def broken(_: int) -> None:
        raise OSError("the call's own")

    with pytest.raises(OSError, match="own"):
        energy_per_call(broken, 1e-3, Device(0.1, 1e-3))


def zone(root: Path, folder: str, *, name: str, microjoules: int, maximum: int = 262_143_328_850) -> Path:
    path = root / "sys/class/powercap" / folder
    path.mkdir(parents=True, exist_ok=True)
    for file, content in (("name", name), ("energy_uj", microjoules), ("max_energy_range_uj", maximum)):
        (path / file).write_text(f"{content}\n")
    return path


def test_rapl_sums_packages_only(tmp_path: Path) -> None:
    zones = [
        zone(tmp_path, "intel-rapl:0", name="package-0", microjoules=1_000_000),
        zone(tmp_path, "intel-rapl:1", name="package-1", microjoules=5_000_000),
        zone(tmp_path, "intel-rapl:2", name="psys", microjoules=7_000_000),
        zone(tmp_path, "intel-rapl:0:0", name="core", microjoules=9_000_000),
        zone(tmp_path, "intel-rapl-mmio:0", name="package-0", microjoules=9_000_000),
    ]
    meter = RaplMeter(tmp_path)
    assert meter.packages == 2
    before = meter.joules()
    for path in zones:
        (path / "energy_uj").write_text(str(int((path / "energy_uj").read_text()) + 2_500_000))
    assert meter.joules() - before == pytest.approx(5.0)


def test_rapl_wraps_around(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", name="package-0", microjoules=9_000_000, maximum=9_999_999)
    meter = RaplMeter(tmp_path)
    before = meter.joules()
    for microjoules, since in ((9_500_000, 0.5), (1_000_000, 2.0), (1_000_000, 2.0), (500_000, 11.5)):
        (path / "energy_uj").write_text(f"{microjoules}\n")
        assert meter.joules() - before == pytest.approx(since)


def test_a_package_that_cannot_be_read_does_not_count(tmp_path: Path) -> None:
    (zone(tmp_path, "intel-rapl:0", name="package-0", microjoules=1) / "energy_uj").unlink()
    assert RaplMeter(tmp_path).packages == 0
    assert find_meter("cpu", None, tmp_path) is None


def test_a_package_that_goes_away_is_no_reading(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", name="package-0", microjoules=1)
    meter = RaplMeter(tmp_path)
    (path / "energy_uj").unlink()
    with pytest.raises(NoReading):
        meter.joules()


def test_the_meter_goes_with_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = install(monkeypatch, H100)
    gpu = nvml.open_gpu(0)
    meter = find_meter("cuda", gpu, tmp_path)
    assert isinstance(meter, NvmlMeter)
    assert meter.joules() == 7654.321
    assert find_meter("cpu", gpu, tmp_path) is None
    zone(tmp_path, "intel-rapl:0", name="package-0", microjoules=1)
    assert isinstance(find_meter("cpu", gpu, tmp_path), RaplMeter)
    assert find_meter("cuda", None, tmp_path) is None
    assert find_meter("xpu", gpu, tmp_path) is None
    del library.gpus[0]["nvmlDeviceGetTotalEnergyConsumption"]
    assert find_meter("cuda", gpu, tmp_path) is None
    with pytest.raises(NoReading):
        meter.joules()
