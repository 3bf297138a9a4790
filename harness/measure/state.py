"""The state of the machine around a measurement: was it busy with something else, was it held back?

Read before and after, never inside a timed region. What a machine does not tell is None: containers hide some of it, and older
kernels do not have all of it.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.measure.nvml import Gpu

WAITING_LIMIT = 0.05
"""Share of the time in which a thread that could run waited for a processor. With launches over it voided, a gate beside a bursty
neighbour found planted slowdowns as surely as an idle machine does: measured on 120 launches of twelve operators."""
OTHERS_LIMIT = 0.05
"""Share of the cores that others may use: where the kernel tells nothing of waiting, the same share of the same disturbance."""
STEAL_LIMIT = 0.02
"""Share of the cores that the hypervisor gave to other machines. Lower than for waiting: an idle one counts 0, and what is stolen is
spread over all cores while it stops one."""
THROTTLED_LIMIT = 0.01
"""Share of the time in which the control group was stopped for having used up its share of processors. The kernel stops it for the
rest of a period (100 ms by default), so that 1 % is one such stop in ten seconds: as long as many samples."""

ROOT = Path("/")
PRESSURE = "proc/pressure/cpu"
THREADS = "proc/self/task"


@dataclass(frozen=True, kw_only=True)
class Waits:
    """Of threads, from some beginning on; two of them make a share."""

    waiting_seconds: float
    """Total time in which they could run and had no processor."""
    running_seconds: float
    """Total time in which they ran."""

    def share_since(self, earlier: Waits, seconds: float) -> float:
        """Of ``seconds``, or of all that the threads wanted where several of them wanted a processor at once: from 0 to 1.

        A thread that sleeps most of the time has waited for what little it did: of the whole time that is little, too.
        """
        waited = max(0.0, self.waiting_seconds - earlier.waiting_seconds)
        wanted = waited + max(0.0, self.running_seconds - earlier.running_seconds)
        return waited / max(seconds, wanted)


@dataclass(frozen=True, kw_only=True)
class CpuReading:
    """Counters as they stand; two of them make a judgement."""

    seconds: float
    """When: time.monotonic()."""
    waits: Waits | None
    """Of this process' threads."""
    pressure_seconds: float | None
    """Total time in which at least one task that could run was waiting for a processor, on the whole machine, averaged by the kernel
    over the processors that are not idle. Source: Documentation/accounting/psi.rst."""
    steal_seconds: float | None
    """Over all processors read. A container sees those of its host."""
    busy_seconds: float | None
    """The same: user, nice, system and interrupts; neither idle, nor waiting for input, nor stolen."""
    throttled_seconds: float | None
    """Of the control group as it is seen at /sys/fs/cgroup: the container's own, where there is one."""
    own_cpu_seconds: float
    """Of this process and of those of its children that have ended and were waited for."""
    frequency_mhz: float | None
    """Mean over the processors read."""
    load: float | None
    """Average number of tasks that ran or wanted to, over the last minute."""


@dataclass(frozen=True, kw_only=True)
class CpuJudgement:
    """Shares of the time between two readings, each None where unknown."""

    waiting_share: float | None
    """Of what this process' threads wanted of the processors: what they had to wait for."""
    pressure_share: float | None
    """The machine's: others that wait for other processors count too, and processors on which nothing waits make it less."""
    steal_share: float | None
    """Of all cores."""
    throttled_share: float | None
    others_share: float | None
    """Of all cores: busy with something else than this process."""
    contended: bool
    """Others took what the measurement needed."""
    throttled: bool
    """The control group's own limit stopped it."""


@dataclass(frozen=True, kw_only=True)
class GpuReading:
    """A GPU at one moment, each value None where NVML does not tell it. Right after a sample: an idle GPU lowers its clocks."""

    sm_clock_mhz: float | None
    memory_clock_mhz: float | None
    throttle_reasons: tuple[str, ...] | None
    temperature_celsius: float | None
    power_watts: float | None
    other_processes: int | None
    """Processes with a CUDA context on it, this one not counted."""


