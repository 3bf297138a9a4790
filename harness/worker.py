"""The cell's process: load the workload, prepare the backend, run the experiment; every exception becomes a status."""

from __future__ import annotations

import contextlib
import importlib.util
import random
import re
import time
import traceback
from collections.abc import Callable
from typing import cast

import numpy as np
import torch

from harness import allocator, catalog, numerics
from harness.cell import Cell, LaunchSpec, Sampling
from harness.experiments.image_costs import ImageCost
from harness.journal import JournalWriter
from harness.protocols import (
    Artifacts,
    Backend,
    BackendFactory,
    Clock,
    CompilesAgain,
    Experiment,
    ExportFailed,
    FellBack,
    NoEvidence,
    Slices,
    Unsupported,
)
from harness.records import Status, Warn, one_line
from harness.workloads.loading import load_subject, workload_of

_OUT_OF_MEMORY = re.compile(r"DefaultCPUAllocator: (not enough memory|can't allocate memory)|CUDA out of memory|out of memory$")
_STATUS_OF_PHASE = {"load": Status.MODEL_FAIL_TO_LOAD, "eager": Status.EAGER_FAIL_TO_RUN}
"""What an exception in a phase means; in every other phase the backend did not run."""


def run_cell(cell: Cell, spec: LaunchSpec, journal: JournalWriter, *, again: bool = False, slices: Slices | None = None) -> None:
    """Measure one cell and write down what became of it.

    again: only what a second process finds in the first one's caches; slices: for samples in turns with other launches.
    """
    phase = _Phase(journal)
    try:
        status, reason = _measure(cell, spec, journal, phase, again=again, slices=slices), ""
    except Unsupported as error:
        status, reason = Status.UNSUPPORTED, str(error)
    except FellBack as error:
        status, reason = Status.FALLBACK, str(error)
        journal.warn(Warn.FALLBACK)
    except ExportFailed as error:
        status, reason = Status.FAIL_TO_RUN, f"it cannot be exported: {error.rule}: {_text(error)}"
        journal.set(export_error=f"{error.rule}: {_text(error)}")
    except NoEvidence as error:
        status, reason = Status.FAIL_TO_RUN, f"no evidence that the backend ran: {error}"
    except BaseException as error:
        # Anything a workload or a backend can raise is a result of the cell; its traceback belongs into the log.
        with contextlib.suppress(Exception):
            traceback.print_exc()
        status = _status_of(error, phase.name)
        reason = f"{type(error).__name__} ({phase.name}): {_text(error)}"
        if status == Status.FAIL_TO_RUN and (package := lacking(error)) is not None:
            status, reason = Status.UNSUPPORTED, f"{cell.backend} needs the package {package}, which this image does not have"
    journal.finish(status, reason)


def _measure(cell: Cell, spec: LaunchSpec, journal: JournalWriter, phase: _Phase, *, again: bool, slices: Slices | None) -> str:
    began = time.perf_counter()
    numerics.use_threads(spec.threads)
    threads = torch.get_num_threads()
    random.seed(spec.seed)
    np.random.seed(spec.seed % 2**32)
    numerics.apply(spec.numerics)
    if not allocator.is_pinned():
        journal.warn(Warn.UNPINNED_ALLOCATOR)

    report = _Reporter(journal, phase)
    if cell.suite == catalog.IMAGE_SUITE:
        return cast("ImageCost", workload_of(cell)).run(cell, spec, report)

    phase("load")
    clock = _clock(cell.device, spec.sampling)
    backend = backend_of(cell, journal.artifact)
    subject = load_subject(cell, spec.seed)
    clock.synchronize()
    experiment = cast("type[Experiment]", catalog.load(catalog.EXPERIMENTS[spec.experiment]))()
    status = (cast("CompilesAgain", experiment).again if again else experiment.run)(
        subject=subject,
        backend=backend,
        clock=clock,
        cell=cell,
        spec=spec,
        load_seconds=time.perf_counter() - began,
        report=report,
        slices=slices,
    )
    if not numerics.hold(spec.numerics) or torch.get_num_threads() != threads:
        journal.warn(Warn.SETTINGS_CHANGED)
    return status


class _Phase:
    """The phase the cell is in, on disk for whoever finds the process dead."""

    def __init__(self, journal: JournalWriter) -> None:
        self._journal = journal
        self.name = "start"

    def __call__(self, name: str) -> None:
        self.name = name
        self._journal.phase(name)


class _Reporter:
    """The journal, with the phase remembered."""

    def __init__(self, journal: JournalWriter, phase: Callable[[str], None]) -> None:
        self.phase = phase
        self.set = journal.set
        self.warn = journal.warn
        self.samples = journal.samples
        self.artifact = journal.artifact


def _text(error: BaseException) -> str:
    try:
        return one_line(str(error))
    except Exception:
        return "(its text cannot be had)"


def _status_of(error: BaseException, phase: str) -> str:
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or _OUT_OF_MEMORY.search(_text(error)):
        return Status.OOM
    return _STATUS_OF_PHASE.get(phase, Status.FAIL_TO_RUN)


def lacking(error: BaseException) -> str | None:
    """The package whose absence is behind an error, however often it was wrapped; None where it is another."""
    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        each = queue.pop()
        if each is None or each in seen:
            continue
        if isinstance(each, ModuleNotFoundError) and each.name and importlib.util.find_spec(each.name.partition(".")[0]) is None:
            return each.name.partition(".")[0]
        seen.append(each)
        # torch's own wrapping of a backend's error is an attribute.
        queue += [each.__cause__, each.__context__, getattr(each, "inner_exception", None)]
    return None


def _clock(device: str, sampling: Sampling) -> Clock:
    reference = catalog.CLOCKS.get(device)
    if reference is None:
        raise Unsupported(f"the harness has no clock for the device {device}")
    if device == "cuda" and not torch.cuda.is_available():
        raise Unsupported(f"torch {torch.__version__} sees no GPU here: {_why_no_gpu()}")
    return cast("Callable[[str], Clock]", catalog.load(reference))(sampling.cache)


def _why_no_gpu() -> str:
    if torch.version.cuda is None:
        return "it is built without CUDA"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except Exception as error:
        return _text(error)
    return "the driver lists none"


def backend_of(cell: Cell, artifact: Artifacts) -> Backend:
    """The backend that a cell asks for. Raises Unsupported for one that the harness, the device or the image does not have, and for its options."""
    try:
        reference = catalog.backend_reference(cell.backend)
    except KeyError:
        raise Unsupported(f"the harness has no backend {cell.backend!r}; it has {', '.join(catalog.BACKENDS)}") from None
    devices = catalog.DEVICES.get(cell.backend, catalog.USUAL_DEVICES)
    if cell.device not in devices:
        there = [name for name, runs_on in catalog.DEVICES.items() if cell.device in runs_on]
        raise Unsupported(
            f"{cell.backend} runs on {' and '.join(devices)}, not on {cell.device}: "
            + (f"choose {', '.join(there)} (--backend)" if cell.device == "xla" else "use an image whose device is xla (matrix.toml)")
        )
    return cast("BackendFactory", catalog.load(reference))(cell, artifact)
