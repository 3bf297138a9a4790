"""A process for one cell: forked from the launch (which has torch imported), watched, and ended with all that it started.

Standard library only. On Linux the launch becomes the reaper of its descendants' orphans, so that a process that detaches
itself (``setsid``, a double fork) is still found and ended; elsewhere the process group is ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_SECONDS = 0.02
"""Only where the kernel has no pidfd: how often an ended process is looked for."""

REAP_SECONDS = 0.001
LOG_BYTES = 8 << 30
"""Largest file that a cell may write: a workload that prints for ever must not take the disk from the cells behind it."""

TELLING_SIGNALS = (signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)
"""What ``faulthandler`` writes the stacks of all threads for."""

LINUX = sys.platform == "linux"


class Stopped(BaseException):
    """The launch is to end now: SIGTERM, SIGINT, or the host went away."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a cell's process ended."""

    wall_seconds: float
    exit_code: int | None = None
    """None where a signal ended it."""
    signal: int | None = None
    timed_out: bool = False
    out_of_memory: bool = False
    """The kernel's OOM killer was at work here when a SIGKILL ended the process."""


def become_reaper() -> None:
    """Inherit the orphans of descendants, so that ``end_descendants`` finds them."""
    if LINUX:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)


def run_process(
    target: Callable[[], None], *, timeout_seconds: float, log: Path, stop: int | None = None, waited: Callable[[], float] = lambda: 0.0
) -> Ended:
    """Run ``target`` in a forked process, its output in ``log``; return how it ended, with no process of it left.

    stop: a file descriptor (a pipe or a socket from the host); when its other end is closed, Stopped is raised. waited: seconds that the
    process has been kept waiting by others, which are not its time.
    """
    killed_before = oom_kills()
    started, before = time.monotonic(), waited()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _child(target, log)
    timed_out = False
    try:
        status = _wait(pid, lambda: started + timeout_seconds + waited() - before, stop)
        timed_out = status is None
        if status is None:
            _kill_group(pid)
            _, status = os.waitpid(pid, 0)
        pid = 0
    finally:
        if pid:
            _kill_group(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        end_descendants()
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    return Ended(
        wall_seconds=time.monotonic() - started - (waited() - before),
        exit_code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        signal=number,
        timed_out=timed_out,
        out_of_memory=number == signal.SIGKILL and not timed_out and oom_kills() > killed_before,
    )


def _child(target: Callable[[], None], log: Path) -> None:
    """Never returns."""
    code = 1
    try:
        os.setsid()
        die_with_parent()
        if LINUX:
            # When memory runs out, the kernel is to take the cell and not the launch, which has rows to write.
            with contextlib.suppress(OSError):
                Path("/proc/self/oom_score_adj").write_text("1000")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        # Whatever these objects were before (with what was in their buffers), they are the log now.
        sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
        faulthandler.enable()
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LOG_BYTES if most == resource.RLIM_INFINITY else min(LOG_BYTES, most), most))
        target()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
        traceback.print_exc()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not sys.exit: what libraries registered to run at exit may hang, and everything worth keeping is written.
        os._exit(code)


def _wait(pid: int, deadline: Callable[[], float], stop: int | None) -> int | None:
    """The process' wait status; None when the deadline came first. Sleeps in the kernel: it must not wake beside a timed cell."""
    if not hasattr(os, "pidfd_open"):
        return _wait_by_polling(pid, deadline, stop)
    descriptor = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        if stop is not None:
            poller.register(stop, select.POLLHUP)
        while (remaining := deadline() - time.monotonic()) > 0:
            for ready, _ in poller.poll(remaining * 1000):
                if ready == descriptor:
                    return os.waitpid(pid, 0)[1]
                raise Stopped("the host went away")
        return None
    finally:
        os.close(descriptor)


def _wait_by_polling(pid: int, deadline: Callable[[], float], stop: int | None) -> int | None:
    while time.monotonic() < deadline():
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if stop is not None and select.select([stop], [], [], 0)[0] and os.read(stop, 1) == b"":
            raise Stopped("the host went away")
        time.sleep(POLL_SECONDS)
    return None


def end_descendants() -> None:
    """Kill and reap every process that descends from this one, those included that are forked meanwhile.

    A scan can miss what forks behind its back. But orphans become this process's children (``become_reaper``): as long as anything
    descends from it, it has a child, and the kernel says when it has none.
    """
    while True:
        kill(descendants(os.getpid()))
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if not LINUX:
            return
        time.sleep(REAP_SECONDS)


def kill(pids: Iterable[int]) -> None:
    """Those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(root: int) -> list[int]:
    """Processes that descend from ``root``, from /proc; none where there is no /proc."""
    children = _children if Path(f"/proc/{root}/task/{root}/children").exists() else _children_by_scan()
    found: list[int] = []
    frontier = [root]
    while frontier:
        frontier = [child for pid in frontier for child in children(pid)]
        found.extend(frontier)
    return found


def _children(pid: int) -> list[int]:
    """From the kernel's own list: fast enough to catch a process that forks itself away."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.extend(map(int, task.read_text().split()))
    return found


def _children_by_scan() -> Callable[[int], list[int]]:
    """For kernels without that list (CONFIG_PROC_CHILDREN): the parent of every process, once."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # pid (name) state ppid ...: the name may hold spaces and parentheses, so count from the last one.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    return lambda pid: children.get(pid, [])


def oom_kills() -> int:
    """How often the kernel's OOM killer has struck: in this control group where it can be read, else on this machine."""
    for path, key in (
        ("/sys/fs/cgroup/memory.events", "oom_kill"),
        ("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill"),
        ("/proc/vmstat", "oom_kill"),
    ):
        try:
            text = Path(path).read_text()
        except OSError:
            continue
        for line in text.splitlines():
            name, _, value = line.partition(" ")
            if name == key and value.strip().isdigit():
                return int(value)
    return 0


def die_with_parent() -> None:
    """Let the kernel end this process when its parent ends."""
    if LINUX:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def last_words(number: int) -> str:
    """Where to read on, after a process that was ended by a signal; empty where it had no time to write."""
    return "; the log has its last stack" if number in TELLING_SIGNALS else ""


def _kill_group(pid: int) -> None:
    for send in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(pid, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
