"""The Docker engine: one container per launch, hardened, with the harness mounted read-only."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.models.containers import Container as RunningContainer
from docker.types import Mount, Ulimit

from images.build import ensure_image
from images.errors import PullFailed
from images.recipe import BuildSettings, Recipe
from matrix.engines.engine import CELLS, Environment, LaunchEnd, LaunchRequest, Said, launch_variables
from matrix.errors import EngineForbidden, EngineLost, EngineMissing, ImageMissing
from matrix.plan import PlannedImage

RUN_LABEL = "io.benchmatrix.run"
HARNESS_MOUNT, OUT_MOUNT, SCRATCH = "/benchmatrix/harness", "/out", "/tmp"
STOP_SECONDS = 2
"""Time a container has to end by itself: Ctrl-C is answered within 5 seconds."""
PROBE_SECONDS = 5
ANSWER_SECONDS = 60


def connect() -> docker.DockerClient:
    """A client of the engine that answers here. Raises EngineMissing or EngineForbidden."""
    try:
        client = docker.from_env(timeout=PROBE_SECONDS)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise _unreachable(error) from None
    client.api.timeout = ANSWER_SECONDS
    return client


def _unreachable(error: Exception) -> EngineMissing | EngineForbidden:
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if "permission denied" in str(error).lower() or f"[Errno {errno.EACCES}]" in str(error):
        return EngineForbidden(
            f"the Docker socket at {address} is there, and this user may not use it\n"
            "  next: sudo usermod -aG docker $USER, log in again; or measure without Docker: --engine local"
        )
    return EngineMissing(
        f"no Docker engine answers at {address}: {error}\n"
        "  likely: it is not installed, or not started\n"
        "  next: sudo systemctl start docker; or measure without Docker: --engine local"
    )


class DockerEngine:
    name = "docker"

    def __init__(
        self,
        client: docker.DockerClient,
        *,
        recipe_of: Callable[[PlannedImage], Recipe],
        build: BuildSettings,
        source: Path,
        say: Callable[[str], None] = print,
    ) -> None:
        """source: the folder that has ``harness``."""
        self._client = client
        self._recipe_of = recipe_of
        self._build = build
        self._source = source
        self._say = say

    def prepare(self, image: PlannedImage) -> Environment:
        if image.reference is None:
            reference = ensure_image(self._recipe_of(image), self._build, self._say).reference
        else:
            reference = image.reference
        try:
            found = self._client.images.get(reference)
        except docker.errors.ImageNotFound:
            found = self._pull(reference)
        # The digest of the registry where there is one: it is the same on every host.
        digests = found.attrs.get("RepoDigests") or []
        digest = str(digests[0]).rpartition("@")[2] if digests else str(found.id)
        return Environment(image=image, reference=str(found.id), digest=digest, size_bytes=found.attrs.get("Size"))

    def run(self, request: LaunchRequest, say: Callable[[str], None]) -> LaunchEnd:
        said = Said(say=say)
        try:
            container = self._client.containers.create(**container_options(request, self._source))
        except docker.errors.ImageNotFound:
            raise ImageMissing(
                f"the image {request.environment.image.label} is gone\n  next: run the command again; it builds or pulls it"
            ) from None
        except docker.errors.APIError as error:
            return LaunchEnd(exit_code=None, reason=f"the engine could not make the container: {error.explanation or error}")
        except requests.RequestException as error:
            raise _lost(error) from None
        try:
            container.start()
            # A connection of its own: the main thread's is held by the wait.
            reader = threading.Thread(target=_pass_on, args=(container.id, said), daemon=True)
            reader.start()
            code = self._wait(container, request.deadline_seconds)
            reader.join(timeout=5)
            if code is None:
                return LaunchEnd(exit_code=None, reason=f"the launch was not done after {request.deadline_seconds:.0f} s and was ended")
            return LaunchEnd(exit_code=code, reason="" if code == 0 else self._death(container, code, said.tail))
        except docker.errors.APIError as error:
            return LaunchEnd(exit_code=None, reason=f"the container did not start: {error.explanation or error}")
        except requests.RequestException as error:
            raise _lost(error) from None
        finally:
            # Lost engine: nothing can be done now; the next start reaps.
            with contextlib.suppress(docker.errors.APIError, requests.RequestException):
                _end(container)
            (request.directory / "launch.log").write_text("\n".join(said.tail) + "\n", encoding="utf-8")

    def reap(self, abandoned: Callable[[Path], bool]) -> list[str]:
        ended = []
        for container in self._client.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True):
            if abandoned(Path(container.labels[RUN_LABEL])):
                with contextlib.suppress(docker.errors.APIError):
                    container.remove(force=True)
                ended.append(f"container {container.name}")
        return ended

    def _pull(self, reference: str) -> Any:
        self._say(f"pulling {reference}")
        try:
            found = (
                self._client.images.pull(reference)
                if "@" in reference or ":" in reference
                else self._client.images.pull(reference, tag="latest")
            )
            return found[0] if isinstance(found, list) else found
        except (docker.errors.APIError, requests.RequestException) as error:
            raise PullFailed(
                f"the image {reference} is not on this host and cannot be pulled: {getattr(error, 'explanation', None) or error}\n"
                "  likely: no network, no such image, or a registry that wants a login\n"
                f"  next: docker pull {reference}; or measure without Docker: --engine local"
            ) from None

    def _wait(self, container: RunningContainer, seconds: float) -> int | None:
        """The container's exit code; None when the deadline came first."""
        try:
            return int(container.wait(timeout=seconds)["StatusCode"])
        except requests.RequestException:
            # A read that timed out and a connection that broke look alike: only an engine that still answers was slow.
            self._client.ping()
            container.reload()
            if container.status == "exited":
                return int(container.attrs["State"]["ExitCode"])
            return None

    def _death(self, container: RunningContainer, code: int, tail: list[str]) -> str:
        container.reload()
        state = container.attrs["State"]
        memory = ", out of memory" if state.get("OOMKilled") else ""
        return f"the container ended with exit code {code}{memory}; its last lines: {' | '.join(tail[-3:])}"


