"""Run a plan on an engine: every planned cell gets its row, whatever happens to the launches."""

from __future__ import annotations

import datetime
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import batch_search, catalog
from harness.cell import Cell, LaunchSpec, Numerics, Sampling, Terms, Treatment
from harness.output import RUNNING, row_of
from harness.records import Status, Warn
from matrix.config import Image, Matrix
from matrix.engines.engine import STARTUP_SECONDS, Engine, Environment, LaunchEnd, LaunchRequest
from matrix.errors import SelectionError
from matrix.outputs import KeptOutputs
from matrix.plan import Launch, Plan, PlannedImage
from matrix.rules import terms_of
from matrix.store import Run

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How launches of a run are made; the same when the run is resumed."""

    matrix: Matrix
    seed: int
    outputs: KeptOutputs | None = None
    """Of an earlier run, to compare with."""


def run_plan(plan: Plan, settings: Settings, engine: Engine, environments: Mapping[PlannedImage, Environment], run: Run, say: Say) -> None:
    """Measure what the run has no rows for yet, launch by launch.

    A launch that dies costs the cell it died in (``infra_error``); the others are measured by another start of it. A start that
    measures nothing costs all its cells: starting it again would do the same. Raises EngineLost; the run can then be resumed.
    """
    for launch in plan.launches:
        run_launch(launch, settings, engine, environments[launch.image], run, say)


def run_launch(launch: Launch, settings: Settings, engine: Engine, environment: Environment, run: Run, say: Say) -> None:
    """Measure the cells of one launch that have no row of it yet, by as many starts as it takes."""
    while cells := rest_of(launch, run):
        started = time.monotonic()
        spec = launch_spec(launch, cells, settings, run.name, run.attempts(launch.index), known_of(run))
        request = begin_start(launch, spec, settings, engine, environment, run, say)
        end = engine.run(request, lambda line: say(f"  {line}"))
        end_start([(launch, request, end)], run, say)
        say(f"launch {launch.index + 1}: {time.monotonic() - started:.0f} s")


def require_caches(matrix: Matrix) -> None:
    """Raises SelectionError where compile caches are to be kept and cannot be: before anything is started."""
    folder = matrix.run.keep_caches
    if folder is None:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder):
            pass
    except OSError as error:
        raise SelectionError(
            f"--keep-caches {folder}: {error.strerror}\n  next: name a folder that can be written to, or leave it out"
        ) from None


def caches_of(settings: Settings, environment: Environment) -> str | None:
    """The folder that keeps compile caches of this very image, made where it is not there; None where none are kept."""
    if settings.matrix.run.keep_caches is None:
        return None
    folder = Path(settings.matrix.run.keep_caches) / re.sub(r"\W", "-", environment.digest)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def begin_start(
    launch: Launch, spec: LaunchSpec, settings: Settings, engine: Engine, environment: Environment, run: Run, say: Say
) -> LaunchRequest:
    """Write down that a launch is started, and make the folder that it writes to."""
    say(
        f"launch {launch.index + 1}: {launch.image.label}, {len(spec.cells)} cells"
        + (f", start {spec.attempt + 1}" if spec.attempt else "")
    )
    spec = replace(
        spec,
        image_bytes=environment.size_bytes,
        image_compressed_bytes=environment.compressed_bytes,
        kept_caches=caches_of(settings, environment),
    )
    run.update_manifest(lambda manifest: manifest["starts"].append(_start(spec, engine, environment)))
    return LaunchRequest(
        environment=environment,
        spec=spec,
        directory=run.incoming(launch.index, spec.attempt),
        log=run.log(launch.index, spec.attempt),
        run_directory=run.directory,
        container=settings.matrix.images[launch.image.name].container,
        deadline_seconds=STARTUP_SECONDS + len(spec.cells) * processes_per_cell(spec) * spec.timeout_seconds,
    )


def end_start(ended: Sequence[tuple[Launch, LaunchRequest, LaunchEnd]], run: Run, say: Say) -> None:
    """Take over what starts have measured that are over, all that there are; what they left costs the cells that they can be blamed for."""
    was_running = [(request.directory / RUNNING).exists() for _, request, _ in ended]
    run.collect()
    for (launch, request, end), in_a_cell in zip(ended, was_running, strict=True):
        if end.sent_away:
            continue
        _write_unmeasured(launch, request.spec, end, in_a_cell, run, say)
        if len(rest_of(launch, run)) >= len(request.spec.cells):
            raise AssertionError(f"launch {launch.index} made no progress: rows and cells have different names")


@dataclass(frozen=True, kw_only=True)
class Known:
    """What earlier launches of the run found out, and later ones go by."""

    ceilings: dict[str, Any] | None = None
    hot: tuple[str, ...] = ()
    cold: tuple[str, ...] = ()
    """Cells by the state of the cache that they were measured in."""


def known_of(run: Run) -> Known:
    found = [start["ceilings"] for start in run.manifest()["starts"] if isinstance(start.get("ceilings"), dict)]
    states = {row.cell: row.cache for row in run.rows() if row.cache}
    return Known(
        ceilings={device: known for ceilings in found for device, known in ceilings.items()} or None,
        hot=tuple(cell for cell, state in states.items() if state == "hot"),
        cold=tuple(cell for cell, state in states.items() if state == "cold"),
    )


def launch_spec(launch: Launch, cells: tuple[Cell, ...], settings: Settings, run: str, attempt: int, known: Known) -> LaunchSpec:
    """What one start measures. Pure."""
    how = settings.matrix.run
    mine = {cell.id for cell in cells}
    return LaunchSpec(
        run=run,
        launch=launch.index,
        attempt=attempt,
        image=launch.image.label,
        cells=cells,
        tag=how.tag,
        experiment=how.experiment,
        batch_sizes=how.batch_sizes,
        dynamic=how.dynamic,
        baselines=how.baselines or _compared(settings.matrix.images.get(launch.image.name)),
        first_batch_size=how.first_batch_size,
        seed=settings.seed,
        timeout_seconds=how.timeout_seconds,
        threads=how.threads,
        sampling=Sampling(
            samples=how.samples,
            slice_seconds=how.slice_seconds,
            width=how.interval_width,
            least_seconds=how.least_seconds,
            minimum_sample_seconds=how.minimum_sample_seconds,
            budget_seconds=how.budget_seconds,
            energy_seconds=how.energy_seconds,
            cache=how.cache,
        ),
        numerics=Numerics(tf32=how.tf32, cudnn_benchmark=how.cudnn_benchmark, deterministic=how.deterministic),
        treatment=Treatment(
            channels_last=how.channels_last,
            activation_checkpointing=how.activation_checkpointing,
            optimizer=how.optimizer,
            torch_config=tuple(sorted(how.torch_config.items())),
            distributed=how.distributed,
            ranks=how.ranks,
            gpu_memory_fraction=how.gpu_memory_fraction,
        ),
        terms={cell.id: terms for cell in cells if (terms := terms_of(settings.matrix.mark, launch.image.name, cell)) != Terms()},
        pin_allocator=how.pin_allocator,
        warm_compile=how.warm_compile,
        minify=how.minify,
        memory_snapshot=how.memory_snapshot,
        keep_debug=how.keep_debug,
        save_outputs=how.save_outputs,
        compare_outputs=str(settings.outputs.folder) if settings.outputs is not None else None,
        kept_outputs=settings.outputs.of(launch.image.label, mine) if settings.outputs is not None else {},
        ceilings=known.ceilings,
        measure_ceilings=how.ceilings,
        hot=tuple(cell for cell in known.hot if cell in mine),
        cold=tuple(cell for cell in known.cold if cell in mine),
    )


def _compared(image: Image | None) -> tuple[str, ...]:
    """An image's own backends, eager left out, which each is compared with."""
    return () if image is None else tuple(name for name in image.backends if name != catalog.EAGER)


