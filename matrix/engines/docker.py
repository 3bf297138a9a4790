"""The Docker engine: one container per launch, hardened, with the harness mounted read-only."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import platform
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import docker
import docker.errors
import requests
from docker.models.containers import Container as RunningContainer
from docker.types import DeviceRequest, Mount, Ulimit

from harness.cell import LaunchSpec
from harness.output import UNFIT
from images.build import ensure_image
from images.compressed import compressed_bytes
from images.errors import PullFailed
from images.recipe import BuildSettings, Recipe
from matrix.config import Image
from matrix.cuda import cuda_of_lock, cuda_of_variables
from matrix.engines import podman
from matrix.engines.engine import CELLS, Environment, LaunchEnd, LaunchRequest, Said, asked_now, launch_variables, python_path
from matrix.engines.product import Product, product_of
from matrix.errors import EngineForbidden, EngineLost, EngineMissing, ImageMissing
from matrix.gpu_probe import host_gpus
from matrix.gpus import NONE, Passthrough, decide, engine_error, parse_gpus, require_driver
from matrix.plan import PlannedImage

RUN_LABEL, HOST_LABEL = "io.benchmatrix.run", "io.benchmatrix.host"
"""Whose a container is: the run's directory, and the host that has it (several may share an engine)."""
HARNESS_MOUNT, USER_MOUNT, OUT_MOUNT, SCRATCH = "/benchmatrix/harness", "/benchmatrix/user", "/out", "/tmp"
OUTPUTS_MOUNT = "/benchmatrix/outputs"
"""An earlier run's artifacts, where a launch compares with them."""
CACHES_MOUNT = "/benchmatrix/caches"
"""Compile caches of earlier runs, which a launch adds to."""
P = ParamSpec("P")
T = TypeVar("T")
STOP_SECONDS = 2
"""Time a container has to end by itself: Ctrl-C is answered within 5 seconds."""
PROBE_SECONDS = 5
ANSWER_SECONDS = 60
_NO_PROGRAM = re.compile("executable file .*not found|no such file or directory", re.IGNORECASE)
"""An engine's words for an image that has no Python."""


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
    podman = "; or Podman's (systemctl start podman.socket): DOCKER_HOST=unix:///run/podman/podman.sock" if shutil.which("podman") else ""
    return EngineMissing(
        f"no Docker engine answers at {address}: {error}\n"
        "  likely: it is not installed, or not started\n"
        f"  next: sudo systemctl start docker{podman}; or measure without Docker: --engine local"
    )


def _answering(call: Callable[P, T]) -> Callable[P, T]:
    """Of a call during which the engine may stop answering, or answer with an error of its own: EngineLost has its words."""

    @functools.wraps(call)
    def wrapped(*arguments: P.args, **keywords: P.kwargs) -> T:
        try:
            return call(*arguments, **keywords)
        except (docker.errors.APIError, requests.RequestException) as error:
            raise _lost(error) from None

    return wrapped