def container_options(request: LaunchRequest, source: Path) -> dict[str, Any]:
    """Everything a container is created with. Pure but for the user's ids and a random name."""
    settings = request.container
    variables = launch_variables(request.run_directory, settings, SCRATCH) | {"PYTHONPATH": str(Path(HARNESS_MOUNT).parent)}
    mounts = [
        Mount(HARNESS_MOUNT, str(source / "harness"), type="bind", read_only=True),
        Mount(OUT_MOUNT, str(request.directory), type="bind"),
        *(Mount(str(folder), str(folder), type="bind", read_only=True) for folder in request.user_modules),
    ]
    name = re.sub(r"[^a-zA-Z0-9_.-]", "-", f"benchmatrix-{request.spec.run}-{request.spec.launch}-{request.spec.attempt}")
    options: dict[str, Any] = {
        "image": request.environment.reference,
        "name": f"{name}-{secrets.token_hex(3)}",
        "entrypoint": ["python3"],
        "command": ["-m", "harness", "launch", "--cells", f"{OUT_MOUNT}/{CELLS}", "--out", OUT_MOUNT],
        "environment": variables,
        "labels": {RUN_LABEL: str(request.run_directory)},
        "mounts": mounts,
        "user": f"{os.getuid()}:{os.getgid()}",
        "working_dir": SCRATCH,
        "read_only": True,
        "tmpfs": {SCRATCH: f"rw,exec,nosuid,nodev,mode=1777,size={settings.tmp_size}"},
        "network_mode": settings.network,
        "ipc_mode": "private",
        "shm_size": settings.shm_size,
        "pids_limit": settings.pids,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "ulimits": [Ulimit(name=name, soft=value, hard=value) for name, value in settings.ulimits.items()],
    }
    if settings.memory is not None:
        # The same limit with swap: a cell that swaps is neither measured nor ended.
        options |= {"mem_limit": settings.memory, "memswap_limit": settings.memory}
    if settings.cpus is not None:
        options["cpuset_cpus"] = settings.cpus
    return options


def _pass_on(container_id: str, said: Said) -> None:
    with contextlib.suppress(docker.errors.DockerException, requests.RequestException, OSError):
        # No timeout: a cell may be silent for as long as it may run.
        client = docker.from_env(timeout=None)  # type: ignore[arg-type]  # None is requests' word for no timeout
        rest = ""
        for chunk in client.containers.get(container_id).logs(stream=True, follow=True):
            *lines, rest = (rest + chunk.decode(errors="replace")).split("\n")
            for line in lines:
                said(line)


def _end(container: RunningContainer) -> None:
    with contextlib.suppress(docker.errors.NotFound):
        container.reload()
        if container.status == "running":
            container.stop(timeout=STOP_SECONDS)
        container.remove(force=True)


def _lost(error: Exception) -> EngineLost:
    return EngineLost(
        f"the Docker engine stopped answering in the middle of a launch: {error}\n"
        "  what was measured is kept; the container is removed at the next start"
    )


def describe(client: docker.DockerClient) -> Mapping[str, str]:
    """Facts about the engine, for the manifest."""
    version = client.version()
    return {"engine_version": str(version.get("Version", "")), "engine_api": str(version.get("ApiVersion", ""))}
