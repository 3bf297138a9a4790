"""How a container gets a GPU: what was asked for and what was found in, what the engine is told out. Pure; ``gpu_probe`` finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from matrix.cuda import driver_finding
from matrix.errors import DriverTooOld, GpuMissing, GpuRuntimeMissing

Kind = Literal["auto", "nvidia", "cdi", "devices", "none"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NVIDIA_CDI = "nvidia.com/gpu"
ALL_BY_CDI = f"{NVIDIA_CDI}=all"
_UUID = re.compile(r"(GPU|MIG)-[0-9a-zA-Z/-]+|[0-9]+(:[0-9]+)?")
_CDI = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9_-]*=[A-Za-z0-9][A-Za-z0-9_.:-]*")
"""VENDOR/CLASS=NAME, of the Container Device Interface's specification."""

VOLUME, VOLUME_LIBRARIES = "/usr/local/nvidia", ("/usr/local/nvidia/lib", "/usr/local/nvidia/lib64")
"""Where some hosts keep the driver's libraries for containers; images of CUDA have these folders on their path already."""
LIBRARIES_MOUNT = "/benchmatrix/driver"
TOOLKIT = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
WITHOUT = "or go on without a GPU (its cells are unsupported then): --gpus none"


@dataclass(frozen=True, kw_only=True)
class GpuRequest:
    """What ``--gpus`` says."""

    kind: Kind
    names: tuple[str, ...] = ()
    """Of ``nvidia``: UUIDs or indexes; of ``cdi``: qualified names. Empty: all GPUs."""


def parse_gpus(text: str) -> GpuRequest:
    """Read ``auto``, ``nvidia[:GPU-UUID,...]``, ``cdi[:VENDOR/CLASS=NAME,...]``, ``devices`` or ``none``. ValueError for anything else."""
    kind, colon, rest = text.partition(":")
    found = next((known for known in KINDS if known == kind), None)
    if found is None:
        raise ValueError(f"{text!r} is none of {', '.join(KINDS)}")
    names = tuple(rest.split(",")) if colon else ()
    pattern = {"nvidia": _UUID, "cdi": _CDI}.get(found)
    if names and pattern is None:
        raise ValueError(f"{text!r}: {found} takes no names")
    for name in names:
        if pattern is not None and not pattern.fullmatch(name):
            form = (
                "a GPU's UUID or index, as in nvidia:GPU-5d5ba0d6" if found == "nvidia" else "VENDOR/CLASS=NAME, as in cdi:nvidia.com/gpu=0"
            )
            raise ValueError(f"{name!r} in {text!r} is not {form}")
    return GpuRequest(kind=found, names=names)


@dataclass(frozen=True, kw_only=True)
class HostGpus:
    """What a host has of NVIDIA's."""

    adapters: tuple[str, ...] = ()
    """On the PCI bus, with or without a driver."""
    nodes: tuple[str, ...] = ()
    """Device nodes: the GPUs' and the driver's own."""
    unusable_nodes: tuple[str, ...] = ()
    """Those that this user may not open."""
    driver: str | None = None
    """Version of the kernel's driver."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """The driver's libraries for programs: name that a program asks for -> file."""
    volume: bool = False
    """Whether they are in ``VOLUME`` too, apart from everything else."""
    cdi_kinds: tuple[str, ...] = ()
    """VENDOR/CLASS of the CDI specifications here."""

    @property
    def present(self) -> bool:
        """Whether there is a GPU that a driver drives."""
        return any(re.fullmatch(r"/dev/nvidia[0-9]+", node) for node in self.nodes)


@dataclass(frozen=True, kw_only=True)
class EngineGpus:
    """What an engine knows of GPUs."""

    engine: str
    """Name and version, for texts."""
    podman: bool = False
    nvidia: bool = False
    """Whether the NVIDIA runtime, or its hook, is there."""
    runtimes: tuple[str, ...] = ()
    cdi: bool = False
    """Whether it resolves CDI names."""


