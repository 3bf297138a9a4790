"""Containers by Podman's own interface, for what its Docker-compatible one drops without a word: devices by their CDI names.

It is at the same socket. Source: the API reference of libpod, "Create a container" (SpecGenerator).
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.utils import parse_bytes

CREATE = "/v4.0.0/libpod/containers/create"
"""The oldest version that every Podman since 4.0 serves."""


def create(client: docker.DockerClient, options: Mapping[str, Any], seconds: float) -> str:
    """Make a container of the Docker engine's options; returns its id. Raises docker's errors. seconds: to wait for an answer."""
    response = client.api.post(f"{client.api.base_url}{CREATE}", json=specification(options), timeout=seconds)
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        raise docker.errors.create_api_error_from_http_exception(error) from None
    return str(response.json()["Id"])


def specification(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same container in Podman's words. Pure but for this process' own limits."""
    limits: dict[str, Any] = {"pids": {"limit": options["pids_limit"]}}
    if "mem_limit" in options:
        limits["memory"] = {"limit": parse_bytes(options["mem_limit"]), "swap": parse_bytes(options["memswap_limit"])}
    if "cpuset_cpus" in options:
        limits["cpu"] = {"cpus": options["cpuset_cpus"]}
    return {
        "image": options["image"],
        "name": options["name"],
        "entrypoint": options["entrypoint"],
        "command": options["command"],
        "env": options["environment"],
        "labels": options["labels"],
        "user": options["user"],
        "work_dir": options["working_dir"],
        "read_only_filesystem": options["read_only"],
        "netns": {"nsmode": options["network_mode"]},
        "ipcns": {"nsmode": options["ipc_mode"]},
        "shm_size": parse_bytes(options["shm_size"]),
        "resource_limits": limits,
        "cap_drop": options["cap_drop"],
        "no_new_privileges": "no-new-privileges" in options["security_opt"],
        "r_limits": list(_process_limits(options)),
        "mounts": list(_mounts(options)),
        "devices": [*({"path": path} for path in options.get("devices", ())), *({"path": name} for name in _cdi_names(options))],
    }


def _mounts(options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for mount in options["mounts"]:
        access = "ro" if mount["ReadOnly"] else "rw"
        yield {"type": "bind", "source": mount["Source"], "destination": mount["Target"], "options": ["rbind", access]}
    for target, text in options["tmpfs"].items():
        yield {"type": "tmpfs", "source": "tmpfs", "destination": target, "options": text.split(",")}


def _cdi_names(options: Mapping[str, Any]) -> Iterator[str]:
    for asked in options.get("device_requests", ()):
        if asked["Driver"] == "cdi":
            yield from asked["DeviceIDs"]


def _process_limits(options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The options', and this process' own where they say nothing: Podman would ask for 2^20, which a host that bounds root refuses."""
    asked = {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in options["ulimits"]}
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    own = {
        "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        # As Podman's service bounds its own.
        "nproc": most if processes == resource.RLIM_INFINITY else min(processes, most),
    }
    for name, (soft, hard) in ({name: (value, value) for name, value in own.items()} | asked).items():
        yield {"type": name, "soft": soft, "hard": hard}
