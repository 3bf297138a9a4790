"""From facts to findings: what is well, what is not, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from images.errors import UserError
from matrix.cuda import driver_finding
from matrix.doctor.facts import Facts
from matrix.errors import GpuMissing, GpuRuntimeMissing
from matrix.gpus import GpuRequest, decide

LEAST_PYTHON = (3, 11)
DISK_BYTES = 20 << 30
"""An image with torch, its build cache and a virtual environment beside it."""
CUDA_DISK_BYTES = 40 << 30
"""The same for an image with CUDA (6.5 GB, and as much in the build's cache), its wheels and a second version to compare."""
LOAD = 0.5
"""Load average per core above which a measurement shares its processor."""
IDLE_REASONS = 0x1
"""Of the driver's mask: clocks are low because nothing runs (nvml.h, nvmlClocksEventReasonGpuIdle)."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    name: str
    ok: bool
    text: str
    remedy: str = ""
    """The next command; empty where there is nothing to do."""


def findings(facts: Facts) -> list[Finding]:
    return [*_software(facts), *_room(facts), *_quiet(facts), *_gpu(facts)]


def _software(facts: Facts) -> Iterator[Finding]:
    version = ".".join(map(str, facts.python))
    yield Finding(name="python", ok=facts.python >= LEAST_PYTHON, text=f"{version} (3.11 or newer is needed)")
    if isinstance(facts.images, str):
        yield _failed(facts.config, facts.images)
    else:
        yield Finding(name=facts.config, ok=True, text=f"{facts.images} images")
    if isinstance(facts.engine, str):
        yield _failed("docker engine", facts.engine)
    else:
        rootless = ", rootless" if facts.engine.rootless else ""
        yield Finding(name="docker engine", ok=True, text=f"{facts.engine.name} {facts.engine.version}{rootless}; this user may use it")
    if isinstance(facts.builder, UserError):
        yield _failed("builder", str(facts.builder))
    else:
        yield Finding(name="builder", ok=True, text=facts.builder)
    yield Finding(
        name="c++ compiler",
        ok=facts.compiler is not None,
        text=facts.compiler or "none; the local engine's inductor needs one",
        remedy="" if facts.compiler else "install g++ (Debian: apt-get install g++), or measure in images: --engine docker",
    )


def _room(facts: Facts) -> Iterator[Finding]:
    wanted = CUDA_DISK_BYTES if facts.cuda_images and facts.gpus.present else DISK_BYTES
    for folder, free in facts.disks.items():
        yield Finding(
            name="disk",
            ok=free >= wanted,
            text=f"{free / 2**30:.0f} GiB free at {folder} ({wanted >> 30} GiB are comfortable)",
            remedy="" if free >= wanted else "docker system df, then docker image prune and docker builder prune",
        )


def _quiet(facts: Facts) -> Iterator[Finding]:
    quiet = facts.load <= LOAD * facts.cores
    users = ", ".join(f"{process.name} (pid {process.pid}, {process.cores:.1f} cores)" for process in facts.busy[:3])
    yield Finding(
        name="load",
        ok=quiet and not facts.busy,
        text=f"{facts.load:.2f} on {facts.cores} cores" + (f"; now: {users}" if users else ""),
        remedy="" if quiet and not facts.busy else "end what else runs before measuring",
    )
    if facts.governors:
        right = facts.governors == ("performance",)
        yield Finding(
            name="governor",
            ok=right,
            text=", ".join(facts.governors),
            remedy="" if right else "for steady clocks: sudo cpupower frequency-set -g performance",
        )
    else:
        yield Finding(name="governor", ok=True, text="not readable here (a virtual machine, or not Linux)")
    if facts.boost is not None:
        text = (
            "cores may exceed their base frequency, by as much as heat allows" if facts.boost else "off: cores keep to their base frequency"
        )
        yield Finding(name="boost", ok=True, text=text)


def _gpu(facts: Facts) -> Iterator[Finding]:
    gpus = facts.gpus
    if not gpus.present and not gpus.adapters:
        refused = ", ".join(facts.cuda_images)
        yield Finding(name="gpu", ok=True, text="none here" + (f": {refused} are refused" if refused else ""))
        return
    states = ", ".join(state.name for state in facts.gpu_states) or ", ".join(gpus.adapters) or "device nodes of NVIDIA's"
    yield Finding(
        name="gpu",
        ok=gpus.present,
        text=f"{states}; driver {gpus.driver or 'not found'}",
        remedy="" if gpus.present else "install NVIDIA's driver (Debian: apt-get install nvidia-driver), then nvidia-smi",
    )
    if not gpus.present:
        return
    yield from _gpu_access(facts)
    yield from _drivers(facts)
    yield from _gpu_quiet(facts)


def _gpu_access(facts: Facts) -> Iterator[Finding]:
    unusable = ", ".join(facts.gpus.unusable_nodes)
    yield Finding(
        name="gpu permissions",
        ok=not unusable,
        text=f"this user may not open {unusable}" if unusable else "this user may open the device nodes",
        remedy="sudo chmod a+rw on them (NVreg_DeviceFileMode=0666 makes it last), or join their group" if unusable else "",
    )
    if isinstance(facts.engine, str):
        return
    try:
        chosen = decide(GpuRequest(kind="auto"), facts.gpus, facts.engine.gpus)
        yield Finding(name="gpu in containers", ok=True, text=f"--gpus {chosen.describe()} ({chosen.why})")
    except (GpuMissing, GpuRuntimeMissing) as error:
        yield _failed("gpu in containers", str(error))


def _drivers(facts: Facts) -> Iterator[Finding]:
    for label, cuda in facts.cuda_images.items():
        finding = driver_finding(cuda, facts.gpus.driver)
        if finding is None:
            yield Finding(name=f"driver for {label}", ok=True, text=f"not known here (CUDA {cuda}, driver {facts.gpus.driver})")
            continue
        yield Finding(
            name=f"driver for {label}",
            ok=finding.enough,
            text=f"CUDA {cuda} needs {finding.needed} or newer; this host has {facts.gpus.driver}",
            remedy="" if finding.enough else "update the driver, or measure a version of the image with an older CUDA",
        )


def _gpu_quiet(facts: Facts) -> Iterator[Finding]:
    others = "; ".join(facts.gpu_processes)
    yield Finding(
        name="gpu processes",
        ok=not others,
        text=others or "nobody else uses it",
        remedy="end them before measuring: they share the GPU's time, memory and power" if others else "",
    )
    for state in facts.gpu_states:
        throttled = bool(state.throttled_by) and int(state.throttled_by, 16) & ~IDLE_REASONS != 0
        yield Finding(
            name="gpu clocks",
            ok=state.persistence and not throttled,
            text=f"{state.name}: "
            + (f"held down by the driver (reasons {state.throttled_by})" if throttled else "as the driver sets them")
            + ("" if state.persistence else "; persistence mode is off: the driver is loaded anew for each launch"),
            remedy="nvidia-smi -q -d PERFORMANCE,CLOCK; sudo nvidia-smi -pm 1" if throttled or not state.persistence else "",
        )


def _failed(name: str, text: str) -> Finding:
    """Of an error's text, which ends in the next command."""
    what, _, remedy = text.partition("\n  next: ")
    return Finding(name=name, ok=False, text=what, remedy=remedy)
