"""Energy per call, from the counters that GPUs (NVML) and processors (RAPL) keep of themselves.

It is the energy of the whole device: what it draws when idle is in it, and so is whatever else runs on it. RAPL counts processor
packages, without memory and the rest of the machine; NVML the board.

The counters advance in steps. RAPL's take about a millisecond: it is read before the calls and after them. NVML's take 100 ms on an
H100, and reading it takes 2 to 17 ms (measured under driver 580), in which the device must not stand idle. So a thread beside the calls notes
when the counter advances. Energy and time between two of its steps give the power, whatever of a step there is at either end; power
and time per call give the energy.
"""

from __future__ import annotations

import itertools
import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from harness.measure.nvml import Gpu

NVML_STEP_SECONDS = 0.1
"""The longest that NVML's counter stays as it is. Source: the measurement above; up to as much for other GPUs' power in Yang, Adamek and
Armour, "Part-time Power Measurements" (arXiv 2312.02741)."""
RAPL_STEP_SECONDS = 0.001
"""Source: Intel's manual, volume 3B, on RAPL."""
WATCH_SECONDS = 0.002
"""Between two looks of the thread: a look and this pause say when a step was, to about 1 % of ``MINIMUM_SECONDS``."""
MINIMUM_SECONDS = 1.0
"""Ten steps of NVML's counter. A100 and H100 look at their power during a quarter of each step only (the same paper): some steps are
needed for what they miss to even out."""
UNCERTAINTY = 0.05
"""Of the time between two steps, beyond which the power between them is not known."""
STEPS_LOST = 2
"""Parts of a step before the first that is seen and after the last one."""
ATTEMPTS = 3
"""To make the calls last as long as wanted, when they take less time than was said."""
SHORTEST_CALL_SECONDS = 1e-7
"""No call of Python's is shorter."""


class NoReading(Exception):
    """The counter does not read any more."""


class EnergyMeter(Protocol):
    step_seconds: float
    """How long the counter may stay as it is though energy is used."""

    def joules(self) -> float:
        """Energy since some fixed moment. Raises NoReading."""
        ...


class NvmlMeter:
    """The total energy counter of a GPU: Volta and later."""

    step_seconds = NVML_STEP_SECONDS

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu

    def joules(self) -> float:
        joules = self._gpu.energy_joules()
        if joules is None:
            raise NoReading("NVML does not tell the GPU's energy")
        return joules


class RaplMeter:
    """The sum over the processor packages whose counters can be read: by root alone, on most machines since 2020.

    A counter wraps around at some ten thousand joules, minutes under load: read it more often than that.
    """

    step_seconds = RAPL_STEP_SECONDS

    def __init__(self, root: Path = Path("/")) -> None:
        # intel-rapl:0 is a package (AMD's too), or with the name psys the whole platform; intel-rapl:0:1 is a part of a package.
        folders = (root / "sys/class/powercap").glob("intel-rapl:*")
        zones = [_Zone(folder) for folder in sorted(folders) if re.fullmatch(r"intel-rapl:\d+", folder.name)]
        self._zones = [zone for zone in zones if zone.is_readable_package()]

    @property
    def packages(self) -> int:
        """How many are counted; 0 where the meter is of no use."""
        return len(self._zones)

    def joules(self) -> float:
        try:
            return sum(zone.joules() for zone in self._zones)
        except (OSError, ValueError) as error:
            raise NoReading(str(error)) from error


class _Zone:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: int | None = None
        self._total = 0

    def is_readable_package(self) -> bool:
        try:
            self.joules()
            return (self._folder / "name").read_text().startswith("package")
        except (OSError, ValueError):
            return False

    def joules(self) -> float:
        """Since the first reading."""
        value = self._microjoules("energy_uj")
        if self._last is not None:
            # max_energy_range_uj is the largest value: one more, and it is 0 again.
            self._total += value - self._last if value >= self._last else value - self._last + self._microjoules("max_energy_range_uj") + 1
        self._last = value
        return self._total / 1e6

    def _microjoules(self, name: str) -> int:
        return int((self._folder / name).read_text())


