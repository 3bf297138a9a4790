"""A small program that shows what a backend does wrong: torch's minifier, on a workload that has failed its check.

It compiles once more with every graph checked (``torch._dynamo.config.repro_after``), and where one is wrong leaves out nodes of it as long as it
stays wrong. What is left is a script of a few lines: ``minifier/repro.py`` among the row's artifacts.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import traceback
from pathlib import Path

import torch
import torch._dynamo

from harness.experiments.checking import step_of
from harness.protocols import Bench, Subject
from harness.workloads.subjects import copy_of

WRONG = 4
"""Of ``repro_level``: check what graphs compute."""
LAUNCHER, REPRO = "minifier_launcher.py", "repro.py"
SHARE = 0.5
"""Of the cell's time, for the minifier: it has no end of its own."""


def minify(subject: Subject, bench: Bench) -> str:
    """Of a subject as it was before its first call. What there is to say of it."""
    bench.report.phase("minify")
    folder = bench.report.artifact("minifier")
    folder.mkdir(parents=True, exist_ok=True)
    for after in ("dynamo", "aot"):
        launcher = _launcher(subject, bench, folder, after)
        if launcher is not None:
            return _minified(launcher, folder, SHARE * bench.spec.timeout_seconds)
    if not any(folder.iterdir()):
        folder.rmdir()
    return "torch's minifier found no graph that is wrong by itself: the log has what it says"


def _launcher(subject: Subject, bench: Bench, folder: Path, after: str) -> Path | None:
    """Torch's own program that minifies, where a graph that was made after that stage is wrong."""
    torch._dynamo.reset()
    with torch._dynamo.config.patch(repro_after=after, repro_level=WRONG, debug_dir_root=str(folder)):
        own = copy_of(subject)
        # The wrong graph is told by an exception.
        with contextlib.suppress(Exception):
            step_of(own, bench.cell, bench.backend.prepare(own), bench.backend).run()
    return next(iter(sorted(folder.rglob(LAUNCHER))), None)


def _minified(launcher: Path, folder: Path, seconds: float) -> str:
    environment = {**os.environ, "TORCH_COMPILE_DEBUG_DIR": str(folder)}
    ended = ""
    try:
        with (folder / "log").open("w", encoding="utf-8") as log:
            subprocess.run(
                [sys.executable, str(launcher)], cwd=folder, env=environment, stdout=log, stderr=log, timeout=seconds, check=False
            )
    except subprocess.TimeoutExpired:
        ended = f" within {seconds:g} s, half of the cell's time"
    except OSError:
        traceback.print_exc()
    repro = next(iter(sorted(folder.rglob(REPRO), key=lambda path: path.stat().st_mtime, reverse=True)), None)
    if repro is None:
        return f"minifier/{launcher.relative_to(folder)} shows it; it could not be made smaller{ended}"
    (folder / REPRO).write_bytes(repro.read_bytes())
    return f"minifier/{REPRO} shows it in {len(repro.read_text(encoding='utf-8').splitlines())} lines"
