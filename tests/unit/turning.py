"""Launches that take turns, without processes: the very lines and the very host, and numbers that a script makes up."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_socket

from harness import output
from harness.cell import Cell
from harness.files import append_rows
from harness.output import row_of
from harness.process import Stopped
from harness.records import Row, Status
from harness.turns import BEGINNING, Place, connect
from matrix.engines.engine import LaunchEnd, LaunchRequest
from matrix.errors import EngineLost
from tests.fake_engine import PlayedEngine

SLICES = 8
DRIFT = 0.3
"""Standard deviation of the logarithm of the machine's speed, from slice to slice: far more than any difference that is looked for."""


@pytest.fixture(autouse=True)
def own_sockets(no_network: None) -> None:
    """A launch hears its host by a socket in its folder: of this machine, and of these tests."""
    pytest_socket.enable_socket()


class Diary:
    """Who worked when; one that works while another does is caught."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Place]] = []
        self._lock = threading.Lock()

    def work(self, name: str, place: Place) -> None:
        assert self._lock.acquire(blocking=False), "two work at once"
        self.entries.append((name, place))
        time.sleep(0.0002)
        self._lock.release()


@dataclass
class TurningEngine(PlayedEngine):
    """Every slice is as fast as the machine is just then, which is the same for both launches of a block."""

    takes_turns: bool = True
    dies: dict[tuple[int, int], int] = field(default_factory=dict)
    """By launch and start: after how many cells it is gone."""
    lost: dict[tuple[int, int], int] = field(default_factory=dict)
    """The same, and the engine with it."""
    diary: Diary = field(default_factory=Diary)
    stopped: list[int] = field(default_factory=list)
    """Launches that saw their line closed."""

    def run(self, request: LaunchRequest, say: Callable[[str], None]) -> LaunchEnd:
        if not request.spec.turns:
            return super().run(request, say)
        self.requests.append(request)
        if (end := self.ends(request.environment.image, request.spec.launch)) is not None:
            return end
        spec, start = request.spec, (request.spec.launch, request.spec.attempt)
        (request.directory / output.FACTS).write_text('{"machine": {"cpu": "fake", "cores": 2}}')
        line = connect(request.directory)
        try:
            for index, cell in enumerate(spec.cells):
                line.wait(Place(spec.turns[index], BEGINNING))
                self.diary.work(str(spec.launch), Place(spec.turns[index], BEGINNING))
                if self.lost.get(start) == index:
                    raise EngineLost("planted")
                if self.dies.get(start) == index:
                    (request.directory / output.RUNNING).write_text("{}")
                    return LaunchEnd(exit_code=137, reason="planted: it is gone")
                for which in range(1, SLICES + 1):
                    line.wait(Place(spec.turns[index], which))
                    self.diary.work(str(spec.launch), Place(spec.turns[index], which))
                append_rows(request.directory / output.ROWS, [self._in_turns(cell, request)])
        except Stopped:
            # As the harness ends: it leaves what it has.
            self.stopped.append(spec.launch)
            return LaunchEnd(exit_code=1, reason="the host went away")
        finally:
            line.close()
        return LaunchEnd(exit_code=0)

    def reap(self, abandoned: Callable[[Path], bool]) -> list[str]:
        return []

    def _in_turns(self, cell: Cell, request: LaunchRequest) -> Row:
        spec = request.spec
        played = self.script(request.environment.image, cell, spec.launch)
        own = random.Random(f"{self.seed} {spec.launch} {cell.id}").gauss(0, played.noise)
        block = spec.launch // 2
        machine = [random.Random(f"{block} {cell.id} {which}").gauss(0, DRIFT) for which in range(SLICES)]
        times: dict[str, object] = {}
        if played.seconds is not None and played.status == Status.PASS:
            seconds = [played.seconds * 2.718281828 ** (own + each) for each in machine]
            times["backend_slice_seconds"] = " ".join(f"{each:.6g}" for each in seconds)
            # What the machine was like at another time moves the level of a launch.
            level = random.Random(f"{self.seed} level {spec.launch} {cell.id}").gauss(0, DRIFT)
            times["backend_latency_seconds"] = times["backend_p05_seconds"] = played.seconds * 2.718281828**level
        return row_of(cell, spec, played.status, played.reason, **{**times, "warnings": played.warnings, **played.columns})