def find_meter(device: str, gpu: Gpu | None, root: Path = Path("/")) -> EnergyMeter | None:
    """The meter of ``cuda`` (with the GPU to be measured) or of ``cpu``; None where there is none that reads."""
    if device == "cuda":
        return None if gpu is None or gpu.energy_joules() is None else NvmlMeter(gpu)
    if device == "cpu":
        meter = RaplMeter(root)
        return meter if meter.packages else None
    return None


@dataclass(frozen=True, kw_only=True)
class Energy:
    joules_per_call: float
    """Of the whole device, idle power included."""
    watts: float
    """Mean power while the calls ran."""
    calls: int
    seconds: float
    """That the calls took."""


def energy_per_call(
    call_batch: Callable[[int], None],
    seconds_per_call: float,
    meter: EnergyMeter,
    *,
    minimum_seconds: float = MINIMUM_SECONDS,
) -> Energy | None:
    """Energy of calls that follow one another without a break; None where the counter stands still or no longer reads.

    call_batch: runs so many calls and waits until the device has done them. seconds_per_call: about, from the samples. Over one second
    the power was within 2 % of that over eight, over half a second within 6 % (a matrix product, a copy and an empty kernel on an H200).
    """
    wanted = minimum_seconds + STEPS_LOST * meter.step_seconds
    for _ in range(ATTEMPTS):
        calls = math.ceil(wanted / max(seconds_per_call, SHORTEST_CALL_SECONDS))
        try:
            watts, seconds = _power(call_batch, calls, meter)
        except NoReading:
            return None
        if seconds >= wanted * 0.8:
            break
        seconds_per_call = seconds / calls
    return None if watts is None else Energy(joules_per_call=watts * seconds / calls, watts=watts, calls=calls, seconds=seconds)


def _power(call_batch: Callable[[int], None], calls: int, meter: EnergyMeter) -> tuple[float | None, float]:
    """(watts, seconds) of so many calls."""
    sightings: list[Sighting] = []
    done = threading.Event()

    def watch() -> None:
        try:
            while not done.wait(WATCH_SECONDS):
                before = time.monotonic()
                joules = meter.joules()
                sightings.append(Sighting(before=before, after=time.monotonic(), joules=joules))
        except NoReading:
            pass

    coarse = meter.step_seconds > WATCH_SECONDS
    before = meter.joules()
    watcher = threading.Thread(target=watch, name="energy", daemon=True)
    if coarse:
        watcher.start()
    started = time.monotonic()
    try:
        call_batch(calls)
        ended = time.monotonic()
    finally:
        done.set()
        if coarse:
            watcher.join()
    if coarse:
        return watts_between_steps([sighting for sighting in sightings if sighting.after <= ended]), ended - started
    joules = meter.joules() - before
    return joules / (ended - started) if joules > 0 else None, ended - started


class Sighting(NamedTuple):
    """One look at the counter: it had this value at some moment between these."""

    before: float
    after: float
    joules: float


class _Step(NamedTuple):
    """The counter advanced to this value at ``seconds``, give or take ``uncertainty``."""

    seconds: float
    uncertainty: float
    joules: float


def watts_between_steps(sightings: Sequence[Sighting]) -> float | None:
    """Mean power between two steps of the counter: the two whose distance is known best. sightings: in order.

    The calls may keep the thread from looking, for longer than a step takes: a step that was seen late happened at any time since the
    last look. None where no two steps are known to ``UNCERTAINTY`` of their distance.
    """
    steps = [
        _Step(
            seconds=(earlier.before + later.after) / 2,
            uncertainty=(later.after - earlier.before) / 2,
            joules=later.joules,
        )
        for earlier, later in itertools.pairwise(sightings)
        if later.joules > earlier.joules
    ]
    pairs = [
        ((first.uncertainty + last.uncertainty) / (last.seconds - first.seconds), first, last)
        for first, last in itertools.combinations(steps, 2)
    ]
    uncertainty, first, last = min(pairs, default=(math.inf, None, None), key=lambda pair: pair[0])
    if first is None or last is None or uncertainty > UNCERTAINTY:
        return None
    return (last.joules - first.joules) / (last.seconds - first.seconds)
