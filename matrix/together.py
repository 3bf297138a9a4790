"""Launches that take turns: the two or three of a gate's block, at once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.cell import Cell
from matrix.engines.engine import Engine, Environment, LaunchEnd, LaunchRequest
from matrix.plan import Launch, PlannedImage
from matrix.runner import Say, Settings, begin_start, end_start, known_of, launch_spec, rest_of, run_launch
from matrix.store import Run, rows_left
from matrix.turns import Turns

STOP_SECONDS = 4.0
"""Time that launches have to end by themselves when the command is stopped: Ctrl-C is answered within 5 seconds."""


def run_together(
    launches: Sequence[Launch], settings: Settings, engine: Engine, environments: Mapping[PlannedImage, Environment], run: Run, say: Say
) -> None:
    """Measure the cells of some launches that have no row yet, cell by cell in turns.

    Where one of them dies the others end before their next cell, and what is left is measured by another start of all.
    One after the other where the engine cannot have it, and on a GPU: there device time is steady between launches, and two processes on one
    would share its memory. Raises what ``run_launch`` raises.
    """
    devices = {settings.matrix.images[launch.image.name].device for launch in launches}
    if not engine.takes_turns or "cuda" in devices:
        for launch in launches:
            run_launch(launch, settings, engine, environments[launch.image], run, say)
        return
    while rest := {launch: cells for launch in launches if (cells := rest_of(launch, run))}:
        _start_all(rest, settings, engine, environments, run, say)


def _start_all(
    rest: Mapping[Launch, tuple[Cell, ...]],
    settings: Settings,
    engine: Engine,
    environments: Mapping[PlannedImage, Environment],
    run: Run,
    say: Say,
) -> None:
    """One start of each. It has the same number for all: by that their rows are known to have been measured together."""
    began = time.monotonic()
    attempt = max(run.attempts(launch.index) for launch in rest)
    places = {cell: place for place, cell in enumerate(dict.fromkeys(cell for cells in rest.values() for cell in cells))}
    known = known_of(run)
    requests = []
    for launch, cells in rest.items():
        spec = replace(launch_spec(launch, cells, settings, run.name, attempt, known), turns=tuple(places[cell] for cell in cells))
        requests.append(begin_start(launch, spec, settings, engine, environments[launch.image], run, say))
    together = sum(request.deadline_seconds for request in requests)
    seed = f"{settings.seed} {min(launch.index for launch in rest)} {attempt}"
    turns = Turns([request.directory for request in requests], seed)
    starts = [
        _Start(engine=engine, launch=launch, request=replace(request, deadline_seconds=together), turns=turns, seat=seat, say=say)
        for seat, (launch, request) in enumerate(zip(rest, requests, strict=True))
    ]
    try:
        with turns:
            for start in starts:
                # One after the other: none is being started while another is.
                start.thread.start()
                turns.wait_for(start.seat)
            turns.begin()
            for start in starts:
                start.thread.join()
    except BaseException:
        # Their lines are closed now, which ends them.
        deadline = time.monotonic() + STOP_SECONDS
        for start in starts:
            if start.thread.ident is not None:
                start.thread.join(max(0.0, deadline - time.monotonic()))
        if any(start.thread.is_alive() for start in starts):
            with contextlib.suppress(Exception):
                engine.reap(lambda directory: directory == run.directory)
        raise
    failed = next((start.error for start in starts if start.error is not None), None)
    if failed is not None:
        raise failed
    end_start([(start.launch, start.request, start.end) for start in starts if start.end is not None], run, say)
    say(f"launches {', '.join(str(launch.index + 1) for launch in rest)}: {time.monotonic() - began:.0f} s")


@dataclass(kw_only=True)
class _Start:
    """A launch and the thread that waits for its end."""

    engine: Engine
    launch: Launch
    request: LaunchRequest
    turns: Turns
    seat: int
    say: Say
    end: LaunchEnd | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        side = f"{self.launch.side}: " if self.launch.side else ""
        try:
            self.end = self.engine.run(self.request, lambda line: self.say(f"  {side}{line}"))
            if self.turns.has_parted(self.seat):
                self.end = replace(self.end, sent_away=True)
            elif rows_left(self.request.directory) < len(self.request.spec.cells):
                self.turns.part(self.seat)
        except BaseException as error:  # noqa: BLE001  # it is for the thread that waits for all of them
            self.error = error
            self.turns.close()
        finally:
            self.turns.leave(self.seat)
