"""The engine that the tests use: same protocol, no processes. A script says what each start does."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import output
from harness.cell import Cell
from harness.files import append_rows, append_samples
from harness.output import row_of
from harness.records import Sample, Status, Taken
from matrix.engines.engine import Environment, LaunchEnd, LaunchRequest
from matrix.errors import EngineLost
from matrix.plan import PlannedImage


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