class WaitGauge:
    """How long this process' threads have waited, from files that stay open: cheap enough for before and after every round of samples.

    Where the kernel keeps no statistics of a thread, it is the machine's pressure instead.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._threads: dict[str, int] = {}
        """A descriptor for each, by its number."""
        self._pressure = _open(root / PRESSURE)
        self.look()

    def look(self) -> None:
        """Find the threads that have begun since the last look, and forget those that have ended."""
        names = set(_threads(self._root))
        for name in self._threads.keys() - names:
            os.close(self._threads.pop(name))
        for name in names - self._threads.keys():
            descriptor = _open(self._root / THREADS / name / "schedstat")
            if descriptor is not None:
                self._threads[name] = descriptor

    def read(self) -> Waits | None:
        """Of the threads known; None where the kernel tells nothing. It takes 2 microseconds per thread."""
        waits = _waits([_reread(descriptor) for descriptor in self._threads.values()])
        if waits is not None or self._pressure is None:
            return waits
        pressure = _pressure(_reread(self._pressure))
        return None if pressure is None else Waits(waiting_seconds=pressure, running_seconds=0.0)

    def close(self) -> None:
        for descriptor in (*self._threads.values(), *([] if self._pressure is None else [self._pressure])):
            os.close(descriptor)
        self._threads, self._pressure = {}, None


def read_cpu(root: Path = ROOT, cpus: Collection[int] | None = None) -> CpuReading:
    """All counters, in about a millisecond.

    cpus: numbers of the processors whose work is counted, the same in both readings of a judgement; None: all of the machine's. For
    a process that is pinned, name those it may use: what others do elsewhere does not disturb it.
    """
    now = time.monotonic()
    busy, steal = _busy_and_stolen(_read(root / "proc/stat"), cpus)
    times = os.times()
    return CpuReading(
        seconds=now,
        waits=_waits([_read(root / THREADS / name / "schedstat") for name in _threads(root)]),
        pressure_seconds=_pressure(_read(root / PRESSURE)),
        steal_seconds=steal,
        busy_seconds=busy,
        throttled_seconds=_throttled(root),
        own_cpu_seconds=times.user + times.system + times.children_user + times.children_system,
        frequency_mhz=_frequency_mhz(root, cpus),
        load=_first_number(_read(root / "proc/loadavg")),
    )


def read_gpu(gpu: Gpu) -> GpuReading:
    """For a process that uses the GPU: ``other_processes`` takes it for one of those on it."""
    processes = gpu.processes()
    return GpuReading(
        sm_clock_mhz=gpu.sm_clock_mhz(),
        memory_clock_mhz=gpu.memory_clock_mhz(),
        throttle_reasons=gpu.throttle_reasons(),
        temperature_celsius=gpu.temperature_celsius(),
        power_watts=gpu.power_watts(),
        # This process is on the GPU, under its own pid or under one of the host's. An empty list hides it, and maybe others.
        other_processes=len(processes) - 1 if processes else None,
    )


def joined(spans: Sequence[tuple[CpuReading, CpuReading]]) -> CpuReading:
    """The second reading of one span that is as long as all of these, and begins with the first one's first: what happened between them is
    left out.
    """
    first = spans[0][0]

    def total(counter: Callable[[CpuReading], float | None]) -> float | None:
        values = [(counter(before), counter(after)) for before, after in spans]
        steps = [after - before for before, after in values if before is not None and after is not None]
        beginning = counter(first)
        return None if beginning is None or len(steps) < len(spans) else beginning + sum(steps)

    def waited() -> Waits | None:
        waiting = total(lambda reading: None if reading.waits is None else reading.waits.waiting_seconds)
        running = total(lambda reading: None if reading.waits is None else reading.waits.running_seconds)
        return None if waiting is None or running is None else Waits(waiting_seconds=waiting, running_seconds=running)

    return dataclasses.replace(
        spans[-1][1],
        seconds=first.seconds + sum(after.seconds - before.seconds for before, after in spans),
        own_cpu_seconds=first.own_cpu_seconds + sum(after.own_cpu_seconds - before.own_cpu_seconds for before, after in spans),
        waits=waited(),
        pressure_seconds=total(lambda reading: reading.pressure_seconds),
        steal_seconds=total(lambda reading: reading.steal_seconds),
        busy_seconds=total(lambda reading: reading.busy_seconds),
        throttled_seconds=total(lambda reading: reading.throttled_seconds),
    )


def judge(before: CpuReading, after: CpuReading, cores: int) -> CpuJudgement:
    """What happened between two readings. cores: how many processors their busy and stolen seconds are of.

    What this process does to itself counts too: one with more busy threads than processors is contended by its own. Where the kernel
    tells nothing of threads, the machine's pressure is taken for them; where there is no pressure information either, what others use of
    the processors, children that still run among them. Raises ValueError for readings that are not in order.
    """
    elapsed = after.seconds - before.seconds
    if elapsed <= 0:
        raise ValueError(f"the second reading is not later than the first: {elapsed} s")
    waiting = None if before.waits is None or after.waits is None else after.waits.share_since(before.waits, elapsed)
    pressure = _share(before.pressure_seconds, after.pressure_seconds, elapsed)
    steal = _share(before.steal_seconds, after.steal_seconds, elapsed * cores)
    throttled = _share(before.throttled_seconds, after.throttled_seconds, elapsed)
    others = _share(_not_own(before), _not_own(after), elapsed * cores)
    waited = pressure if waiting is None else waiting
    return CpuJudgement(
        waiting_share=waiting,
        pressure_share=pressure,
        steal_share=steal,
        throttled_share=throttled,
        others_share=others,
        contended=(_over(others, OTHERS_LIMIT) if waited is None else _over(waited, WAITING_LIMIT)) or _over(steal, STEAL_LIMIT),
        throttled=_over(throttled, THROTTLED_LIMIT),
    )


def _not_own(reading: CpuReading) -> float | None:
    return None if reading.busy_seconds is None else reading.busy_seconds - reading.own_cpu_seconds


def _share(before: float | None, after: float | None, of_seconds: float) -> float | None:
    """Never negative: the kernel's counters are read one after another, in ticks of 10 ms, and stolen time can even run back."""
    return None if before is None or after is None else max(0.0, (after - before) / of_seconds)


