"""The cell's process: load the workload, prepare the backend, run the experiment; every exception becomes a status."""

from __future__ import annotations

import contextlib
import random
import time
import traceback
from collections.abc import Callable
from typing import cast

import numpy as np
import torch

from harness import allocator, catalog, numerics, ranks, torch_config
from harness.backends.making import backend_of
from harness.cell import WHOLE, Cell, LaunchSpec, Part, Sampling
from harness.experiments.image_costs import ImageCost
from harness.failures import failure_of, is_expected, text_of
from harness.journal import JournalWriter
from harness.protocols import Bench, Clock, CompilesAgain, Experiment, Slices, Unsupported
from harness.ranks import Ranks
from harness.records import Status, Warn
from harness.workloads.loading import load_subject, workload_of


def run_cell(cell: Cell, spec: LaunchSpec, journal: JournalWriter, part: Part = WHOLE, slices: Slices | None = None) -> None:
    """Measure one cell, or a part of it, and write down what became of it. slices: for samples in turns with other launches."""
    phase = _Phase(journal)
    try:
        status, reason = _measure(cell, spec, journal, phase, part, slices), ""
    except BaseException as error:
        # Anything a workload or a backend can raise is a result of the cell; its traceback belongs into the log.
        if not is_expected(error):
            with contextlib.suppress(Exception):
                traceback.print_exc()
        failure = failure_of(error, phase.name, cell)
        status, reason = failure.status, failure.reason
        if status == Status.FALLBACK:
            journal.warn(Warn.FALLBACK)
        if failure.export_error:
            journal.set(export_error=failure.export_error)
    journal.finish(status, reason)


def _measure(cell: Cell, spec: LaunchSpec, journal: JournalWriter, phase: _Phase, part: Part, slices: Slices | None) -> str:
    began = time.perf_counter()
    numerics.use_threads(spec.threads)
    if cell.device == "cuda":
        numerics.own_threads()
    random.seed(spec.seed)
    np.random.seed(spec.seed % 2**32)
    numerics.apply(spec.numerics)
    if not allocator.is_pinned():
        journal.warn(Warn.UNPINNED_ALLOCATOR)

    report = _Reporter(journal, phase)
    if cell.suite == catalog.IMAGE_SUITE:
        return cast("ImageCost", workload_of(cell)).run(cell, spec, report)

    torch_config.apply(spec.treatment.torch_config)
    spread = _ranks(cell, spec)
    threads = torch.get_num_threads()
    with contextlib.nullcontext() if spread is None else spread.together(lambda error: failure_of(error, phase.name, cell), journal):
        status = _experiment(cell, spec, journal, report, spread, began, part, slices)
    if not numerics.hold(spec.numerics) or torch.get_num_threads() != threads:
        journal.warn(Warn.SETTINGS_CHANGED)
    return status


def _experiment(
    cell: Cell,
    spec: LaunchSpec,
    journal: JournalWriter,
    report: _Reporter,
    spread: Ranks | None,
    began: float,
    part: Part,
    slices: Slices | None,
) -> str:
    report.phase("load")
    if spec.treatment.gpu_memory_fraction is not None and cell.device == "cuda" and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(spec.treatment.gpu_memory_fraction)
    clock = _clock(cell.device, spec.sampling)
    backend = backend_of(cell, journal.artifact)
    subject = load_subject(cell, spec, batch_size=part.batch_size)
    if spread is not None:
        subject.wrap = spread.wrap
    clock.synchronize()
    experiment = cast("type[Experiment]", catalog.load(catalog.EXPERIMENTS[spec.experiment]))()
    bench = Bench(
        cell=cell,
        spec=spec,
        subject=subject,
        backend=backend,
        clock=clock,
        report=report,
        load_seconds=time.perf_counter() - began,
        slices=slices,
        ranks=spread,
    )
    status = cast("CompilesAgain", experiment).again(bench) if part.again else experiment.run(bench)
    if spread is not None:
        spread.end(status, report.reason)
    return status


def _ranks(cell: Cell, spec: LaunchSpec) -> Ranks | None:
    """The processes that the cell is spread over, this one among them; None where it is not."""
    if not spec.treatment.distributed:
        return None
    if cell.mode != "training" or spec.experiment != catalog.PERFORMANCE:
        raise Unsupported(f"{spec.treatment.distributed} is of training, and of the experiment {catalog.PERFORMANCE} alone")
    if spec.threads is None:
        # All ranks work at once: each has its share of the processors.
        torch.set_num_threads(max(1, torch.get_num_threads() // spec.treatment.ranks))
    return ranks.start(spec.treatment.distributed, spec.treatment.ranks, cell.device)


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
        self._journal = journal
        self.reason = ""
        """What was last written as the row's."""
        self.phase = phase
        self.warn = journal.warn
        self.samples = journal.samples
        self.artifact = journal.artifact

    def set(self, **fields: object) -> None:
        self.reason = str(fields.get("reason") or self.reason)
        self._journal.set(**fields)


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
        return text_of(error)
    return "the driver lists none"
