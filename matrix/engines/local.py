"""The engine without Docker: the image's lock in a virtual environment, the same harness, on this host."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from harness.output import UNFIT
from images.recipe import BuildSettings, Recipe
from images.virtualenv import ensure_environment
from matrix.config import Image
from matrix.cuda import cuda_of_lock
from matrix.engines.engine import (
    CELLS,
    LAUNCH_VARIABLE,
    RUN_VARIABLE,
    Environment,
    LaunchEnd,
    LaunchRequest,
    Said,
    asked_now,
    launch_variables,
    python_path,
)
from matrix.errors import SelectionError
from matrix.gpu_probe import host_gpus
from matrix.gpus import parse_gpus, require_driver, require_gpu
from matrix.plan import PlannedImage

STOP_SECONDS = 3.0
"""Time a launch has to end by itself before it is killed."""


class LocalEngine:
    name = "local"
    takes_turns = sys.platform == "linux"

    def __init__(
        self,
        *,
        settings_of: Callable[[PlannedImage], Image],
        recipe_of: Callable[[PlannedImage], Recipe],
        build: BuildSettings,
        environments: Path,
        source: Path,
        path: str,
        say: Callable[[str], None] = print,
    ) -> None:
        """environments: where virtual environments are kept; source: the folder that has ``harness``; path: PATH of launches."""
        self._settings_of = settings_of
        self._recipe_of = recipe_of
        self._build = build
        self._environments = environments
        self._source = source
        self._path = path
        self._say = say

    def require(self, image: PlannedImage) -> None:
        settings = self._settings_of(image)
        if settings.device != "cuda" or parse_gpus(settings.container.gpus).kind == "none":
            return
        # Nothing is handed over: a process of this host has its GPUs, whatever way was asked for.
        host = host_gpus()
        require_gpu(host)
        require_driver(image.label, cuda_of_lock(self._recipe_of(image).read_lock().decode()), host.driver)

    def prepare(self, image: PlannedImage) -> Environment:
        if image.reference is not None:
            raise SelectionError(
                f"{image.label} needs Docker: the local engine has no images\n  next: --engine docker, or leave --image out"
            )
        found = ensure_environment(self._recipe_of(image), self._build, self._environments, self._say)
        return Environment(image=image, reference=str(found.python), digest=found.digest, size_bytes=found.size_bytes)

    def compressed_bytes(self, environment: Environment) -> int | None:
        return None

    def run(self, request: LaunchRequest, say: Callable[[str], None]) -> LaunchEnd:
        scratch = request.directory / "scratch"
        scratch.mkdir()
        (request.directory / CELLS).write_text(asked_now(request.spec).to_json(), encoding="utf-8")
        variables = launch_variables(request.run_directory, request.directory, request.container, str(scratch))
        variables |= {
            "PATH": f"{Path(request.environment.reference).parent}{os.pathsep}{self._path}",
            "PYTHONPATH": python_path(str(self._source), request),
        }
        command = [request.environment.reference, "-m", "harness", "launch", "--stop-with-stdin"]
        command += ["--cells", str(request.directory / CELLS), "--out", str(request.directory)]
        said = Said(say=say)
        # A session of its own: Ctrl-C is for the host, which then ends the launch in order.
        process = subprocess.Popen(
            command,
            cwd=scratch,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        reader = threading.Thread(target=_pass_on, args=(process, said), daemon=True)
        reader.start()
        try:
            code = process.wait(timeout=request.deadline_seconds)
            reader.join(timeout=5)
            reason = "" if code == 0 else _death(code, said.tail)
            return LaunchEnd(exit_code=code, reason=reason, unfit=code == UNFIT)
        except subprocess.TimeoutExpired:
            reason = f"the launch was not done after {request.deadline_seconds:.0f} s and was ended"
            return LaunchEnd(exit_code=None, reason=reason, overdue=True)
        finally:
            _end(process)
            request.log.write_text("\n".join(said.tail) + "\n", encoding="utf-8")
            for pid in labelled(lambda launch: launch == request.directory, LAUNCH_VARIABLE):
                _kill(pid)
            shutil.rmtree(scratch, ignore_errors=True)

    def reap(self, abandoned: Callable[[Path], bool]) -> list[str]:
        ended = []
        for pid in labelled(abandoned):
            _kill(pid)
            ended.append(f"process {pid}")
        return ended


def _pass_on(process: subprocess.Popen[str], said: Said) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        said(line.rstrip("\n"))


def _end(process: subprocess.Popen[str]) -> None:
    """End a launch that is still running: by its own means first, so that it ends its cell, then without asking."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()


def _death(code: int, tail: list[str]) -> str:
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"the launch {how}; its last lines: {' | '.join(tail[-3:])}"


def labelled(wanted: Callable[[Path], bool], variable: str = RUN_VARIABLE) -> list[int]:
    """Processes of launches, by a variable in their environment; none where there is no /proc."""
    found = []
    own = _own_line()
    marker = f"{variable}=".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for text in variables:
            if text.startswith(marker) and wanted(Path(os.fsdecode(text.removeprefix(marker)))):
                found.append(int(entry.name))
    return [pid for pid in found if pid not in own]


def _own_line() -> set[int]:
    """Oneself and one's ancestors: a shell that exports the variable must not end the command that it starts."""
    line, pid = set(), os.getpid()
    while pid > 1 and pid not in line:
        line.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return line


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
