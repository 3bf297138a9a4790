"""The launch: one start of one image that measures a list of cells once.

Each cell runs in a process forked from this one, which has torch imported and never touches a device. A row is on disk
before the next cell starts, and every cell gets one, whatever its process does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

from harness import allocator, batch_search, caches, catalog, debug_run, facts, files, memory_limit
from harness.cell import WHOLE, Cell, LaunchSpec, Part
from harness.journal import Journal, JournalWriter, read_journal
from harness.output import ARTIFACTS, FACTS, LOGS, ROWS, RUNNING, SAMPLES, row_of
from harness.process import Ended, Stopped, become_reaper, last_words, run_process, signal_name
from harness.records import BY_FORM, Row, Sample, Status, Warn
from harness.turns import BEGINNING, Place, Slices, Turns, connect

CEILINGS = "ceilings.json"
COST_PHASES = frozenset({"memory", "energy", "transfer", "graph"})
"""Phases of a cell that come after its result was checked and its times were written down."""
PRELOAD = ("torch", "harness.worker")
"""Modules without which no cell runs."""


def run_launch(spec: LaunchSpec, directory: Path, stop: int | None = None) -> None:
    """Measure the cells of ``spec``, leaving rows, samples and logs in ``directory``.

    stop: a file descriptor whose closing by the other side ends the launch; so does the end of those it takes turns with by the host.
    Raises Stopped then, and on SIGTERM or SIGINT, after having ended the cell that was running.
    """
    (directory / LOGS).mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    become_reaper()
    # Modules that only look whether there is a GPU must not open it here: what is forked from this process could not use it.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    # Before torch is imported: what is allocated earlier is where it is.
    memory = allocator.pin() if spec.pin_allocator else allocator.describe()
    missing = _preload(spec)
    startup_seconds = facts.process_age_seconds()
    about: dict[str, object] = {"machine": facts.machine(), **facts.environment(), "allocator": memory.as_facts()}
    if missing is None:
        about.update(facts.torch_facts(), startup_seconds=startup_seconds)
    write_json(directory / FACTS, about)
    with tempfile.TemporaryDirectory(prefix="caches-") as folder:
        launch = Launch(spec=spec, directory=directory, stop=stop, caches=Path(folder), startup_seconds=startup_seconds)
        if missing is None:
            launch = _before_cells(launch, about)
        if spec.turns:
            turns = connect(directory)
            launch = dataclasses.replace(launch, turns=turns, stop=turns.fileno())
        for index, cell in enumerate(spec.cells):
            if launch.turns is not None:
                launch.turns.wait(Place(spec.turns[index], BEGINNING))
            row, samples = measure(index, cell, launch) if missing is None else (row_of(cell, spec, Status.UNSUPPORTED, missing), [])
            # Samples first: a row says that the cell is done.
            files.append_samples(directory / SAMPLES, samples)
            files.append_rows(directory / ROWS, [row])
            (directory / RUNNING).unlink(missing_ok=True)
            print(f"{index + 1}/{len(spec.cells)} {cell.id}: {_summary(row)}", flush=True)


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What all cells of a launch share."""

    spec: LaunchSpec
    directory: Path
    stop: int | None
    caches: Path
    """Where compile caches are made."""
    startup_seconds: float
    """From the start of Python until everything was imported."""
    turns: Turns | None = None
    """With other launches."""

    def run(self, target: Callable[[], None], log: Path) -> Ended:
        """In a process of its own."""
        waited = self.turns.waited_seconds if self.turns is not None else lambda: 0.0
        return run_process(target, timeout_seconds=self.spec.timeout_seconds, log=log, stop=self.stop, waited=waited)

    @property
    def first_caches(self) -> Path:
        """What warm-ups leave: every cell's caches begin as a copy."""
        return self.caches / "first"


def _before_cells(launch: Launch, about: dict[str, object]) -> Launch:
    """What is done once per launch, in processes of their own: warm-ups, and the ceilings of the machine where nobody knows them yet."""
    spec, directory = launch.spec, launch.directory
    if spec.warm_up:
        _warm_up(launch)
    devices = dict.fromkeys(cell.device for cell in spec.cells)
    path = directory / CEILINGS

    from harness import numerics
    from harness.measure import ceilings

    known = ceilings.readable(spec.ceilings or {})

    def look() -> None:
        found: dict[str, object] = {"gpus": facts.gpus()}
        write_json(path, found)
        if spec.measure_ceilings:
            # As many as cells have: a ceiling of all processors is none for one thread.
            numerics.use_threads(spec.threads)
            wanted = [device for device in devices if device not in known]
            measured = ceilings.of_devices(wanted)
            write_json(path, {**found, "ceilings": measured, "without_ceilings": [device for device in wanted if device not in measured]})

    launch.run(look, directory / LOGS / "machine.log")
    found: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        # Where this fails its log says why. Cells are measured all the same, and have no share of a limit.
        found = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
    write_json(directory / FACTS, {**about, **found})
    return dataclasses.replace(launch, spec=dataclasses.replace(spec, ceilings={**known, **found.get("ceilings", {})}))