class DockerEngine:
    name = "docker"

    def __init__(
        self,
        client: docker.DockerClient,
        *,
        product: Product,
        settings_of: Callable[[PlannedImage], Image],
        recipe_of: Callable[[PlannedImage], Recipe],
        build: BuildSettings,
        source: Path,
        sizes: Path,
        say: Callable[[str], None] = print,
    ) -> None:
        """source: the folder that has ``harness``; sizes: where the compressed sizes of images are remembered."""
        self._client = client
        self._product = product
        # Else containers are in a virtual machine or on another host, and a folder that is mounted there has no sockets of this one's.
        self.takes_turns = product.kernel == platform.release()
        self._settings_of = settings_of
        self._passthroughs: dict[PlannedImage, Passthrough] = {}
        self._recipe_of = recipe_of
        self._build = build
        self._source = source
        self._sizes = sizes
        self._say = say

    def require(self, image: PlannedImage) -> None:
        settings = self._settings_of(image)
        if settings.device != "cuda":
            return
        host = host_gpus()
        chosen = decide(parse_gpus(settings.container.gpus), host, self._product.gpus)
        if image.reference is None and chosen.kind != "none":
            require_driver(image.label, cuda_of_lock(self._recipe_of(image).read_lock().decode()), host.driver)
        self._say(f"gpus: {chosen.describe()} ({chosen.why})" + (f", driver {host.driver}" if host.driver else ""))
        self._passthroughs[image] = chosen

    @_answering
    def prepare(self, image: PlannedImage) -> Environment:
        if image.reference is None:
            reference = ensure_image(self._recipe_of(image), self._build, self._say).reference
        else:
            reference = image.reference
        try:
            found = self._client.images.get(reference)
        except docker.errors.APIError as error:
            # Podman takes a name that is none for a fault of its own.
            if not error.is_client_error() and "invalid reference" not in str(error):
                raise
            # It is not there, or its name is not one: the pull says which.
            found = self._pull(reference)
        # The digest of the registry where there is one: it is the same on every host.
        digests = found.attrs.get("RepoDigests") or []
        digest = str(digests[0]).rpartition("@")[2] if digests else str(found.id)
        variables = (found.attrs.get("Config") or {}).get("Env") or []
        by_name = dict(text.partition("=")[::2] for text in variables)
        passthrough = self._passthroughs.get(image, NONE)
        if image.reference is not None and passthrough.kind != "none":
            require_driver(image.label, cuda_of_variables(variables), host_gpus().driver)
        return Environment(
            image=image,
            reference=str(found.id),
            digest=digest,
            size_bytes=found.attrs.get("Size"),
            layers=tuple((found.attrs.get("RootFS") or {}).get("Layers") or ()),
            passthrough=passthrough,
            library_path=by_name.get("LD_LIBRARY_PATH", ""),
            python_path=by_name.get("PYTHONPATH", ""),
        )

    def compressed_bytes(self, environment: Environment) -> int | None:
        # Of this very content: the image's id is its hash.
        known = self._sizes / environment.reference.rpartition(":")[2]
        with contextlib.suppress(OSError, ValueError):
            return int(known.read_text())
        self._say(f"image {environment.image.label}: compressing it once, for its size in a registry (up to some minutes)")
        try:
            # No timeout: some engines write the whole image to their disk before they send the first byte.
            client = docker.from_env(timeout=None)  # type: ignore[arg-type]  # None is requests' word for no timeout
            counted = compressed_bytes(client.images.get(environment.reference).save())
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_text(str(counted))
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            # One size that is not known must not keep everything else from being measured.
            self._say(f"image {environment.image.label}: its compressed size cannot be had: {error}")
            return None
        return counted

    def run(self, request: LaunchRequest, say: Callable[[str], None]) -> LaunchEnd:
        said = Said(say=say)
        (request.directory / CELLS).write_text(asked_now(inside(request)).to_json(), encoding="utf-8")
        try:
            container = self._create(request)
        except docker.errors.ImageNotFound:
            raise ImageMissing(
                f"the image {request.environment.image.label} is gone\n  next: run the command again; it builds or pulls it"
            ) from None
        except docker.errors.APIError as error:
            self._raise_for_gpu(request, error)
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
                reason = f"the launch was not done after {request.deadline_seconds:.0f} s and was ended"
                return LaunchEnd(exit_code=None, reason=reason, overdue=True)
            return LaunchEnd(exit_code=code, reason="" if code == 0 else self._death(container, code, said.tail), unfit=code == UNFIT)
        except docker.errors.APIError as error:
            self._raise_for_gpu(request, error)
            text = str(error.explanation or error)
            unfit = _NO_PROGRAM.search(text) is not None
            return LaunchEnd(exit_code=None, reason=f"the container did not start: {text}", unfit=unfit)
        except requests.RequestException as error:
            raise _lost(error) from None
        finally:
            # Lost engine: nothing can be done now; the next start reaps.
            with contextlib.suppress(docker.errors.APIError, requests.RequestException):
                _end(container)
            request.log.write_text("\n".join(said.tail) + "\n", encoding="utf-8")

    def _create(self, request: LaunchRequest) -> RunningContainer:
        options = container_options(request, self._source, rootless=self._product.rootless)
        if self._product.podman and request.environment.passthrough.cdi:
            return self._client.containers.get(podman.create(self._client, options, ANSWER_SECONDS))
        return self._client.containers.create(**options)

    def _raise_for_gpu(self, request: LaunchRequest, error: docker.errors.APIError) -> None:
        """Every launch of this image would end in the same way."""
        found = engine_error(str(error.explanation or error), self._product.gpus.engine)
        if found is not None and request.environment.passthrough.kind != "none":
            raise found from None

    @_answering
    def reap(self, abandoned: Callable[[Path], bool]) -> list[str]:
        ended = []
        for container in self._client.containers.list(
            all=True, filters={"label": [RUN_LABEL, f"{HOST_LABEL}={platform.node()}"]}, ignore_removed=True
        ):
            if abandoned(Path(container.labels[RUN_LABEL])):
                with contextlib.suppress(docker.errors.APIError):
                    container.remove(force=True)
                ended.append(f"container {container.name}")
        return ended

    def _pull(self, reference: str) -> Any:
        self._say(f"pulling {reference}")
        tag = None if "@" in reference or ":" in reference else "latest"
        try:
            # An engine that has begun to answer tells what went wrong in its answer: images.pull() passes over that.
            events = self._client.api.pull(reference, tag=tag, stream=True, decode=True)
            refused = next((str(event["error"]) for event in events if "error" in event), None)
            if refused is None:
                return self._client.images.get(reference)
        except (docker.errors.APIError, requests.RequestException) as error:
            refused = str(getattr(error, "explanation", None) or error)
        raise PullFailed(
            f"the image {reference} is not on this host and cannot be pulled: {refused}\n"
            "  likely: no network, no such image, or a registry that wants a login\n"
            f"  next: docker pull {reference}; or measure without Docker: --engine local"
        )

    def _wait(self, container: RunningContainer, seconds: float) -> int | None:
        """The container's exit code; None when the deadline came first."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            try:
                return int(container.wait(timeout=remaining)["StatusCode"])
            except requests.RequestException:
                # A read that timed out and a connection that broke look alike. An engine that does not answer now raises here.
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


def container_options(request: LaunchRequest, source: Path, *, rootless: bool = False) -> dict[str, Any]:
    """Everything a container is created with. Pure but for the user's ids and a random name.

    rootless: root in a container is this user, and any other id somebody who may not write the results.
    """
    settings = request.container
    passthrough = request.environment.passthrough
    variables = launch_variables(request.run_directory, request.directory, settings, SCRATCH) | {
        "PYTHONPATH": python_path(str(Path(HARNESS_MOUNT).parent), request)
    }
    mounts = [
        Mount(HARNESS_MOUNT, str(source / "harness"), type="bind", read_only=True),
        Mount(OUT_MOUNT, str(request.directory), type="bind"),
        *(Mount(target, str(source), type="bind", read_only=True) for source, target in user_mounts(request)),
        *(Mount(OUTPUTS_MOUNT, folder, type="bind", read_only=True) for folder in [request.spec.compare_outputs] if folder is not None),
        *(Mount(CACHES_MOUNT, folder, type="bind") for folder in [request.spec.kept_caches] if folder is not None),
        *(Mount(target, source, type="bind", read_only=True) for source, target in settings.mounts.items()),
        *(Mount(target, source, type="bind", read_only=True) for source, target in passthrough.mounts),
    ]
    if passthrough.library_folders:
        # A variable of the container takes the place of the image's.
        own = settings.environment.get("LD_LIBRARY_PATH", request.environment.library_path)
        folders = dict.fromkeys((*filter(None, own.split(":")), *passthrough.library_folders))
        variables["LD_LIBRARY_PATH"] = ":".join(folders)
    name = re.sub(r"[^a-zA-Z0-9_.-]", "-", f"benchmatrix-{request.spec.run}-{request.spec.launch}-{request.spec.attempt}")
    options: dict[str, Any] = {
        "image": request.environment.reference,
        "name": f"{name}-{secrets.token_hex(3)}",
        "entrypoint": ["python3"],
        "command": ["-m", "harness", "launch", "--cells", f"{OUT_MOUNT}/{CELLS}", "--out", OUT_MOUNT],
        "environment": variables,
        "labels": {RUN_LABEL: str(request.run_directory), HOST_LABEL: platform.node()},
        "mounts": mounts,
        "user": "0:0" if rootless else f"{os.getuid()}:{os.getgid()}",
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
    return options | gpu_options(passthrough)


def gpu_options(passthrough: Passthrough) -> dict[str, Any]:
    """What a container is created with for its GPU."""
    if passthrough.kind == "nvidia":
        which: dict[str, Any] = {"device_ids": list(passthrough.ids)} if passthrough.ids else {"count": -1}
        return {"device_requests": [DeviceRequest(driver="nvidia", capabilities=[["gpu", "compute", "utility"]], **which)]}
    if passthrough.kind == "cdi":
        return {"device_requests": [DeviceRequest(driver="cdi", device_ids=list(passthrough.cdi))]}
    return {"devices": [f"{node}:{node}:rw" for node in passthrough.nodes]} if passthrough.nodes else {}


def user_mounts(request: LaunchRequest) -> list[tuple[Path, str]]:
    """(source, target) for the users' own modules: the folder of each, since modules import their neighbours.

    From a home, or from the folder of everybody's temporary files, only the file: the neighbours there are nobody's business.
    """
    broad = {Path.home(), Path("/"), Path("/tmp")}
    found: dict[Path, str] = {}
    for path in request.user_modules:
        source = path if path.parent in broad else path.parent
        found.setdefault(source, f"{USER_MOUNT}/{len(found)}" + (f"/{path.name}" if source == path else ""))
    return list(found.items())


def inside(request: LaunchRequest) -> LaunchSpec:
    """The specification as the container sees it: the users' own modules, and an earlier run's outputs, are where they are mounted."""
    targets = dict(user_mounts(request))

    def moved(path: Path) -> str:
        return targets[path] if path in targets else f"{targets[path.parent]}/{path.name}"

    cells = tuple(cell if cell.path is None else replace(cell, path=moved(Path(cell.path))) for cell in request.spec.cells)
    outputs = None if request.spec.compare_outputs is None else OUTPUTS_MOUNT
    kept = None if request.spec.kept_caches is None else CACHES_MOUNT
    return replace(request.spec, cells=cells, compare_outputs=outputs, kept_caches=kept)


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
        f"the Docker engine stopped answering: {error}\n  what was measured is kept; a container that is left is removed at the next start"
    )


@_answering
def describe(client: docker.DockerClient) -> Product:
    """Which engine it is, and what it is like."""
    return product_of(client.version(), client.info())
