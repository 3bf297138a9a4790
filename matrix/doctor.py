"""Is this host fit to measure? Each check says what it found and what to do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from images.docker_cli import find_builder
from images.errors import UserError
from matrix.config import load_matrix
from matrix.engines.docker import connect, describe

DISK_BYTES = 20 << 30
"""An image with torch, its build cache and a virtual environment beside it."""
LOAD = 0.5
"""Load average per core above which a measurement shares its processor."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    name: str
    ok: bool
    text: str


def examine(config: Path) -> int:
    """Print the findings; 0 where all is well, 1 where something would keep `bench` from working or from being right."""
    findings = list(_findings(config))
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'look'}  {finding.name}: {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 1


def _findings(config: Path) -> Iterator[Finding]:
    version = sys.version.split()[0]
    yield Finding(name="python", ok=sys.version_info >= (3, 11), text=f"{version} (3.11 or newer is needed)")
    yield _attempt(str(config), lambda: f"{len(load_matrix(config).images)} images")
    yield _attempt("docker engine", lambda: describe(connect())["engine_version"])
    yield _attempt("builder", lambda: " ".join(find_builder().command))
    compiler = next((found for name in ("g++", "clang++", "c++") if (found := shutil.which(name))), None)
    yield Finding(name="c++ compiler", ok=compiler is not None, text=compiler or "none; the local engine's inductor needs one: install g++")
    free = shutil.disk_usage(Path.cwd()).free
    yield Finding(name="disk", ok=free >= DISK_BYTES, text=f"{free / 2**30:.0f} GiB free ({DISK_BYTES >> 30} GiB are comfortable)")
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    yield Finding(
        name="load",
        ok=load <= LOAD * cores,
        text=f"{load:.2f} on {cores} cores" + ("" if load <= LOAD * cores else "; end what else runs before measuring"),
    )
    yield _governor()


def _attempt(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, ok=True, text=check())
    except UserError as error:
        return Finding(name=name, ok=False, text=str(error))


def _governor() -> Finding:
    try:
        governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text().strip()
    except OSError:
        return Finding(name="governor", ok=True, text="not readable here (a virtual machine, or not Linux)")
    advice = "" if governor == "performance" else "; for steady clocks: sudo cpupower frequency-set -g performance"
    return Finding(name="governor", ok=governor == "performance", text=governor + advice)