def _warm_up(launch: Launch) -> None:
    """What backends do once per cache. One that fails is passed over: the cells will say why. So is one whose options are all wrong."""
    spec = launch.spec
    for name, device in dict.fromkeys((cell.backend, cell.device) for cell in spec.cells):
        if name in catalog.WARM_UPS:
            target = cast("Callable[[str], None]", catalog.load(catalog.WARM_UPS[name]))
            cells = [cell for cell in spec.cells if (cell.backend, cell.device) == (name, device)]

            def warm(target: Callable[[str], None] = target, device: str = device, cells: list[Cell] = cells) -> None:
                if not any(map(_is_supported, cells)):
                    return
                if spec.fresh_caches:
                    caches.use(launch.first_caches)
                target(device)

            ended = launch.run(warm, launch.directory / LOGS / "warm-up.log")
            print(f"warm-up of {name} on {device} ({ended.wall_seconds:.1f} s)", flush=True)


def _is_supported(cell: Cell) -> bool:
    """Whether its backend takes it: in a process of its own, which a backend may change."""
    from harness.backends.making import backend_of
    from harness.protocols import Unsupported

    try:
        backend_of(cell, Path)
    except Unsupported:
        return False
    return True


def measure(index: int, cell: Cell, launch: Launch) -> tuple[Row, list[Sample]]:
    """One cell in a process of its own, and in a second one with the first one's caches: its row and its samples."""
    spec, directory = launch.spec, launch.directory
    write_json(directory / RUNNING, {"cell": cell.id, "index": index})
    started_at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    own_caches = launch.caches / f"{index:04d}"
    kept = None if spec.kept_caches is None else caches.kept_of(Path(spec.kept_caches), cell, spec)
    found = kept is not None and kept.exists()
    try:
        if spec.fresh_caches:
            caches.begin(own_caches, kept if found else launch.first_caches)
        tried = _measured(index, cell, launch, own_caches)
        status, reason, journal = tried.status, tried.reason, tried.journal
        if status in Status.PASSED and _compiles_again(spec) and not found and "compilation_latency" in journal.fields:
            reason = _compile_again(index, cell, launch, own_caches, journal) or reason
        if kept is not None and not found and status in Status.PASSED:
            caches.keep(own_caches, kept)
        if Status.is_among(status, spec.keep_debug):
            journal.fields["debug"] = _debug_again(index, cell, launch)
    except OSError as error:
        return row_of(
            cell,
            spec,
            Status.INFRA_ERROR,
            f"the launch could not start the cell (disk full, or too many processes?): {error}",
            started_at=started_at,
        ), []
    finally:
        shutil.rmtree(own_caches, ignore_errors=True)
    fields = dict(journal.fields)
    for name in ("first_result_seconds", "warm_first_result_seconds"):
        # A cell's process knows only what came after it was forked.
        if isinstance(value := fields.get(name), float):
            fields[name] = value + launch.startup_seconds
    if found:
        fields = caches.as_found(fields)
    fields |= {"warnings": ";".join(journal.warnings), "phase": journal.phase, "wall_seconds": tried.wall_seconds}
    fields |= {"started_at": started_at, "log": f"{LOGS}/{log_name(index)}", "artifacts": artifacts_of(index, directory)}
    row = row_of(cell, spec, status, reason, **fields)
    samples = [
        Sample(launch=spec.launch, attempt=spec.attempt, cell=cell.id, index=i, **taken._asdict())
        for i, taken in enumerate(journal.samples)
    ]
    return row, samples


def _measured(index: int, cell: Cell, launch: Launch, own_caches: Path) -> batch_search.Try:
    """By one process, or by those of a search."""
    spec = launch.spec

    def attempt(part: Part) -> batch_search.Try:
        ended, journal = _run_cell(index, cell, launch, own_caches, part)
        status, reason = outcome(journal, ended, spec.timeout_seconds)
        return batch_search.Try(status=status, reason=reason, wall_seconds=ended.wall_seconds, journal=journal)

    if spec.experiment != batch_search.EXPERIMENT:
        return attempt(WHOLE)
    table = launch.directory / ARTIFACTS / f"{index:04d}" / batch_search.TRIES
    return batch_search.search(spec.first_batch_size, lambda size: attempt(Part(batch_size=size)), table)


def _compiles_again(spec: LaunchSpec) -> bool:
    from harness.protocols import CompilesAgain

    experiment = cast("type[object]", catalog.load(catalog.EXPERIMENTS[spec.experiment]))
    return spec.warm_compile and spec.fresh_caches and issubclass(experiment, CompilesAgain)


