"""The state of the machine: from made-up /proc trees, made-up readings, and once from the real one under real pressure."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.measure import nvml
from harness.measure.state import CpuReading, WaitGauge, Waits, joined, judge, read_cpu, read_gpu
from tests.unit.fake_nvml import H100, install, process

TICKS = os.sysconf("SC_CLK_TCK")
STAT = """cpu  1000 200 300 4000 500 60 40 700 90 9
cpu0 600 100 200 3000 400 50 30 600 80 8
cpu1 400 100 100 1000 100 10 10 100 10 1
intr 223746 0 0
ctxt 437917
"""
PRESSURE = "some avg10=7.11 avg60=1.77 avg300=1.21 total=12632902\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


def tree(root: Path, **files: str) -> Path:
    """Files by path, with __ for a slash."""
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def reading(**changed: Any) -> CpuReading:
    known = CpuReading(
        seconds=100.0,
        waits=None,
        pressure_seconds=5.0,
        steal_seconds=1.0,
        busy_seconds=50.0,
        throttled_seconds=0.0,
        own_cpu_seconds=10.0,
        frequency_mhz=3000.0,
        load=1.0,
    )
    return dataclasses.replace(known, **changed)


def test_a_reading_has_seconds(tmp_path: Path) -> None:
    root = tree(tmp_path, proc__stat=STAT, proc__pressure__cpu=PRESSURE, proc__loadavg="0.74 0.28 0.14 4/113 4637\n")
    tree(root, proc__self__task__7__schedstat="3000000000 500000000 12\n", proc__self__task__8__schedstat="1000000000 250000000 9\n")
    found = read_cpu(root)
    assert found.busy_seconds == pytest.approx((1000 + 200 + 300 + 60 + 40) / TICKS)
    assert found.steal_seconds == pytest.approx(700 / TICKS)
    assert found.waits == Waits(waiting_seconds=0.75, running_seconds=4.0)
    assert found.pressure_seconds == pytest.approx(12.632902)
    assert found.load == 0.74
    assert found.own_cpu_seconds > 0
    assert abs(found.seconds - time.monotonic()) < 10


def test_only_the_processors_named_count(tmp_path: Path) -> None:
    root = tree(tmp_path, proc__stat=STAT)
    found = read_cpu(root, cpus=[1])
    assert found.busy_seconds == pytest.approx((400 + 100 + 100 + 10 + 10) / TICKS)
    assert found.steal_seconds == pytest.approx(100 / TICKS)
    assert read_cpu(root, cpus=[0, 1]).busy_seconds == read_cpu(root).busy_seconds
    assert read_cpu(root, cpus=[17]).busy_seconds is None


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    found = dataclasses.asdict(read_cpu(tmp_path))
    assert {name for name, value in found.items() if value is not None} == {"seconds", "own_cpu_seconds"}


@pytest.mark.parametrize(
    ("path", "content", "seconds"),
    [
        ("cpu.stat", "usage_usec 9\nnr_throttled 3\nthrottled_usec 2500000\n", 2.5),
        ("cpu__cpu.stat", "nr_periods 0\nthrottled_time 1500000000\n", 1.5),
        ("cpu,cpuacct__cpu.stat", "throttled_time 500000000\n", 0.5),
        ("cpu.stat", "usage_usec 9\nuser_usec 5\n", None),
    ],
)
def test_throttling_is_read_from_either_version_of_control_groups(tmp_path: Path, path: str, content: str, seconds: float | None) -> None:
    found = read_cpu(tree(tmp_path, **{f"sys__fs__cgroup__{path}": content})).throttled_seconds
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_frequency_is_the_mean_over_the_processors(tmp_path: Path) -> None:
    cpuinfo = "".join(f"processor\t: {number}\ncpu MHz\t\t: {mhz}\n\n" for number, mhz in enumerate((2000.0, 3000.0, 4000.0)))
    root = tree(tmp_path, proc__cpuinfo=cpuinfo)
    assert read_cpu(root).frequency_mhz == 3000.0
    assert read_cpu(root, cpus=[1, 2]).frequency_mhz == 3500.0
    for number, kilohertz in enumerate((1_000_000, 1_500_000)):
        tree(root, **{f"sys__devices__system__cpu__cpu{number}__cpufreq__scaling_cur_freq": f"{kilohertz}\n"})
    assert read_cpu(root).frequency_mhz == 1250.0
    assert read_cpu(root, cpus=[1]).frequency_mhz == 1500.0


def waits(waiting: float, running: float) -> Waits:
    return Waits(waiting_seconds=waiting, running_seconds=running)


def test_the_gauge_follows_threads_as_they_come_and_go(tmp_path: Path) -> None:
    root = tree(tmp_path, proc__self__task__7__schedstat="3000000000 500000000 12\n")
    gauge = WaitGauge(root)
    assert gauge.read() == waits(0.5, 3.0)
    tree(root, proc__self__task__7__schedstat="4000000000 600000000 13\n", proc__self__task__8__schedstat="1000000000 100000000 1\n")
    assert gauge.read() == waits(0.6, 4.0), "what has begun since is seen after a look"
    gauge.look()
    assert gauge.read() == waits(0.7, 5.0)
    shutil.rmtree(root / "proc/self/task/7")
    gauge.look()
    assert gauge.read() == waits(0.1, 1.0)
    gauge.close()
    assert gauge.read() is None
    gauge.close()


@pytest.mark.parametrize("threads", ["", "0 0 0\n", "none of it\n", None])
def test_where_the_kernel_tells_nothing_of_threads_it_is_the_machines_pressure(tmp_path: Path, threads: str | None) -> None:
    root = tree(tmp_path, proc__pressure__cpu=PRESSURE)
    if threads is not None:
        tree(root, proc__self__task__7__schedstat=threads)
    gauge = WaitGauge(root)
    assert gauge.read() == waits(12.632902, 0.0)
    (root / "proc/pressure/cpu").write_text(PRESSURE.replace("12632902", "13000000"))
    assert gauge.read() == waits(13.0, 0.0)
    gauge.close()
    assert gauge.read() is None


@pytest.mark.parametrize("content", ["", "some avg10=0.00\n", "none of it\n"])
def test_a_gauge_without_numbers_says_none(tmp_path: Path, content: str) -> None:
    assert WaitGauge(tmp_path).read() is None
    assert WaitGauge(tree(tmp_path, proc__pressure__cpu=content)).read() is None


@pytest.mark.parametrize(
    ("waiting", "running", "share"),
    [
        (0.0, 10.0, 0.0),
        (1.0, 9.0, 0.1),  # one thread that was busy all the time
        (0.5, 0.5, 0.05),  # one that slept for most of it
        (4.0, 36.0, 0.1),  # four that were busy
        (10.0, 0.0, 1.0),
        (-1.0, -1.0, 0.0),  # a thread has ended
    ],
)
def test_waiting_is_a_share_of_what_was_wanted(waiting: float, running: float, share: float) -> None:
    assert waits(5.0 + waiting, 7.0 + running).share_since(waits(5.0, 7.0), 10.0) == pytest.approx(share)


def test_shares_are_of_the_time_and_of_the_cores() -> None:
    after = reading(seconds=110.0, pressure_seconds=5.4, steal_seconds=1.4, busy_seconds=80.0, throttled_seconds=0.05, own_cpu_seconds=36.0)
    found = judge(reading(), after, cores=4)
    assert found.pressure_share == pytest.approx(0.04)
    assert found.steal_share == pytest.approx(0.01)
    assert found.throttled_share == pytest.approx(0.005)
    assert found.others_share == pytest.approx((30 - 26) / 40)
    assert (found.contended, found.throttled) == (False, False)


@pytest.mark.parametrize(
    ("changed", "contended", "throttled"),
    [
        ({}, False, False),
        ({"pressure_seconds": 5.49}, False, False),
        ({"pressure_seconds": 5.51}, True, False),
        ({"steal_seconds": 1.39}, False, False),
        ({"steal_seconds": 1.41}, True, False),
        ({"throttled_seconds": 0.09}, False, False),
        ({"throttled_seconds": 0.11}, False, True),
        # What waits elsewhere on the machine did this process no harm.
        ({"pressure_seconds": 9.0, "waits": waits(1.4, 11.0)}, False, False),
        ({"waits": waits(1.6, 11.0)}, True, False),
        # Where there is pressure information, others that did not make anything wait did no harm.
        ({"busy_seconds": 60.0}, False, False),
        ({"busy_seconds": 60.0, "pressure_seconds": None}, True, False),
        ({"busy_seconds": 50.9, "pressure_seconds": None}, False, False),
        ({"busy_seconds": 60.0, "own_cpu_seconds": 20.0, "pressure_seconds": None}, False, False),
        ({"pressure_seconds": None, "steal_seconds": None, "busy_seconds": None, "throttled_seconds": None}, False, False),
    ],
)
def test_judgement(changed: dict[str, Any], contended: bool, throttled: bool) -> None:
    found = judge(reading(waits=waits(1.0, 2.0) if "waits" in changed else None), reading(**{"seconds": 110.0, **changed}), cores=2)
    assert (found.contended, found.throttled) == (contended, throttled)


def test_what_is_unknown_in_either_reading_has_no_share() -> None:
    found = judge(reading(steal_seconds=None), reading(seconds=101.0, busy_seconds=None, throttled_seconds=None), cores=2)
    assert (found.steal_share, found.others_share, found.throttled_share) == (None, None, None)
    assert found.pressure_share == 0


def test_shares_are_not_negative() -> None:
    found = judge(reading(), reading(seconds=101.0, own_cpu_seconds=11.0, steal_seconds=0.9), cores=2)
    assert (found.others_share, found.steal_share) == (0, 0)


def test_readings_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="not later"):
        judge(reading(), reading(), cores=1)


def test_busy_neighbours_make_this_process_wait() -> None:
    """Three processes and this one want one processor."""
    gauge = WaitGauge()
    if gauge.read() is None or read_cpu().waits is None:
        pytest.skip("this kernel keeps no statistics of threads (CONFIG_SCHED_INFO)")
    allowed = os.sched_getaffinity(0)
    cpu = min(allowed)
    command = [sys.executable, "-S", "-c", f"import os; os.sched_setaffinity(0, {{{cpu}}})\nprint(flush=True)\nwhile True: pass"]
    busy = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    os.sched_setaffinity(0, {cpu})
    try:
        for each in busy:
            assert each.stdout is not None
            each.stdout.readline()
        began, before, first = time.monotonic(), read_cpu(), gauge.read()
        while time.monotonic() < began + 0.5:
            pass
        after, last = read_cpu(), gauge.read()
    finally:
        os.sched_setaffinity(0, allowed)
        for each in busy:
            each.kill()
            each.communicate()
        gauge.close()
    assert first is not None
    assert last is not None
    share = last.share_since(first, after.seconds - before.seconds)
    assert share > 0.3
    found = judge(before, after, 1)
    assert found.waiting_share == pytest.approx(share, abs=0.1)
    assert found.contended


def test_the_gauge_is_cheap() -> None:
    """It stands between rounds of samples of a millisecond each."""
    gauge = WaitGauge()
    if gauge.read() is None:
        pytest.skip("this kernel tells nothing of waiting")
    took = []
    for _ in range(200):
        started = time.perf_counter()
        gauge.read()
        took.append(time.perf_counter() - started)
    gauge.close()
    assert sorted(took)[len(took) // 2] < 500e-6


@pytest.mark.parametrize(
    ("processes", "others"),
    [
        ([process(os.getpid(), 1)], 0),
        ([process(os.getpid(), 1), process(3, 1), process(4, 1)], 2),
        ([process(99_999_999, 1)], 0),
        ([process(99_999_998, 1), process(99_999_999, 1)], 1),
        ([], None),
    ],
)
def test_a_gpu_reading_counts_the_other_processes(monkeypatch: pytest.MonkeyPatch, processes: Any, others: int | None) -> None:
    install(
        monkeypatch,
        {**H100, "nvmlDeviceGetComputeRunningProcesses": processes, "nvmlDeviceGetCurrentClocksEventReasons": 0x24},
    )
    gpu = nvml.open_gpu(0)
    assert gpu is not None
    found = read_gpu(gpu)
    assert found.other_processes == others
    assert (found.sm_clock_mhz, found.memory_clock_mhz, found.temperature_celsius, found.power_watts) == (1980, 2619, 41, 123.456)
    assert found.throttle_reasons == ("sw_power_cap", "sw_thermal")


def test_spans_are_joined_without_what_lies_between_them() -> None:
    first = reading(seconds=0.0, pressure_seconds=1.0, busy_seconds=10.0)
    spans = [
        (first, reading(seconds=1.0, pressure_seconds=1.1, busy_seconds=12.0)),
        (reading(seconds=5.0, pressure_seconds=4.0, busy_seconds=19.0), reading(seconds=6.0, pressure_seconds=4.2, busy_seconds=20.0)),
    ]
    joint = joined(spans)
    assert (joint.seconds, joint.busy_seconds) == (2.0, 13.0)
    assert joint.pressure_seconds == pytest.approx(1.3)
    assert judge(first, joint, cores=2).pressure_share == pytest.approx(0.15)


def test_waiting_is_joined_as_other_counters_are() -> None:
    first = reading(seconds=0.0, waits=waits(1.0, 10.0))
    spans = [
        (first, reading(seconds=1.0, waits=waits(1.1, 10.9))),
        (reading(seconds=5.0, waits=waits(4.0, 15.0)), reading(seconds=6.0, waits=waits(4.2, 15.8))),
    ]
    assert judge(first, joined(spans), cores=2).waiting_share == pytest.approx(0.15)
    assert joined([*spans, (reading(seconds=7.0), reading(seconds=8.0))]).waits is None


def test_a_counter_that_one_span_lacks_is_not_known() -> None:
    spans = [(reading(seconds=0.0), reading(seconds=1.0)), (reading(seconds=2.0), reading(seconds=3.0, pressure_seconds=None))]
    assert joined(spans).pressure_seconds is None
    assert joined(spans).steal_seconds == 1.0
