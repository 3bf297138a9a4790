"""What dynamo compiles while something is called."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch._dynamo.utils import counters, get_compilation_metrics, guard_failures

from harness.protocols import Clock
from harness.records import one_line

_COMPILE_ID = re.compile(r"^\d+/\d+(?:_\d+)?: ")


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """By one call."""

    outputs: Any
    graphs: int
    seconds: float
    """Of the call, compiling and what the device does included."""
    reasons: tuple[str, ...]
    """By dynamo's own words, of each version that was there: the guard that it failed by. "0/1: " is version 1 of function 0."""

    @property
    def guards(self) -> set[str]:
        """The same guard may be one of several versions."""
        return {_COMPILE_ID.sub("", reason) for reason in self.reasons}


def compiled_by(call: Callable[[], Any], clock: Clock) -> Compiled:
    graphs, compilations = counters["stats"]["unique_graphs"], len(get_compilation_metrics())
    failed = {code: len(reasons) for code, reasons in guard_failures.items()}
    began = time.perf_counter()
    outputs = call()
    clock.synchronize()
    seconds = time.perf_counter() - began
    # Its compilation metrics have only the first of a compilation: of the newest version, and maybe of what was met long before.
    reasons = [reason for code, found in guard_failures.items() for reason in found[failed.get(code, 0) :]]
    reasons += [getattr(each, "recompile_reason", None) for each in get_compilation_metrics()[compilations:]]
    return Compiled(
        outputs=outputs,
        graphs=counters["stats"]["unique_graphs"] - graphs,
        seconds=seconds,
        reasons=tuple(dict.fromkeys(one_line(str(reason)) for reason in reasons if reason)),
    )


def guards() -> int | None:
    """Of all that was compiled in this process; None where dynamo does not tell."""
    known = [each.guard_count for each in get_compilation_metrics() if each.guard_count is not None]
    return sum(known) if known else None
