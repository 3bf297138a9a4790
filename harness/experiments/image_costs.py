"""What an image costs before anything is measured in it: its size, and the time until Python, its packages and a first result are there.

Each is a cell (suite ``image``), with a row per launch and its samples beside the others. There is no eager to compare with: these cells
are compared across images.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import harness
from harness.cell import Cell, LaunchSpec, Sampling
from harness.experiments.timing import BACKEND
from harness.measure.clock import HOST
from harness.protocols import Report, Unsupported
from harness.records import Status, Taken

LEAST_INTERPRETERS, MOST_INTERPRETERS = 3, 30
PACKAGES = ("torch", "onnxruntime", "torch_xla")
"""What is imported, in this order, where the image has it."""
IMPORT = """
import importlib, json, sys, time
taken = {}
for name in sys.argv[1:]:
    began = time.perf_counter()
    importlib.import_module(name)
    taken[name] = time.perf_counter() - began
print(json.dumps(taken))
"""
FIRST_RESULT = """
import sys, time
began = time.perf_counter()
import torch
if sys.argv[1] == "xla":
    import torch_xla
imported = time.perf_counter() - began
x = torch.ones(8, 8, device=sys.argv[1])
(x @ x).sum().item()
print(imported)
"""


class ImageCost:
    """A cell of the suite ``image``."""

    def __init__(self, measure: Callable[[Cell, LaunchSpec, Report], None]) -> None:
        self._measure = measure

    def run(self, cell: Cell, spec: LaunchSpec, report: Report) -> str:
        """Measure and report; returns the status. Raises Unsupported where the engine or the image does not tell."""
        report.phase("time")
        self._measure(cell, spec, report)
        return Status.PASS


def _start(cell: Cell, spec: LaunchSpec, report: Report) -> None:
    """From asking the engine for a launch to Python's first statement in it: one sample per launch."""
    if spec.requested_at is None:
        raise Unsupported("nobody wrote down when this launch was asked for")
    seconds = harness.STARTED - spec.requested_at
    if seconds <= 0:
        raise Unsupported("the clock here is behind that of the host that asked: the engine is on another machine")
    _report([Taken(BACKEND, HOST, 0.0, seconds, 1)], report)


def _import(cell: Cell, spec: LaunchSpec, report: Report) -> None:
    """In fresh interpreters, from warm page caches: the launch has imported it before."""
    names = [name for name in PACKAGES if importlib.util.find_spec(name) is not None]
    by_package: dict[str, list[float]] = {name: [] for name in names}

    def once() -> float:
        taken = json.loads(_python(IMPORT, *names).splitlines()[-1])
        for name in names:
            by_package[name].append(taken[name])
        return float(sum(taken.values()))

    _report(_repeat(once, spec.sampling), report)
    report.set(evidence=json.dumps({f"{name}_seconds": statistics.median(seconds) for name, seconds in by_package.items()}))


def _first_result(cell: Cell, spec: LaunchSpec, report: Report) -> None:
    """From the start of Python to the end of a process that has imported torch and has one result of the device; and what of it was the import."""
    imports: list[float] = []

    def once() -> float:
        began = time.perf_counter()
        said = _python(FIRST_RESULT, cell.device)
        seconds = time.perf_counter() - began
        imports.append(float(said.splitlines()[-1]))
        return seconds

    _report(_repeat(once, spec.sampling), report)
    report.set(evidence=json.dumps({"import_seconds": statistics.median(imports)}))


def _size(cell: Cell, spec: LaunchSpec, report: Report) -> None:
    """As the engine has it on disk, and as a registry would transfer it."""
    if spec.image_bytes is None:
        raise Unsupported("the engine does not tell the image's size")
    report.set(image_bytes=spec.image_bytes, image_compressed_bytes=spec.image_compressed_bytes)


START, IMPORTS, FIRST, SIZE = ImageCost(_start), ImageCost(_import), ImageCost(_first_result), ImageCost(_size)


def _repeat(once: Callable[[], float], sampling: Sampling) -> list[Taken]:
    """In as many fresh interpreters as the budget allows."""
    began = time.monotonic()
    samples: list[Taken] = []
    while len(samples) < LEAST_INTERPRETERS or (time.monotonic() - began < sampling.budget_seconds and len(samples) < MOST_INTERPRETERS):
        started = time.monotonic() - began
        samples.append(Taken(BACKEND, HOST, started, once(), 1))
    return samples


def _report(samples: list[Taken], report: Report) -> None:
    report.samples(samples)
    seconds = statistics.median(sample.seconds for sample in samples)
    fields: Mapping[str, object] = {"backend_latency_seconds": seconds, "abs_latency": seconds * 1e3, "samples": len(samples)}
    report.set(**fields)


def _python(program: str, *arguments: str) -> str:
    """What a program prints in an interpreter of its own. Unsupported, with its last words, where it fails."""
    done = subprocess.run([sys.executable, "-I", "-c", program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        words = done.stderr.strip().splitlines()
        raise Unsupported(words[-1] if words else f"Python ended with exit code {done.returncode}")
    return done.stdout