def processes_per_cell(spec: LaunchSpec) -> int:
    """Each of which has its own time."""
    tries = batch_search.most_tries(spec.first_batch_size) if spec.experiment == batch_search.EXPERIMENT else 1
    return tries + spec.warm_compile + bool(spec.keep_debug)


def rest_of(launch: Launch, run: Run) -> tuple[Cell, ...]:
    """Its cells that have no row yet."""
    finished = run.finished()
    return tuple(cell for cell in launch.cells if (launch.index, cell.id) not in finished)


def _write_unmeasured(launch: Launch, spec: LaunchSpec, end: LaunchEnd, was_running: bool, run: Run, say: Say) -> None:
    """Rows of the cells that this start can be blamed for not having measured."""
    rest = rest_of(launch, run)
    if not rest:
        return
    reason = end.reason or "the launch ended without measuring it"
    # Cells are measured in order: the first one left is the one that was running when the launch died. The next start goes on
    # behind it. A launch that died before its first cell, or between cells, would do so again.
    measured_some = len(rest) < len(spec.cells)
    blamed = rest[:1] if was_running or measured_some else rest
    status = Status.UNSUPPORTED if end.unfit else Status.INFRA_ERROR
    warnings = Warn.LAUNCH_DIED.value if end.died and not end.unfit else ""
    run.add([row_of(cell, spec, status, reason, warnings=warnings) for cell in blamed])
    say(f"  {blamed[0].id}: {status}: {reason}" + (f" (and {len(blamed) - 1} more)" if len(blamed) > 1 else ""))


def _start(spec: LaunchSpec, engine: Engine, environment: Environment) -> dict[str, Any]:
    return {
        "launch": spec.launch,
        "attempt": spec.attempt,
        "image": spec.image,
        "digest": environment.digest,
        "engine": engine.name,
        "cells": len(spec.cells),
        "started_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
