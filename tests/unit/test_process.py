"""A cell's process ends with all that it started, and how it ended is known. Real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import process
from harness.process import Ended, Stopped, descendants, oom_kills, run_process, signal_name

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guarantees tested here are Linux's")


@pytest.fixture(autouse=True)
def reaper() -> None:
    process.become_reaper()


def run(target: Callable[[], None], tmp_path: Path, seconds: float = 20) -> Ended:
    return run_process(target, timeout_seconds=seconds, log=tmp_path / "log")


def test_a_process_that_finishes_exits_with_0_and_leaves_its_output(tmp_path: Path) -> None:
    ended = run(lambda: print("hello", flush=True), tmp_path)
    assert (ended.exit_code, ended.signal, ended.timed_out) == (0, None, False)
    assert (tmp_path / "log").read_text() == "hello\n"


def test_an_exception_is_exit_code_1_with_its_traceback_in_the_log(tmp_path: Path) -> None:
    def target() -> None:
        raise ValueError("planted")

    assert run(target, tmp_path).exit_code == 1
    assert "ValueError: planted" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_the_signal_is_known(tmp_path: Path, number: signal.Signals) -> None:
    ended = run(lambda: os.kill(os.getpid(), number), tmp_path)
    assert ended.signal == number
    assert not ended.out_of_memory


def test_a_timeout_ends_the_whole_tree_even_what_detached_itself(tmp_path: Path) -> None:
    marker = tmp_path / "pids"

    def target() -> None:
        code = f"import os,time; os.fork(); open({str(marker)!r},'a').write(str(os.getpid()) + ' '); time.sleep(60)"
        subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        time.sleep(60)

    started = time.monotonic()
    ended = run(target, tmp_path, seconds=2)
    assert ended.timed_out
    assert time.monotonic() - started < 10
    pids = [int(pid) for pid in marker.read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_a_finished_process_left_running_is_ended(tmp_path: Path) -> None:
    marker = tmp_path / "pid"

    def target() -> None:
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        marker.write_text(str(child.pid))

    assert run(target, tmp_path).exit_code == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)
    assert descendants(os.getpid()) == []


def test_a_host_that_goes_away_stops_the_launch(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(Stopped):
        run_process(lambda: time.sleep(60), timeout_seconds=60, log=tmp_path / "log", stop=reading)
    os.close(reading)
    assert descendants(os.getpid()) == []


def test_polling_does_the_same_where_there_is_no_pidfd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    assert run(lambda: None, tmp_path).exit_code == 0
    assert run(lambda: time.sleep(60), tmp_path, seconds=0.3).timed_out


def test_a_tree_that_keeps_forking_is_ended(tmp_path: Path) -> None:
    def target() -> None:
        code = "import os,time\nwhile True:\n  if os.fork(): time.sleep(0.01); os._exit(0)\n  os.setsid()"
        subprocess.Popen([sys.executable, "-c", code])
        time.sleep(60)

    started = time.monotonic()
    assert run(target, tmp_path, seconds=1).timed_out
    assert time.monotonic() - started < 10
    assert descendants(os.getpid()) == []


def test_both_ways_to_find_children_agree() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert process._children(os.getpid()) == process._children_by_scan()(os.getpid()) == [child.pid]
    finally:
        child.kill()
        child.wait()


def test_leaving_by_sys_exit_keeps_the_code(tmp_path: Path) -> None:
    assert run(lambda: sys.exit(7), tmp_path).exit_code == 7


def test_kills_for_want_of_memory_are_read_where_the_kernel_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.read_text

    def read_text(path: Path, *arguments: str) -> str:
        if str(path).startswith("/sys/fs/cgroup"):
            if path.name == "memory.oom_control":
                return "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
            raise FileNotFoundError(path)
        return original(path, *arguments)

    monkeypatch.setattr(Path, "read_text", read_text)
    assert oom_kills() == 3


def test_signals_have_names() -> None:
    assert signal_name(11) == "SIGSEGV"
    assert signal_name(62) == "SIG62"
