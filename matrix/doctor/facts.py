"""What there is to know of a host before it measures. Reads, asks the engine and nvidia-smi; changes nothing."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from images.docker_cli import find_builder
from images.errors import UserError
from matrix.config import Matrix, load_matrix
from matrix.cuda import cuda_of_lock
from matrix.engines.docker import connect, describe
from matrix.engines.product import Product
from matrix.gpu_probe import host_gpus, nvidia_smi, read_text
from matrix.gpus import HostGpus
from matrix.plan import PlannedImage

T = TypeVar("T")
COMPILERS = ("g++", "clang++", "c++")
WATCH_SECONDS = 1.0
"""How long processes are watched for what they use."""


@dataclass(frozen=True, kw_only=True)
class Busy:
    """A process and the cores that it used while it was watched."""

    pid: int
    name: str
    cores: float


@dataclass(frozen=True, kw_only=True)
class GpuState:
    """One GPU, as nvidia-smi tells it."""

    name: str
    persistence: bool
    throttled_by: str
    """The driver's mask of reasons for lower clocks; empty where it tells none."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Text in place of a fact: why it could not be had, with the next command."""

    python: tuple[int, ...]
    config: str
    images: int | str
    engine: Product | str
    builder: str | UserError
    compiler: str | None
    disks: Mapping[str, int]
    """Free bytes by folder."""
    cores: int
    load: float
    """Average number of runnable threads over a minute."""
    busy: tuple[Busy, ...] = ()
    governors: tuple[str, ...] = ()
    boost: bool | None = None
    """Whether cores may exceed their base frequency; None where it does not tell."""
    gpus: HostGpus = field(default_factory=HostGpus)
    gpu_states: tuple[GpuState, ...] = ()
    gpu_processes: tuple[str, ...] = ()
    """pid and name of the processes that use a GPU."""
    cuda_images: Mapping[str, str | None] = field(default_factory=dict)
    """Images for a GPU, by label, with the CUDA that their lock brings."""


def gather(config: Path, source: Path) -> Facts:
    """source: the folder that has ``images``."""
    gpus, matrix = host_gpus(), _attempt(lambda: load_matrix(config))
    return Facts(
        python=tuple(sys.version_info[:3]),
        config=str(config),
        images=len(matrix.images) if isinstance(matrix, Matrix) else matrix,
        engine=_attempt(lambda: describe(connect())),
        builder=_builder(),
        compiler=next((found for name in COMPILERS if (found := shutil.which(name))), None),
        disks=_disks(source),
        cores=os.cpu_count() or 1,
        load=os.getloadavg()[0],
        busy=busy_processes(),
        governors=tuple(sorted({read_text(path) for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")})),
        boost=_boost(),
        gpus=gpus,
        gpu_states=tuple(_gpu_states()) if gpus.present else (),
        gpu_processes=tuple(nvidia_smi("--query-compute-apps=pid,process_name")) if gpus.present else (),
        cuda_images=_cuda_images(matrix, source) if isinstance(matrix, Matrix) else {},
    )


def _attempt(check: Callable[[], T]) -> T | str:
    try:
        return check()
    except UserError as error:
        return str(error)


def _builder() -> str | UserError:
    try:
        return " ".join(find_builder().command)
    except UserError as error:
        return error


def _cuda_images(matrix: Matrix, source: Path) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, image in matrix.images.items():
        if image.device == "cuda":
            for version in image.versions or ("",):
                lock = read_text(source / "images" / (image.folder or name) / image.lock_of(version))
                found[PlannedImage(name=name, version=version).label] = cuda_of_lock(lock)
    return found


def _disks(source: Path) -> dict[str, int]:
    """Of the checkout, which has results and virtual environments, and of the engines' stores where those are other file systems."""
    found: dict[int, tuple[str, int]] = {}
    for folder in (source, Path("/var/lib/docker"), Path("/var/lib/containers")):
        try:
            found.setdefault(folder.stat().st_dev, (str(folder), shutil.disk_usage(folder).free))
        except OSError:
            continue
    return dict(found.values())


def _boost() -> bool | None:
    cpu = Path("/sys/devices/system/cpu")
    no_turbo, boost = read_text(cpu / "intel_pstate/no_turbo"), read_text(cpu / "cpufreq/boost")
    return {"0": True, "1": False}.get(no_turbo) if no_turbo else {"0": False, "1": True}.get(boost)


def _gpu_states() -> Iterator[GpuState]:
    for line in nvidia_smi("--query-gpu=name,persistence_mode,clocks_throttle_reasons.active"):
        name, persistence, reasons = (part.strip() for part in (line + ",,").split(",")[:3])
        yield GpuState(name=name, persistence=persistence == "Enabled", throttled_by=reasons if reasons.startswith("0x") else "")


def busy_processes(seconds: float = WATCH_SECONDS, root: Path = Path("/proc")) -> tuple[Busy, ...]:
    """Processes that used a tenth of a core or more while they were watched, the busiest first; without this one."""
    before = dict(_cpu_seconds(root))
    time.sleep(seconds)
    found = [
        Busy(pid=pid, name=name, cores=(used - before[pid][1]) / seconds)
        for pid, (name, used) in _cpu_seconds(root)
        if pid in before and pid != os.getpid() and used - before[pid][1] >= 0.1 * seconds
    ]
    return tuple(sorted(found, key=lambda process: -process.cores))


def _cpu_seconds(root: Path) -> Iterator[tuple[int, tuple[str, float]]]:
    tick = os.sysconf("SC_CLK_TCK")
    for entry in root.glob("[0-9]*"):
        before, _, after = read_text(entry / "stat").rpartition(")")
        fields = after.split()
        if len(fields) > 13:
            yield int(entry.name), (before.partition("(")[2], (int(fields[11]) + int(fields[12])) / tick)
