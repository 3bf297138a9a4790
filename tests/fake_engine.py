"""The engines that the tests use: same protocol, no processes. A script says what each start does, or what each cell measures."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import output
from harness.cell import Cell
from harness.files import append_rows, append_samples
from harness.output import row_of
from harness.records import Row, Sample, Status, Taken
from matrix.engines.engine import Environment, LaunchEnd, LaunchRequest
from matrix.errors import EngineLost
from matrix.plan import PlannedImage
from matrix.store import MANIFEST


@dataclass(frozen=True, kw_only=True)
class Start:
    """What one start does before it ends."""

    measures: int | None = None
    """Cells it measures; None: all it was given."""
    dies_in_a_cell: bool = False
    exit_code: int | None = 0
    reason: str = ""
    raises: type[BaseException] | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    """Besides the machine."""
    caches: Sequence[str] = ()
    """The states of the cache that its first cells are measured in."""


@dataclass
class FakeEngine:
    script: Iterator[Start]
    name: str = "fake"
    takes_turns: bool = False
    requests: list[LaunchRequest] = field(default_factory=list)

    def require(self, image: PlannedImage) -> None:
        pass

    def prepare(self, image: PlannedImage) -> Environment:
        return Environment(image=image, reference="fake", digest="sha256:fake")

    def compressed_bytes(self, environment: Environment) -> int | None:
        return None

    def run(self, request: LaunchRequest, say: Callable[[str], None]) -> LaunchEnd:
        self.requests.append(request)
        start = next(self.script)
        cells = request.spec.cells if start.measures is None else request.spec.cells[: start.measures]
        for cell, cache in itertools.zip_longest(cells, start.caches, fillvalue=""):
            assert isinstance(cell, Cell)
            taken = Taken("eager", "host", started_seconds=0.0, seconds=0.5, calls=1)
            sample = Sample(launch=request.spec.launch, attempt=request.spec.attempt, cell=cell.id, index=0, **taken._asdict())
            append_samples(request.directory / output.SAMPLES, [sample])
            append_rows(request.directory / output.ROWS, [row_of(cell, request.spec, Status.PASS, "", speedup=2.0, cache=cache)])
        if start.dies_in_a_cell:
            (request.directory / output.RUNNING).write_text("{}")
        (request.directory / output.FACTS).write_text(json.dumps({"machine": {"cpu": "fake"}, **start.facts}))
        if start.raises is not None:
            raise start.raises("planted")
        return LaunchEnd(exit_code=start.exit_code, reason=start.reason)

    def reap(self, abandoned: Callable[[Path], bool]) -> list[str]:
        return []


LOST = Start(measures=2, raises=EngineLost)


@dataclass(frozen=True, kw_only=True)
class Played:
    """What one cell does in one launch."""

    seconds: float | None = 1e-3
    """Median latency on the host's clock, but for the noise; None: the row has none."""
    noise: float = 0.01
    """Standard deviation of the logarithm, between launches."""
    device: bool = False
    """Whether it has a time on a device's clock too, without the host's noise: a tenth of it."""
    status: str = Status.PASS
    reason: str = ""
    warnings: str = ""
    columns: Mapping[str, object] = field(default_factory=dict)
    """Others of the row."""


Script = Callable[[PlannedImage, Cell, int], Played]
"""Image, cell, launch."""


@dataclass
class PlayedEngine:
    """Launches whose numbers are a function of seed, launch and cell alone: whatever happens between them, the same launch measures the same."""

    script: Script
    seed: int = 1
    stops: dict[int, tuple[int, type[BaseException]]] = field(default_factory=dict)
    """By start, counted over all: after how many cells it raises what. A stop happens once."""
    cell_seconds: float = 10.0
    name: str = "fake"
    takes_turns: bool = False
    now: float = 0.0
    """Its clock: only measuring takes time."""
    ends: Callable[[PlannedImage, int], LaunchEnd | None] = lambda image, launch: None
    """How a launch ends before its first cell; None where it does not."""
    requests: list[LaunchRequest] = field(default_factory=list)
    states: set[str] = field(default_factory=set)
    """Of the runs, while they were measured."""
    machine: Mapping[str, object] = field(default_factory=lambda: {"cpu": "fake", "cores": 2})

    def require(self, image: PlannedImage) -> None:
        pass

    def prepare(self, image: PlannedImage) -> Environment:
        return Environment(image=image, reference=image.label, digest=f"sha256:{image.label}", size_bytes=1000)

    def compressed_bytes(self, environment: Environment) -> int | None:
        return None

    def run(self, request: LaunchRequest, say: Callable[[str], None]) -> LaunchEnd:
        stop = self.stops.pop(len(self.requests), None)
        self.requests.append(request)
        self.states.add(json.loads((request.run_directory / MANIFEST).read_text())["state"])
        (request.directory / output.FACTS).write_text(json.dumps({"machine": self.machine}))
        if (end := self.ends(request.environment.image, request.spec.launch)) is not None:
            return end
        cells = request.spec.cells if stop is None else request.spec.cells[: stop[0]]
        rows = [self._row(self.script(request.environment.image, cell, request.spec.launch), cell, request) for cell in cells]
        append_rows(request.directory / output.ROWS, rows)
        self.now += self.cell_seconds * len(cells)
        if stop is not None:
            raise stop[1]("planted")
        return LaunchEnd(exit_code=0)

    def reap(self, abandoned: Callable[[Path], bool]) -> list[str]:
        return []

    def _row(self, played: Played, cell: Cell, request: LaunchRequest) -> Row:
        noise = random.Random(f"{self.seed} {request.spec.launch} {cell.id}").gauss(0, played.noise)
        times: dict[str, object] = {}
        if played.seconds is not None and played.status == Status.PASS:
            times["backend_latency_seconds"] = times["backend_p05_seconds"] = played.seconds * math.exp(noise)
            if played.device:
                times["backend_device_seconds"] = played.seconds * math.exp(noise / 10)
        columns = {**times, "warnings": played.warnings, **played.columns}
        return row_of(cell, request.spec, played.status, played.reason, **columns)