@dataclass(frozen=True, kw_only=True)
class Passthrough:
    """What a container is given."""

    kind: Kind
    why: str
    """For whoever reads the log: what was found."""
    ids: tuple[str, ...] = ()
    """Of the NVIDIA runtime's GPUs; empty: all."""
    cdi: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    mounts: tuple[tuple[str, str], ...] = ()
    """(source, target), read-only."""
    library_folders: tuple[str, ...] = ()
    """Behind those on the image's own LD_LIBRARY_PATH."""

    def describe(self) -> str:
        """A line for the manifest."""
        names = ",".join((*self.ids, *self.cdi))
        return f"{self.kind}:{names}" if names else self.kind


NONE = Passthrough(kind="none", why="as asked")


def decide(request: GpuRequest, host: HostGpus, engine: EngineGpus) -> Passthrough:
    """What a container is given. Raises GpuMissing or GpuRuntimeMissing, which name what was found and the next command."""
    if request.kind == "none":
        return NONE
    if request.kind == "auto":
        require_gpu(host)
        found = [_WAYS[kind] for kind in ("nvidia", "cdi", "devices") if _LACKS[kind](host, engine) is None]
        if not found:
            lacks = "; ".join(f"{kind}: {_LACKS[kind](host, engine)}" for kind in ("nvidia", "cdi", "devices"))
            raise GpuRuntimeMissing(
                f"this host has a GPU, and no way to hand it to a container of {engine.engine} ({lacks})\n"
                f"  next: install NVIDIA's container toolkit ({TOOLKIT}), {WITHOUT}"
            )
        return found[0](request, host, engine)
    if request.kind == "cdi" and request.names and engine.cdi:
        # Any device may be named, of whatever vendor: whether there is one is for the engine to say.
        return _cdi(request, host, engine)
    if request.kind == "devices":
        require_gpu(host)
    lack = _LACKS[request.kind](host, engine)
    if lack is not None:
        raise GpuRuntimeMissing(f"--gpus {request.kind}: {lack}\n  next: {_REMEDIES[request.kind](engine)}; {WITHOUT}")
    require_gpu(host)
    return _WAYS[request.kind](request, host, engine)


def require_gpu(host: HostGpus) -> None:
    """Raises GpuMissing where the host has no GPU, or one that no driver drives."""
    if host.present:
        return
    if host.adapters:
        raise GpuMissing(
            f"this host has an NVIDIA adapter ({', '.join(host.adapters)}) and no driver for it: there is no /dev/nvidia0\n"
            f"  next: install NVIDIA's driver (Debian: apt-get install nvidia-driver), then nvidia-smi; {WITHOUT}"
        )
    raise GpuMissing(
        "the image is for an NVIDIA GPU, and this host has none: no adapter of NVIDIA's on the PCI bus, no /dev/nvidia0\n"
        f"  next: run it on a host with a GPU (nox -s doctor tells what it lacks), {WITHOUT}"
    )


def require_driver(label: str, cuda: str | None, driver: str | None) -> None:
    """Raises DriverTooOld where the host's driver cannot run the CUDA that the image brings; unknown versions are left to CUDA itself."""
    finding = driver_finding(cuda, driver)
    if finding is not None and not finding.enough:
        raise DriverTooOld(
            f"the image {label} brings CUDA {cuda}, which needs NVIDIA's driver {finding.needed} or newer; this host has {driver}\n"
            f"  next: update the driver, or measure a version of the image with an older CUDA (see [images.*.versions]); {WITHOUT}"
        )


def engine_error(text: str, engine: str) -> GpuRuntimeMissing | None:
    """An engine's own words for a GPU that it cannot hand over, translated; None for other words."""
    for words, what, remedy in _ENGINE_WORDS:
        if words.search(text):
            return GpuRuntimeMissing(f"{engine} {what} ({text.strip()})\n  next: {remedy}; {WITHOUT}")
    return None


