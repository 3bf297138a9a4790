"""Which NVIDIA driver a release of CUDA needs, and which CUDA an image brings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Version = tuple[int, ...]

LEAST_DRIVERS: tuple[tuple[int, str], ...] = ((13, "580.65.06"), (12, "525.60.13"), (11, "450.80.02"))
"""The oldest driver (Linux) that runs programs of any minor release of a major one, by minor version compatibility.

Source: CUDA Toolkit Release Notes, table "CUDA Toolkit and Minimum Required Driver Version for CUDA Minor Version Compatibility",
https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/
"""
_PIN = re.compile(r"^(cuda-toolkit|nvidia-cuda-runtime(?:-cu\d+)?)(?:\[[^\]]*\])?==([0-9.]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class DriverFinding:
    needed: str
    enough: bool


def driver_finding(cuda: str | None, driver: str | None) -> DriverFinding | None:
    """Whether a driver is new enough for a release of CUDA, as ``13.2``; None where either is not known."""
    if not cuda or not driver:
        return None
    needed = next((least for major, least in LEAST_DRIVERS if number(cuda)[:1] == (major,)), None)
    return None if needed is None else DriverFinding(needed=needed, enough=number(driver) >= number(needed))


def cuda_of_lock(lock: str) -> str | None:
    """The release of CUDA that a lock's wheels bring, as ``13.2``; None where it has none."""
    pins: dict[str, str] = dict(_PIN.findall(lock))
    # The toolkit's number is the release's own; its parts count their builds in the third place.
    found = pins.get("cuda-toolkit") or next(iter(pins.values()), None)
    return None if found is None else ".".join(found.split(".")[:2])


def cuda_of_variables(variables: Iterable[str]) -> str | None:
    """The same of an image's environment (``NAME=VALUE``): vendors' images have CUDA_VERSION."""
    for variable in variables:
        name, _, value = variable.partition("=")
        if name == "CUDA_VERSION" and re.match(r"[0-9]+\.[0-9]+", value):
            return ".".join(value.split(".")[:2])
    return None


def number(version: str) -> Version:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version))
