"""The launch: one start of one image that measures a list of cells once.

Each cell runs in a process forked from this one, which has torch imported and never touches a device. A row is on disk
before the next cell starts, and every cell gets one, whatever its process does.
"""

from __future__ import annotations

import contextlib
import datetime
import gc
import importlib
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import cast

from harness import catalog, facts, records
from harness.cell import Cell, LaunchSpec
from harness.journal import Journal, JournalWriter, read_journal
from harness.output import FACTS, LOGS, ROWS, RUNNING, SAMPLES, row_of
from harness.process import Ended, Stopped, become_reaper, run_process, signal_name
from harness.records import Row, Sample, Status

PRELOAD = ("torch", "harness.worker")
"""Modules without which no cell runs."""


def run_launch(spec: LaunchSpec, directory: Path, stop: int | None = None) -> None:
    """Measure the cells of ``spec``, leaving rows, samples and logs in ``directory``.

    stop: a file descriptor whose closing by the other side ends the launch. Raises Stopped then, and on SIGTERM or SIGINT,
    after having ended the cell that was running.
    """
    (directory / LOGS).mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    become_reaper()
    started = time.monotonic()
    missing = _preload(spec)
    about: dict[str, object] = {"machine": facts.machine(), **facts.environment()}
    if missing is None:
        about.update(facts.torch_facts(), preload_seconds=time.monotonic() - started)
    _write_json(directory / FACTS, about)
    if missing is None and spec.warm_up:
        _warm_up(spec, directory, stop)
    for index, cell in enumerate(spec.cells):
        row, samples = (
            measure(index, cell, spec, directory, stop) if missing is None else (row_of(cell, spec, Status.UNSUPPORTED, missing), [])
        )
        # Samples first: a row says that the cell is done.
        records.append_samples(directory / SAMPLES, samples)
        records.append_rows(directory / ROWS, [row])
        (directory / RUNNING).unlink(missing_ok=True)
        print(f"{index + 1}/{len(spec.cells)} {cell.id}: {_summary(row)}", flush=True)


def _warm_up(spec: LaunchSpec, directory: Path, stop: int | None) -> None:
    """What backends do once per launch, in processes of their own. One that fails is passed over: the cells will say why."""
    for name in dict.fromkeys(cell.backend for cell in spec.cells if cell.device == "cpu"):
        if name in catalog.WARM_UPS:
            target = cast("Callable[[], None]", catalog.load(catalog.WARM_UPS[name]))
            ended = run_process(target, timeout_seconds=spec.timeout_seconds, log=directory / LOGS / "warm-up.log", stop=stop)
            print(f"warm-up of {name} ({ended.wall_seconds:.1f} s)", flush=True)


def measure(index: int, cell: Cell, spec: LaunchSpec, directory: Path, stop: int | None) -> tuple[Row, list[Sample]]:
    """One cell in a process of its own: its row and its samples."""
    from harness import worker

    log = directory / LOGS / f"{index:04d}.log"
    journal_path = directory / f"journal-{index:04d}.jsonl"
    journal_path.unlink(missing_ok=True)
    _write_json(directory / RUNNING, {"cell": cell.id, "index": index})
    started_at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")

    def target() -> None:
        worker.run_cell(cell, spec, JournalWriter(journal_path))

    try:
        ended = run_process(target, timeout_seconds=spec.timeout_seconds, log=log, stop=stop)
        journal = read_journal(journal_path)
    finally:
        journal_path.unlink(missing_ok=True)
    status, reason = outcome(journal, ended, spec.timeout_seconds)
    fields = {**journal.fields, "warnings": ";".join(journal.warnings), "phase": journal.phase, "wall_seconds": ended.wall_seconds}
    row = row_of(cell, spec, status, reason, **fields, started_at=started_at, log=f"{LOGS}/{log.name}")
    samples = [
        Sample(launch=spec.launch, attempt=spec.attempt, cell=cell.id, variant=variant, index=i, seconds=seconds, calls=calls)
        for i, (variant, seconds, calls) in enumerate(journal.samples)
    ]
    return row, samples


def outcome(journal: Journal, ended: Ended, timeout_seconds: float) -> tuple[str, str]:
    """Status and reason from what the process said and from how it ended."""
    if journal.status is not None:
        return journal.status, journal.reason
    where = f"during {journal.phase!r}"
    if ended.timed_out:
        return Status.TIMEOUT, f"not done after {timeout_seconds:g} s, ended {where}"
    if ended.out_of_memory:
        return Status.OOM, f"killed by the kernel for want of memory {where}"
    if ended.signal is not None:
        return Status.crash(signal_name(ended.signal)), f"killed by {signal_name(ended.signal)} {where}; the log has its last stack"
    return Status.crash(f"exit{ended.exit_code}"), f"the process left with exit code {ended.exit_code} {where}, without finishing"


def _preload(spec: LaunchSpec) -> str | None:
    """Import what cells need, once for all; the reason why none of them can run, or None."""
    # Python warns of forking with threads. numpy's BLAS has one per core and protects them by its own fork handlers.
    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
    try:
        for name in PRELOAD:
            importlib.import_module(name)
    except ImportError as error:
        return f"this image lacks what the harness needs: {error} (Python {sys.version.split()[0]} at {sys.executable})"
    for name in modules_of(spec):
        try:
            importlib.import_module(name)
        except Exception as error:
            # The cell that needs it will meet the same, and say so in its row.
            print(f"not preloaded: {name}: {error}", flush=True)
    # What is there now is shared by all cells: keep the collector from touching, and so copying, its pages.
    gc.collect()
    gc.freeze()
    return None


def modules_of(spec: LaunchSpec) -> list[str]:
    """Modules that the experiment and the cells' backends are made of, or import as they compile; each once."""
    references = [catalog.EXPERIMENTS.get(spec.experiment, "")]
    for name in dict.fromkeys(cell.backend for cell in spec.cells):
        with contextlib.suppress(KeyError):
            references.append(catalog.backend_reference(name))
    modules = [module for module in (reference.partition(":")[0] for reference in references) if module]
    return list(dict.fromkeys(name for module in modules for name in (module, *catalog.PRELOADS.get(module, ()))))


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(signal_name(number))


def _summary(row: Row) -> str:
    took = f" ({row.wall_seconds:.1f} s)" if row.wall_seconds is not None else ""
    if row.speedup is not None:
        return f"{row.status} {row.speedup:.2f}x{took}"
    return f"{row.status}{': ' + row.reason[:160] if row.reason else ''}{took}"


def _write_json(path: Path, content: object) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    with contextlib.suppress(OSError), temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