_CONFIGURE = f"install NVIDIA's container toolkit ({TOOLKIT}), then: sudo nvidia-ctk runtime configure && sudo systemctl restart docker"
_GENERATE = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml, then: nvidia-ctk cdi list"
_ENGINE_WORDS = (
    (
        re.compile(r'could not select device driver "?(nvidia)?"? ?with capabilities', re.IGNORECASE),
        "has no NVIDIA runtime to hand a GPU over",
        f"{_CONFIGURE}; or another way: --gpus cdi, --gpus devices",
    ),
    (
        re.compile(r'could not select device driver "?cdi"?', re.IGNORECASE),
        "does not know CDI, or has it switched off",
        "an engine of version 25 or newer with CDI (features.cdi in /etc/docker/daemon.json), or Podman; or another way: --gpus nvidia, --gpus devices",
    ),
    (
        re.compile(r"unresolvable CDI devices?|CDI device injection failed", re.IGNORECASE),
        "finds no specification of this CDI device",
        _GENERATE,
    ),
    (re.compile(r"unknown (or invalid )?runtime", re.IGNORECASE), "has no such runtime", _CONFIGURE),
    (
        re.compile(r"nvidia-container-cli: .*", re.IGNORECASE),
        "has the NVIDIA runtime, which could not hand the GPU over",
        "nvidia-smi on this host, then nox -s doctor",
    ),
)


def _lacks_nvidia(host: HostGpus, engine: EngineGpus) -> str | None:
    if engine.podman:
        return f"{engine.engine} passes over requests for the NVIDIA runtime; its way is CDI"
    listed = ", ".join(engine.runtimes) or "none"
    return None if engine.nvidia else f"{engine.engine} has no NVIDIA runtime (its runtimes: {listed})"


def _lacks_cdi(host: HostGpus, engine: EngineGpus) -> str | None:
    if not engine.cdi:
        return f"{engine.engine} does not know CDI, or has it switched off (Docker knows it from version 25 on)"
    found = ", ".join(host.cdi_kinds) or "nothing"
    return None if NVIDIA_CDI in host.cdi_kinds else f"no CDI specification of {NVIDIA_CDI} in /etc/cdi or /var/run/cdi (there is: {found})"


def _lacks_devices(host: HostGpus, engine: EngineGpus) -> str | None:
    if not host.present:
        return "there is no /dev/nvidia0"
    if host.volume or "libcuda.so.1" in host.libraries:
        return None
    return f"the driver's library libcuda.so.1 is neither in {VOLUME} nor in the host's library folders (ldconfig -p)"


def _nvidia(request: GpuRequest, host: HostGpus, engine: EngineGpus) -> Passthrough:
    return Passthrough(kind="nvidia", why=f"{engine.engine} has the NVIDIA runtime", ids=request.names)


def _cdi(request: GpuRequest, host: HostGpus, engine: EngineGpus) -> Passthrough:
    return Passthrough(kind="cdi", why=f"{engine.engine} resolves CDI names", cdi=request.names or (ALL_BY_CDI,))


def _devices(request: GpuRequest, host: HostGpus, engine: EngineGpus) -> Passthrough:
    if host.volume:
        mounts: tuple[tuple[str, str], ...] = ((VOLUME, VOLUME),)
        folders: tuple[str, ...] = VOLUME_LIBRARIES
        of = VOLUME
    else:
        mounts = tuple((file, f"{LIBRARIES_MOUNT}/{name}") for name, file in host.libraries.items())
        folders = (LIBRARIES_MOUNT,)
        of = f"{len(mounts)} libraries of the driver"
    gpus = sum(1 for node in host.nodes if re.fullmatch(r"/dev/nvidia[0-9]+", node))
    why = f"plain device nodes of {gpus} GPUs, with {of}"
    return Passthrough(kind="devices", why=why, nodes=host.nodes, mounts=mounts, library_folders=folders)


_WAYS: Mapping[str, Callable[[GpuRequest, HostGpus, EngineGpus], Passthrough]] = {"nvidia": _nvidia, "cdi": _cdi, "devices": _devices}
_LACKS: Mapping[str, Callable[[HostGpus, EngineGpus], str | None]] = {
    "nvidia": _lacks_nvidia,
    "cdi": _lacks_cdi,
    "devices": _lacks_devices,
}
_REMEDIES: Mapping[str, Callable[[EngineGpus], str]] = {
    "nvidia": lambda engine: f"--gpus cdi, after {_GENERATE}" if engine.podman else _CONFIGURE,
    "cdi": lambda engine: _GENERATE if engine.cdi else f"Podman, a newer Docker, or --gpus nvidia: {_CONFIGURE}",
    "devices": lambda _: "nvidia-smi on this host, then nox -s doctor",
}
