"""Facts about the machine and the environment that a launch ran in; they go into the run's manifest."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
import time
from collections import Counter
from pathlib import Path

from harness.measure import nvml

RECORDED_ENVIRONMENT = (
    "MALLOC_",
    "OMP_",
    "MKL_",
    "TORCH",
    "TRITON",
    "CUDA_",
    "NVIDIA_",
    "PYTHONHASHSEED",
    "KMP_",
    "GOMP_",
    "XLA_",
    "PJRT_",
)
"""Prefixes of the environment variables that can change what is measured."""


CONTAINERS = (
    ("run/secrets/kubernetes.io", "kubernetes"),
    (".dockerenv", "docker"),
    ("run/.containerenv", "podman"),
    (".singularity.d", "apptainer"),
)
"""What a container's engine leaves in it. Kubernetes first: the engine below leaves its own as well."""
CONTAINER_GROUPS = (("kubepods", "kubernetes"), ("docker", "docker"), ("libpod", "podman"), ("containerd", "containerd"), ("lxc", "lxc"))
"""Parts of the names of control groups, by engine: seen from inside where control groups have no namespace of their own."""

UNLIMITED_BYTES = 1 << 60
"""Version 1 of control groups writes no limit as the largest number of pages."""

IMPORTED = time.monotonic()
ROOT = Path("/")


def machine(root: Path = ROOT) -> dict[str, object]:
    """The processor and how it is set, what this process may use of it, memory, kernel. What cannot be read is left out.

    Nothing in it changes while a launch runs: two launches with the same are of one machine. root: where /proc and /sys are.
    """
    facts: dict[str, object] = {
        "cpu": _cpu_model(root),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **_topology(root),
        **_frequency(root),
        "memory_bytes": _memory_bytes(),
        **_limits(root),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "libc": " ".join(platform.libc_ver()).strip(),
        **_kernel_settings(root),
        "hypervisor": _hypervisor(root),
        "container": _container(root),
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}


def gpus() -> list[dict[str, object]]:
    """Every GPU that NVML sees, in its order: name, UUID, driver, limits; empty without NVML. Initialises no device."""
    return nvml.fingerprints()


def environment() -> dict[str, object]:
    """Python, packages with versions, and the variables that matter."""
    packages = {(distribution.metadata["Name"] or "").lower(): distribution.version for distribution in importlib.metadata.distributions()}
    return {
        "python": sys.version.split()[0],
        "packages": dict(sorted((name, version) for name, version in packages.items() if name)),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(RECORDED_ENVIRONMENT)},
    }


def process_age_seconds() -> float:
    """Since Python was started; since this module was imported where the kernel does not tell. In ticks of 10 ms."""
    try:
        started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return time.monotonic() - IMPORTED


def torch_facts() -> dict[str, object]:
    """Needs torch; initialises no device."""
    import torch

    return {
        "torch": torch.__version__,
        "torch_git": torch.version.git_version,
        "torch_cuda": torch.version.cuda,
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _cpu_model(root: Path) -> str:
    for line in _read(root / "proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _topology(root: Path) -> dict[str, object]:
    """Sockets, cores and threads of the whole machine, as the kernel shows them to this process."""
    folders = [path / "topology" for path in (root / "sys/devices/system/cpu").glob("cpu[0-9]*")]
    # Of one core: its threads' list, under its name since Linux 5.3 or the one before.
    lists = [_read(folder / "core_cpus_list") or _read(folder / "thread_siblings_list") for folder in folders]
    cores = Counter(core for core in lists if core)
    return {
        "sockets": len({package for folder in folders if (package := _read(folder / "physical_package_id"))}) or None,
        "physical_cores": len(cores) or None,
        "threads_per_core": max(cores.values(), default=None),
        "numa_nodes": sum(1 for _ in (root / "sys/devices/system/node").glob("node[0-9]*")) or None,
        "smt": _flag(_read(root / "sys/devices/system/cpu/smt/active")),
    }


def _frequency(root: Path) -> dict[str, object]:
    """Who chooses the processor's frequency, and between which limits. Virtual machines mostly do not see that."""
    cpu = root / "sys/devices/system/cpu"
    lowest, highest = (_integer(_read(cpu / f"cpu0/cpufreq/scaling_{end}_freq")) for end in ("min", "max"))
    no_turbo = _flag(_read(cpu / "intel_pstate/no_turbo"))
    return {
        "governor": _read(cpu / "cpu0/cpufreq/scaling_governor"),
        "minimum_mhz": None if lowest is None else lowest / 1000,
        "maximum_mhz": None if highest is None else highest / 1000,
        "boost": _flag(_read(cpu / "cpufreq/boost")) if no_turbo is None else not no_turbo,
    }


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _limits(root: Path) -> dict[str, object]:
    """Of the control group as it is seen at /sys/fs/cgroup, version 2 or 1: processors and bytes; None without a limit."""
    group = root / "sys/fs/cgroup"
    quota, _, period = _read(group / "cpu.max").partition(" ")
    if not quota:
        quota, period = (_read(group / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    limited = quota.isdigit() and period.isdigit() and int(period) > 0
    memory = _integer(_read(group / "memory.max") or _read(group / "memory/memory.limit_in_bytes"))
    return {
        "cgroup_cpus": int(quota) / int(period) if limited else None,
        "cgroup_memory_bytes": memory if memory is not None and memory < UNLIMITED_BYTES else None,
    }


def _kernel_settings(root: Path) -> dict[str, object]:
    """transparent_hugepages: always, madvise or never. aslr: 0 (off), 1, or 2 (the heap too). pressure: whether the kernel counts it."""
    chosen = re.search(r"\[(\w+)\]", _read(root / "sys/kernel/mm/transparent_hugepage/enabled"))
    return {
        "transparent_hugepages": chosen and chosen[1],
        "aslr": _integer(_read(root / "proc/sys/kernel/randomize_va_space")),
        "pressure": bool(_read(root / "proc/pressure/cpu")),
    }


def _hypervisor(root: Path) -> str | None:
    """Its name where the kernel gives one, ``unnamed`` where the processor says that there is one; else None."""
    if named := _read(root / "sys/hypervisor/type"):
        return named
    flags = re.search(r"^flags\s*:(.*)$", _read(root / "proc/cpuinfo"), re.MULTILINE)
    return "unnamed" if flags and "hypervisor" in flags[1].split() else None


def _container(root: Path) -> str | None:
    """The engine of the container that this process is in; None outside, and where nothing tells."""
    for path, name in CONTAINERS:
        if (root / path).exists():
            return name
    groups = _read(root / "proc/1/cgroup")
    return next((name for part, name in CONTAINER_GROUPS if part in groups), None) or _read(root / "run/systemd/container") or None


def _flag(text: str) -> bool | None:
    return {"0": False, "1": True}.get(text)


def _integer(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _read(path: Path) -> str:
    """Without surrounding space; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
