"""Facts about the machine and the environment that a launch ran in; they go into the run's manifest."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

RECORDED_ENVIRONMENT = ("MALLOC_", "OMP_", "MKL_", "TORCH", "TRITON", "CUDA_", "NVIDIA_", "PYTHONHASHSEED", "KMP_", "GOMP_")
"""Prefixes of the environment variables that can change what is measured."""


def machine() -> dict[str, object]:
    """The processor, its cores as this process may use them, memory, kernel. What cannot be read is left out."""
    facts: dict[str, object] = {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "libc": " ".join(platform.libc_ver()).strip(),
    }
    return {name: value for name, value in facts.items() if value}


def environment() -> dict[str, object]:
    """Python, packages with versions, and the variables that matter."""
    packages = {(distribution.metadata["Name"] or "").lower(): distribution.version for distribution in importlib.metadata.distributions()}
    return {
        "python": sys.version.split()[0],
        "packages": dict(sorted((name, version) for name, version in packages.items() if name)),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(RECORDED_ENVIRONMENT)},
    }


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


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
