"""The protocol that engines share, and what a launch is started with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from harness.cell import LaunchSpec
from matrix.config import Container
from matrix.gpus import NONE, Passthrough
from matrix.plan import PlannedImage

CELLS = "cells.json"
RUN_VARIABLE = "BENCHMATRIX_RUN"
"""In the environment of every process of a launch, as the label is on its container: whose it is."""

LAUNCH_VARIABLE = "BENCHMATRIX_LAUNCH"
"""Beside it: which launch of the run, by its folder."""
STARTUP_SECONDS = 600.0
"""Time a launch may take beside its cells: the container's start and the import of torch, on a slow disk."""

PINNED_VARIABLES: Mapping[str, str] = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""The same for every image and every engine; recorded in the manifest."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A prepared image: ready to be started."""

    image: PlannedImage
    reference: str
    """What the engine starts: an image reference, or the Python of a virtual environment."""
    digest: str
    size_bytes: int | None = None
    layers: tuple[str, ...] = ()
    """Digests of the image's layers, the base's first; empty where the engine has none."""
    compressed_bytes: int | None = None
    """As a registry transfers it; None where nobody asked."""
    passthrough: Passthrough = NONE
    """How its containers get a GPU."""
    library_path: str = ""
    """The image's own LD_LIBRARY_PATH."""
    python_path: str = ""
    """The image's own PYTHONPATH."""


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """One start of one image."""

    environment: Environment
    spec: LaunchSpec
    directory: Path
    """The only place the launch may write to."""
    log: Path
    """Where the engine keeps what the launch prints; the launch cannot write there."""
    run_directory: Path
    container: Container
    deadline_seconds: float

    @property
    def user_modules(self) -> tuple[Path, ...]:
        """Files of the users' own modules, each once."""
        return tuple(dict.fromkeys(Path(cell.path) for cell in self.spec.cells if cell.path is not None))


@dataclass(frozen=True, kw_only=True)
class LaunchEnd:
    """How a launch ended. A harness that reached its end exits with 0, whatever its cells did."""

    exit_code: int | None
    """None: it never started, or was ended at the deadline."""
    reason: str = ""
    """For the rows of cells that it left unmeasured."""
    overdue: bool = False
    """It was up, and was ended at the deadline."""
    sent_away: bool = False
    """It was ended before its next cell, since a launch that it took turns with had died: what it left is measured by another start."""
    unfit: bool = False
    """The image cannot run the harness at all: its cells are ``unsupported``, and no other start would change that."""

    @property
    def died(self) -> bool:
        """Whether cells that it left unmeasured are its own doing: it was up, and ended or hung. What never started is the engine's."""
        return self.overdue or self.exit_code is not None


@dataclass(kw_only=True)
class Said:
    """Lines a launch prints, passed on as they come; the last ones are kept for reasons."""

    say: Callable[[str], None]
    tail: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.tail = [*self.tail[-19:], line]
        self.say(line)


class Engine(Protocol):
    """Starts launches somewhere."""

    name: str
    takes_turns: bool
    """Whether several launches can run at once and hear this host by a socket in their folders (see ``matrix.turns``)."""

    def require(self, image: PlannedImage) -> None:
        """Look whether this host has what the image needs beside its packages: a GPU, a driver. Raises a UserError where it does not.

        Nothing is built or pulled: it costs no time.
        """
        ...

    def prepare(self, image: PlannedImage) -> Environment:
        """Build, pull or install the image, or find it there. Raises a UserError that names the next command."""
        ...

    def compressed_bytes(self, environment: Environment) -> int | None:
        """About what a registry would transfer; None where there is no image. Takes as long as compressing it, the first time."""
        ...

    def run(self, request: LaunchRequest, say: Callable[[str], None]) -> LaunchEnd:
        """Start a launch and wait for its end; nothing of it is left running, also when this raises.

        Raises EngineLost when the engine stops answering; the launch may then still be running until ``reap``. May be called from several
        threads at once where launches take turns.
        """
        ...

    def reap(self, abandoned: Callable[[Path], bool]) -> list[str]:
        """End what killed commands left running: launches of runs that nobody has open. Returns what was ended."""
        ...


def asked_now(spec: LaunchSpec) -> LaunchSpec:
    """The specification as it is handed over: with the moment in which the engine is asked to start it."""
    return replace(spec, requested_at=time.time())


def python_path(harness: str, request: LaunchRequest) -> str:
    """The folder of the harness, and behind it what else the launch imports from: as its container is configured, or its image."""
    own = request.container.environment.get("PYTHONPATH", request.environment.python_path)
    return ":".join(dict.fromkeys((harness, *filter(None, own.split(":")))))


def launch_variables(run_directory: Path, directory: Path, container: Container, scratch: str) -> dict[str, str]:
    """Environment variables of a launch: the same in every engine but for paths.

    directory: the launch's own in the run's; scratch: a writable folder that is its own.
    """
    return {
        **PINNED_VARIABLES,
        "HOME": scratch,
        # An unknown user id has no name, and inductor asks for one.
        "USER": "benchmatrix",
        "LOGNAME": "benchmatrix",
        "TMPDIR": scratch,
        "TORCHINDUCTOR_CACHE_DIR": f"{scratch}/inductor",
        "TRITON_CACHE_DIR": f"{scratch}/triton",
        **container.environment,
        RUN_VARIABLE: str(run_directory),
        LAUNCH_VARIABLE: str(directory),
    }
