"""What this host and an engine have of GPUs: facts for ``gpus`` and ``doctor``. Reads files, and asks ldconfig and nvidia-smi; changes nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matrix.gpus import VOLUME, EngineGpus, HostGpus

ROOT = Path("/")
NVIDIA_VENDOR = "0x10de"
DISPLAY_CLASSES = ("0x0300", "0x0302")
"""PCI classes of VGA and of 3D controllers."""
DRIVER_NODES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
CDI_FOLDERS = ("etc/cdi", "var/run/cdi", "run/cdi")
LIBRARY_NAMES = (
    "libcuda.so",
    "libnvidia-ml.so",
    "libnvidia-ptxjitcompiler.so",
    "libnvidia-nvvm.so",
    "libnvidia-gpucomp.so",
    "libnvidia-fatbinaryloader.so",
    "libcudadebugger.so",
)
"""Of the driver, for CUDA and NVML: what NVIDIA's container toolkit calls compute and utility libraries."""
LIBRARY_FOLDERS = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib/x86_64-linux-gnu/nvidia/current",
    "usr/local/nvidia/lib64",
    "run/opengl-driver/lib",
)
"""Where distributions keep them: asked where ldconfig does not know them."""
NATIVE_LIBRARY = re.compile(r"^\s*(\S+) \(libc6,(?:x86-64|AArch64)[^)]*\) => (\S+)$", re.MULTILINE)
DRIVER_VERSION = re.compile(r"Module\D*?(?:for \S+)?\s+([0-9]+\.[0-9.]+)")
KIND = re.compile(r"[\"']?kind[\"']?\s*:\s*[\"']?([\w.-]+/[\w-]+)")
"""The field of a CDI specification, in JSON or YAML."""
ANSWER_SECONDS = 10


def host_gpus(root: Path = ROOT) -> HostGpus:
    """root: where /dev, /proc, /sys, /etc and /usr are."""
    nodes = sorted(path for path in (root / "dev").glob("nvidia[0-9]*")) + [
        path for name in DRIVER_NODES if (path := root / "dev" / name).exists()
    ]
    return HostGpus(
        adapters=tuple(_adapters(root)),
        nodes=tuple(f"/{path.relative_to(root)}" for path in nodes),
        unusable_nodes=tuple(f"/{path.relative_to(root)}" for path in nodes if not os.access(path, os.R_OK | os.W_OK)),
        driver=driver_version(root),
        libraries=_libraries(root),
        volume=any((root / VOLUME[1:] / folder / "libcuda.so.1").exists() for folder in ("lib64", "lib")),
        cdi_kinds=tuple(dict.fromkeys(_cdi_kinds(root))),
    )


def driver_version(root: Path = ROOT) -> str | None:
    found = DRIVER_VERSION.search(read_text(root / "proc/driver/nvidia/version"))
    if found is not None:
        return found[1]
    return next(iter(nvidia_smi("--query-gpu=driver_version")), None) if root == ROOT else None


def nvidia_smi(query: str) -> list[str]:
    """Lines of its answer; none where it is not there, or fails."""
    said = _output(["nvidia-smi", query, "--format=csv,noheader"])
    return [line.strip() for line in said.splitlines() if line.strip()]


def engine_gpus(info: Mapping[str, Any], engine: str, *, podman: bool) -> EngineGpus:
    """From an engine's ``info``. A hook on this host's PATH serves an engine that does not list the runtime."""
    runtimes = tuple(sorted(info.get("Runtimes") or {}))
    hook = shutil.which("nvidia-container-runtime-hook") is not None
    return EngineGpus(
        engine=engine,
        podman=podman,
        nvidia=not podman and ("nvidia" in runtimes or hook),
        runtimes=runtimes,
        cdi=podman or bool(info.get("CDISpecDirs")),
    )


def _adapters(root: Path) -> Iterator[str]:
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        if read_text(device / "vendor") == NVIDIA_VENDOR and read_text(device / "class")[:6] in DISPLAY_CLASSES:
            yield device.name


def _libraries(root: Path) -> dict[str, str]:
    """By the name that programs ask for; files with symbolic links resolved."""
    listed = NATIVE_LIBRARY.findall(_output(["ldconfig", "-p"])) if root == ROOT else []
    found = {name: Path(file) for name, file in listed if _is_drivers(name)}
    if "libcuda.so.1" not in found:
        for folder in LIBRARY_FOLDERS:
            files = sorted(path for path in (root / folder).glob("lib*.so.*") if _is_drivers(path.name))
            if any(path.name == "libcuda.so.1" for path in files):
                found = {path.name: path for path in files}
                break
    return {name: str(path.resolve()) for name, path in found.items() if path.exists()}


def _is_drivers(name: str) -> bool:
    return any(name == known or name.startswith(f"{known}.") for known in LIBRARY_NAMES)


def _cdi_kinds(root: Path) -> Iterator[str]:
    for folder in CDI_FOLDERS:
        for path in sorted((root / folder).glob("*")):
            if path.suffix in (".json", ".yaml", ".yml") and (found := KIND.search(read_text(path))):
                yield found[1]


def _output(command: list[str]) -> str:
    # Debian keeps ldconfig where only root's PATH looks.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS, errors="replace", env={**os.environ, "PATH": path}
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def read_text(path: Path) -> str:
    """Without surrounding space; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