def _run_cell(index: int, cell: Cell, launch: Launch, own_caches: Path, part: Part) -> tuple[Ended, Journal]:
    from harness import worker

    spec, directory = launch.spec, launch.directory
    path = directory / f"journal-{index:04d}.jsonl"
    path.unlink(missing_ok=True)

    def target() -> None:
        if part.batch_size is not None and cell.device == "cpu":
            memory_limit.limit_to_what_is_free()
        if spec.fresh_caches:
            caches.use(own_caches)
        slices = Slices(launch.turns, spec.turns[index], spec.sampling.slice_seconds) if launch.turns is not None else None
        worker.run_cell(cell, spec, JournalWriter(path, directory / ARTIFACTS / f"{index:04d}"), part, slices)

    try:
        ended = launch.run(target, directory / LOGS / log_name(index))
        return ended, read_journal(path)
    finally:
        path.unlink(missing_ok=True)


def _compile_again(index: int, cell: Cell, launch: Launch, own_caches: Path, first: Journal) -> str:
    """Add to the first process' journal what a second one finds in its caches. What went wrong there; empty where nothing did."""
    ended, second = _run_cell(index, cell, launch, own_caches, Part(again=True))
    fields = {name: value for name, value in second.fields.items() if name.startswith("warm_")}
    whole, latency = fields.get("warm_compilation_seconds"), first.fields.get("backend_latency_seconds")
    if isinstance(whole, float) and isinstance(latency, float):
        fields["warm_compilation_seconds"] = max(0.0, whole - latency)
    first.fields.update(fields)
    status, reason = outcome(second, ended, launch.spec.timeout_seconds)
    if status in Status.PASSED:
        return ""
    first.warnings.append(Warn.WARM_COMPILE_FAILED.value)
    return f"in a second process, with the first one's compile caches: {status}: {reason}"


def _debug_again(index: int, cell: Cell, launch: Launch) -> str:
    """The cell once more, for what torch's compilers have to say about it: what there is now among its artifacts."""
    folder = launch.directory / ARTIFACTS / f"{index:04d}" / debug_run.FOLDER
    try:
        ended, journal = debug_run.run_again(cell, launch.spec, folder, launch.run, launch.first_caches)
        status, _ = outcome(journal, ended, launch.spec.timeout_seconds)
        return f"{debug_run.keep_within(folder)}; run once more, it ended as {status}"
    except OSError as error:
        # The row stands without it.
        return f"it could not be kept: {error}"


def log_name(index: int) -> str:
    return f"{index:04d}.log"


def artifacts_of(index: int, directory: Path) -> str:
    """The cell's folder, relative to the launch's; empty where it left none."""
    name = f"{ARTIFACTS}/{index:04d}"
    return name if (directory / name).is_dir() else ""


def outcome(journal: Journal, ended: Ended, timeout_seconds: float) -> tuple[str, str]:
    """Status and reason from what the process said and from how it ended."""
    if journal.status is not None:
        return journal.status, journal.reason
    where = f"during {journal.phase!r}"
    if journal.phase in COST_PHASES:
        # Checked and timed: what came after takes nothing of that away.
        journal.warnings.append(Warn.COSTS_INCOMPLETE.value)
        passed = Status.PASS_DUE_TO_SKIP if journal.fields.get("compared_by") == BY_FORM else Status.PASS
        return passed, f"the process ended {where}: {_end_of(ended, timeout_seconds)}"
    if journal.lost is not None:
        return journal.lost
    if ended.timed_out:
        return Status.TIMEOUT, f"{_end_of(ended, timeout_seconds)} {where}"
    if ended.out_of_memory:
        return Status.OOM, f"{_end_of(ended, timeout_seconds)} {where}"
    if ended.signal is not None:
        return Status.crash(signal_name(ended.signal)), f"{_end_of(ended, timeout_seconds)} {where}{last_words(ended.signal)}"
    return Status.crash(f"exit{ended.exit_code}"), f"{_end_of(ended, timeout_seconds)} {where}, without finishing"


def _end_of(ended: Ended, timeout_seconds: float) -> str:
    if ended.timed_out:
        return f"not done after {timeout_seconds:g} s, ended"
    if ended.out_of_memory:
        return "killed by the kernel for want of memory"
    if ended.signal is not None:
        return f"killed by {signal_name(ended.signal)}"
    return f"the process left with exit code {ended.exit_code}"


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
    """Modules that the experiment, the cells' backends and their workloads are made of, or import as they compile; each once."""
    references = [catalog.EXPERIMENTS.get(spec.experiment, "")]
    for name in dict.fromkeys(cell.backend for cell in spec.cells):
        with contextlib.suppress(KeyError):
            references.append(catalog.backend_reference(name))
    modules = [module for module in (reference.partition(":")[0] for reference in references) if module]
    found = [name for module in modules for name in (module, *catalog.PRELOADS.get(module, ()))]
    for cell in spec.cells:
        found.extend(catalog.WORKLOAD_PRELOADS.get(cell.workload, ()))
    return list(dict.fromkeys(found))


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(signal_name(number))


def _summary(row: Row) -> str:
    took = f" ({row.wall_seconds:.1f} s)" if row.wall_seconds is not None else ""
    if row.speedup is not None:
        return f"{row.status} {row.speedup:.2f}x{took}"
    return f"{row.status}{': ' + row.reason[:160] if row.reason else ''}{took}"


def write_json(path: Path, content: object) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    with contextlib.suppress(OSError), temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
