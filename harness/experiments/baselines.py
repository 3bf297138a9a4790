"""Several backends of one workload in one process, sampled in turns: which is the fastest, and is it so for sure?

The ancestor (``--baselines``) takes medians of each and a t-test against eager. Here rounds stay paired, every backend's result is checked as
everywhere, and each is compared with eager and with the fastest.
"""

from __future__ import annotations

import dataclasses
import statistics
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch._dynamo
from torch._dynamo.utils import clear_compilation_metrics, counters

from harness.backends.making import backend_of
from harness.choice import parse_choice
from harness.experiments.checking import Checked, check, report_subject, share_tensors, step_of
from harness.experiments.steps import surroundings
from harness.experiments.taking import take
from harness.experiments.timing import EAGER
from harness.failures import failure_of, is_expected
from harness.files import write_table
from harness.measure.interval import Interval
from harness.measure.sampling import Measurement
from harness.protocols import Backend, Bench, Call, Report, Unsupported
from harness.records import Status, Taken, Warn, one_line
from harness.workloads.subjects import copy_of

MOST_COMPILED = 64
"""Versions of one function that dynamo may keep: each backend compiles the same one."""
COLUMNS = (
    "backend",
    "status",
    "reason",
    "seconds",
    "speedup",
    "speedup_low",
    "speedup_high",
    "of_fastest",
    "of_fastest_low",
    "of_fastest_high",
    "compile_seconds",
    "graphs",
    "error",
)


class Aside(Report):
    """What one backend's check says, kept apart from the cell's row."""

    def __init__(self, report: Report, name: str) -> None:
        self.fields: dict[str, Any] = {}
        self.phase_name = ""
        self._report, self._name = report, name

    def phase(self, name: str) -> None:
        self.phase_name = name
        self._report.phase(f"{self._name}: {name}")

    def set(self, **fields: object) -> None:
        self.fields |= fields

    def warn(self, warning: Warn) -> None:
        if warning == Warn.NO_FP64_REFERENCE:
            self._report.warn(warning)

    def samples(self, samples: Sequence[Taken]) -> None:
        self._report.samples(samples)

    def artifact(self, name: str) -> Path:
        return self._report.artifact(f"{self._name}-{name}")


@dataclass(frozen=True, kw_only=True)
class Passed:
    """What of a backend is ready to be timed, and what that took."""

    backend: Backend
    checked: Checked
    error: float | None

    @property
    def compile_seconds(self) -> float | None:
        return self.checked.prepare_seconds + self.checked.first_call_seconds if self.backend.compiles else None


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A backend, and what became of it."""

    name: str
    status: str
    reason: str = ""
    passed: Passed | None = None


@dataclass(frozen=True, kw_only=True)
class Times:
    """Of a backend that passed."""

    seconds: float
    speedup: Interval
    """Over eager."""
    of_fastest: Interval | None
    """How many times as long as the fastest a call takes; the difference is sure where the interval does not hold 1. None for the fastest."""

    def columns(self) -> tuple[object, ...]:
        beside = self.of_fastest
        fastest = ("", "", "") if beside is None else (beside.estimate, beside.low, beside.high)
        return self.seconds, self.speedup.estimate, self.speedup.low, self.speedup.high, *fastest


class Baselines:
    def run(self, bench: Bench) -> str:
        """A backend that fails is a line of the table; the cell fails where none passes."""
        if not bench.spec.baselines:
            raise Unsupported("no backend to compare with eager\n  next: baselines = [...] in [run] of matrix.toml, or --compare")
        report_subject(bench)
        with torch._dynamo.config.patch(recompile_limit=MOST_COMPILED):
            contenders = [_check(name, bench) for name in bench.spec.baselines]
            passed = {each.name: each.passed for each in contenders if each.passed is not None}
            if not passed:
                worst = contenders[0]
                bench.report.set(reason=f"no backend passed; {worst.name}: {worst.reason or worst.status}")
                _write(contenders, {}, bench)
                return worst.status
            bench.report.phase("time")
            with surroundings(bench.cell.mode):
                measured = take(_calls(passed, bench), bench)
        _write(contenders, _report(list(passed), len(contenders), measured, bench), bench)
        return Status.PASS


def _check(name: str, bench: Bench) -> Contender:
    choice = parse_choice(name)
    aside = Aside(bench.report, name)
    cell = dataclasses.replace(bench.cell, backend=choice.name, options=choice.options)
    counters.clear()
    clear_compilation_metrics()
    try:
        backend = backend_of(cell, aside.artifact)
        found = check(dataclasses.replace(bench, cell=cell, backend=backend, subject=copy_of(bench.subject), report=aside))
    except Exception as error:  # noqa: BLE001  # whatever a backend raises is a line of the table
        if not is_expected(error):
            traceback.print_exc()
        failure = failure_of(error, aside.phase_name, cell)
        return Contender(name=name, status=failure.status, reason=failure.reason)
    if not isinstance(found, Checked):
        return Contender(name=name, status=found, reason=str(aside.fields.get("reason", "")))
    passed = Passed(backend=backend, checked=found, error=aside.fields.get("backend_error"))
    return Contender(name=name, status=Status.PASS, passed=passed)


def _calls(passed: Mapping[str, Passed], bench: Bench) -> dict[str, Call]:
    """Of eager and of all that passed, on the same tensors: where a copy lies in memory makes it up to a third faster or slower."""
    first = next(iter(passed.values())).checked
    calls: dict[str, Call] = {EAGER: first.eager.call}
    for name, each in passed.items():
        compiled = each.checked.subject
        # What has captured calls knows its tensors by address.
        if compiled is not first.subject and each.backend.calls_until_final == 1:
            share_tensors(first.subject.model, compiled.model)
            compiled = dataclasses.replace(compiled, inputs=first.subject.inputs)
        calls[name] = step_of(compiled, bench.cell, each.checked.function, each.backend).call
    return calls


def _report(passed: Sequence[str], asked: int, measured: Measurement, bench: Bench) -> dict[str, Times]:
    """Of the fastest to the row; of all, by name, for the table."""
    clock = bench.clock.gauges[0].name
    speedups = {name: measured.ratio(EAGER, name, clock) for name in passed}
    fastest = max(speedups, key=lambda name: speedups[name].estimate)
    bench.report.set(
        fastest=fastest,
        speedup=speedups[fastest].estimate,
        speedup_low=speedups[fastest].low,
        speedup_high=speedups[fastest].high,
        backends_passed=len(passed),
        backends_failed=asked - len(passed),
    )
    if any(each.width > bench.spec.sampling.width for each in speedups.values()):
        bench.report.warn(Warn.WIDE_INTERVAL)
    return {
        name: Times(
            seconds=statistics.median(measured.seconds(name, clock)),
            speedup=speedups[name],
            of_fastest=None if name == fastest else measured.ratio(name, fastest, clock),
        )
        for name in passed
    }


def _write(contenders: Sequence[Contender], times: Mapping[str, Times], bench: Bench) -> None:
    """Of backends without times, what became of them."""
    lines: list[tuple[object, ...]] = []
    for each in contenders:
        line: tuple[object, ...] = (each.name, each.status, one_line(each.reason))
        if each.passed is None:
            line += ("",) * (len(COLUMNS) - len(line))
        else:
            graphs = each.passed.checked.evidence.columns.get("unique_graphs")
            line += (*times[each.name].columns(), each.passed.compile_seconds, graphs, each.passed.error)
        lines.append(line)
    write_table(bench.report.artifact("baselines.csv"), COLUMNS, lines)
