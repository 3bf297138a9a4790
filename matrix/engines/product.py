"""Which engine answers at the Docker socket, and what it is like: Docker, or Podman with its Docker-compatible interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from images.docker_cli import PODMAN
from matrix.gpu_probe import engine_gpus
from matrix.gpus import EngineGpus


@dataclass(frozen=True, kw_only=True)
class Product:
    name: str
    """``docker`` or ``podman``."""
    version: str
    api: str
    kernel: str
    """Release of the kernel that its containers run on; empty where it does not tell."""
    rootless: bool
    """Whether root in a container is the user who runs the engine."""
    gpus: EngineGpus

    @property
    def podman(self) -> bool:
        return self.name == "podman"

    def manifest(self) -> dict[str, str]:
        return {"engine_product": self.name, "engine_version": self.version, "engine_api": self.api}


def product_of(version: Mapping[str, Any], info: Mapping[str, Any]) -> Product:
    """From an engine's answers to ``version`` and ``info``."""
    components = {str(item.get("Name")) for item in version.get("Components") or ()}
    name = "podman" if PODMAN in components else "docker"
    number = str(version.get("Version", ""))
    security = [str(option) for option in info.get("SecurityOptions") or ()]
    return Product(
        name=name,
        version=number,
        api=str(version.get("ApiVersion", "")),
        kernel=str(info.get("KernelVersion", "")),
        rootless=bool(info.get("Rootless")) or any(option.startswith("name=rootless") for option in security),
        gpus=engine_gpus(info, f"{name} {number}", podman=name == "podman"),
    )