def _over(share: float | None, limit: float) -> bool:
    return share is not None and share > limit


def _busy_and_stolen(stat: str, cpus: Collection[int] | None) -> tuple[float | None, float | None]:
    """Seconds from /proc/stat, over the processors named. Source of the fields: proc_stat(5)."""
    wanted = {"cpu"} if cpus is None else {f"cpu{number}" for number in cpus}
    lines = [line.split() for line in stat.splitlines() if line.startswith("cpu")]
    counted = [[int(field) for field in fields[1:]] for fields in lines if fields[0] in wanted]
    if not counted:
        return None, None
    ticks = os.sysconf("SC_CLK_TCK")
    # user nice system idle iowait irq softirq steal: what guests use is in user already.
    busy = sum(sum(fields[:3]) + sum(fields[5:7]) for fields in counted) / ticks
    stolen = sum(fields[7] for fields in counted) / ticks if all(len(fields) > 7 for fields in counted) else None
    return busy, stolen


def _threads(root: Path) -> list[str]:
    """Numbers of this process' threads."""
    try:
        return [path.name for path in (root / THREADS).iterdir()]
    except OSError:
        return []


def _waits(lines: Iterable[str]) -> Waits | None:
    """Sum of ``RUNNING WAITING SLICES`` in nanoseconds, a line of /proc/PID/task/TID/schedstat each; None where the kernel fills in zeros.

    A thread that has ended meanwhile has an empty one. Source: Documentation/scheduler/sched-stats.rst.
    """
    known = [fields for fields in map(str.split, lines) if len(fields) == 3 and all(map(str.isdigit, fields))]
    running, waiting = (sum(int(fields[place]) for fields in known) / 1e9 for place in (0, 1))
    return Waits(waiting_seconds=waiting, running_seconds=running) if running > 0 else None


def _pressure(text: str) -> float | None:
    """``some avg10=0.00 avg60=0.00 avg300=0.00 total=12632902``, in microseconds."""
    for line in text.splitlines():
        if line.startswith("some"):
            total = line.rpartition("total=")[2]
            return int(total) / 1e6 if total.isdigit() else None
    return None


def _throttled(root: Path) -> float | None:
    """Microseconds in version 2 of control groups, nanoseconds in version 1."""
    for path, key, unit in (
        ("sys/fs/cgroup/cpu.stat", "throttled_usec", 1e-6),
        ("sys/fs/cgroup/cpu/cpu.stat", "throttled_time", 1e-9),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.stat", "throttled_time", 1e-9),
    ):
        for line in _read(root / path).splitlines():
            name, _, value = line.partition(" ")
            if name == key and value.isdigit():
                return int(value) * unit
    return None


def _frequency_mhz(root: Path, cpus: Collection[int] | None) -> float | None:
    folder = root / "sys/devices/system/cpu"
    folders: Iterable[Path] = folder.glob("cpu[0-9]*") if cpus is None else (folder / f"cpu{number}" for number in cpus)
    kilohertz = [_first_number(_read(cpu / "cpufreq/scaling_cur_freq")) for cpu in folders]
    if known := [value for value in kilohertz if value is not None]:
        return sum(known) / len(known) / 1000
    # Blocks in the order of the processors, each with a line of its own for its number.
    numbers, megahertz = [], []
    for line in _read(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "processor":
            numbers.append(_first_number(value))
        elif name.strip() == "cpu MHz" and (cpus is None or (numbers and numbers[-1] in cpus)):
            megahertz.append(_first_number(value))
    known = [value for value in megahertz if value is not None]
    return sum(known) / len(known) if known else None


def _first_number(text: str) -> float | None:
    try:
        return float(text.split(maxsplit=1)[0])
    except (IndexError, ValueError):
        return None


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _reread(descriptor: int) -> str:
    """From the beginning; empty where it cannot be read any more."""
    try:
        return os.pread(descriptor, 512, 0).decode("ascii", "replace")
    except OSError:
        return ""


def _read(path: Path) -> str:
    """Empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
