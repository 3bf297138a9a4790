"""What dynamo compiles while something is called."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch._dynamo.utils import counters, get_compilation_metrics

from harness.protocols import Clock
from harness.records import one_line


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """By one call."""

    outputs: Any
    graphs: int
    seconds: float
    """Of the call, compiling and what the device does included."""
    reasons: tuple[str, ...]
    """Guards that failed, by dynamo's own words."""


def compiled_by(call: Callable[[], Any], clock: Clock) -> Compiled:
    graphs, compilations = counters["stats"]["unique_graphs"], len(get_compilation_metrics())
    began = time.perf_counter()
    outputs = call()
    clock.synchronize()
    seconds = time.perf_counter() - began
    reasons = (getattr(each, "recompile_reason", None) for each in get_compilation_metrics()[compilations:])
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
