"""What an exception means: a status, and a reason for who reads the row."""

from __future__ import annotations

import errno
import importlib.util
import re
from collections.abc import Iterator

import torch
from torch import distributed

from harness.cell import Cell
from harness.protocols import ExportFailed, Failure, FellBack, NoEvidence, Unsupported
from harness.ranks import Followed, RankLost
from harness.records import Status, one_line

_OUT_OF_MEMORY = re.compile(
    r"DefaultCPUAllocator: (not enough memory|can't allocate memory)|CUDA (error: )?out of memory|out of memory$|std::bad_alloc"
    # oneDNN's: whatever else is wrong, it finds when it makes the primitive's descriptor.
    r"|could not create a primitive$"
)
_GLOO = re.compile(r"\bgloo/|Connection (closed|reset) by peer|Broken pipe")
"""What gloo raises is a RuntimeError like any other; its words begin with the file of its source."""
_STATUS_OF_PHASE = {"load": Status.MODEL_FAIL_TO_LOAD, "eager": Status.EAGER_FAIL_TO_RUN}
"""What an exception in a phase means; in every other phase the backend did not run."""


def failure_of(error: BaseException, phase: str, cell: Cell) -> Failure:
    """Of whatever was raised in a phase of a cell."""
    if isinstance(error, Unsupported):
        return Failure(status=Status.UNSUPPORTED, reason=str(error))
    if isinstance(error, RankLost):
        return Failure(status=error.failure.status, reason=str(error))
    if isinstance(error, FellBack):
        return Failure(status=Status.FALLBACK, reason=str(error))
    if isinstance(error, ExportFailed):
        words = f"{error.rule}: {text_of(error)}"
        return Failure(status=Status.FAIL_TO_RUN, reason=f"it cannot be exported: {words}", export_error=words)
    if isinstance(error, NoEvidence):
        return Failure(status=Status.FAIL_TO_RUN, reason=f"no evidence that the backend ran: {error}")
    status = Status.OOM if is_out_of_memory(error) else _STATUS_OF_PHASE.get(phase, Status.FAIL_TO_RUN)
    if status == Status.FAIL_TO_RUN and (package := lacking(error)) is not None:
        return Failure(status=Status.UNSUPPORTED, reason=f"{cell.backend} needs the package {package}, which this image does not have")
    name, text = type(error).__name__, text_of(error)
    return Failure(status=status, reason=f"{name} ({phase}): {text}", error=f"{name}: {text}", of_collective=is_of_collective(error))


def is_expected(error: BaseException) -> bool:
    """Whether its text says all that there is to know: its traceback tells nobody anything."""
    return isinstance(error, Unsupported | FellBack | ExportFailed | NoEvidence | Followed)


def is_out_of_memory(error: BaseException) -> bool:
    """However often that was wrapped."""
    return any(
        isinstance(each, MemoryError | torch.OutOfMemoryError)
        or (isinstance(each, OSError) and each.errno == errno.ENOMEM)
        or _OUT_OF_MEMORY.search(text_of(each)) is not None
        for each in _behind(error)
    )


def text_of(error: BaseException) -> str:
    """On one line."""
    try:
        return one_line(str(error))
    except Exception:  # noqa: BLE001  # an exception's own text may raise whatever it likes
        return "(its text cannot be had)"


def is_of_collective(error: BaseException) -> bool:
    """Whether a collective between ranks broke, however often that was wrapped."""
    broken = getattr(distributed, "DistError", ())
    return any(
        isinstance(each, broken) or (isinstance(each, RuntimeError | OSError) and _GLOO.search(text_of(each)) is not None)
        for each in _behind(error)
    )


def lacking(error: BaseException) -> str | None:
    """The package whose absence is behind an error, however often it was wrapped; None where it is another."""
    for each in _behind(error):
        if isinstance(each, ModuleNotFoundError) and each.name and importlib.util.find_spec(each.name.partition(".")[0]) is None:
            return each.name.partition(".")[0]
    return None


def _behind(error: BaseException) -> Iterator[BaseException]:
    """An error and all that led to it."""
    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        each = queue.pop()
        if each is None or each in seen:
            continue
        yield each
        seen.append(each)
        # torch's own wrapping of a backend's error is an attribute.
        queue += [each.__cause__, each.__context__, getattr(each, "inner_exception", None)]
