"""What experiments beside ``performance`` found of a cell, in a line for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.records import Status, one_line
from reports.format import duration, error, percent, size
from reports.gate.wording import counted
from reports.page.model import Rows, Words

WIDTH = 100
"""Characters of a name that a terminal is shown."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The rows of one entry."""

    rows: Rows
    first: int
    end: int

    def number(self, column: str) -> float | None:
        """Median over the launches that have it."""
        known = self.numbers(column)
        return float(np.median(known)) if known else None

    def numbers(self, column: str) -> list[float]:
        """Of each launch that has it."""
        values = self.rows.columns.get(column)
        return [float(value) for value in values[self.first : self.end] if np.isfinite(value)] if isinstance(values, np.ndarray) else []

    def word(self, column: str) -> str:
        """Of the first launch that has it; on one line."""
        return one_line(next(iter(self.words(column)), ""), WIDTH)

    def words(self, column: str) -> list[str]:
        """Of each launch that has it."""
        words = self.rows.columns.get(column)
        if not isinstance(words, Words):
            return []
        return [words.words[code] for code in words.codes[self.first : self.end].tolist() if words.words[code]]


def found_of(rows: Rows, entry: int) -> Found:
    first, end = np.searchsorted(rows.entry, [entry, entry + 1]).tolist()
    return Found(rows=rows, first=first, end=end)


def sentence(experiment: str, found: Found) -> str:
    """Empty for an experiment that nobody here knows."""
    return SENTENCES[experiment](found) if experiment in SENTENCES else ""


def _coverage(found: Found) -> str:
    captured, total, graphs, time = (found.number(name) for name in ("captured_ops", "total_ops", "unique_graphs", "pct_time"))
    if captured is None or total is None:
        return ""
    parts = (
        f"{captured:.0f} of {total:.0f} operators in {counted(round(graphs), 'graph')}" if graphs is not None else "",
        f"{percent(time)} of the time" if time is not None else "",
    )
    return ", ".join(filter(None, parts))


def _overhead(found: Found) -> str:
    seconds, guards = found.number("overhead_seconds"), found.number("guards")
    parts = (
        f"{_signed(seconds)} a call" if seconds is not None else "",
        counted(round(guards), "guard") if guards is not None else "",
    )
    return ", ".join(filter(None, parts))


def _tolerance(found: Found) -> str:
    own, worst, precision = found.number("eager_error"), found.number("worst_error"), found.word("worst_precision")
    parts = (
        f"error {error(own)}" if own is not None else "",
        f"worst {precision} {error(worst) or 'not finite'} ({found.word('worst_output')})" if precision else "",
    )
    return ", ".join(filter(None, parts))


def _dynamic_shapes(found: Found) -> str:
    shapes, mean, again = (found.number(name) for name in ("shapes_measured", "speedup_mean", "recompiles"))
    if shapes is None or mean is None:
        return ""
    return f"mean {mean:.2f}x over {counted(round(shapes), 'shape')}, {counted(round(again or 0), 'graph')} compiled again"


def _recompiles(found: Found) -> str:
    graphs, reasons, changes = (found.number(name) for name in ("recompiles", "recompile_reasons", "changes_met"))
    if graphs is None or reasons is None or changes is None:
        return ""
    return f"{counted(round(graphs), 'graph')} compiled again in {counted(round(changes), 'call')}, by {counted(round(reasons), 'guard')}"


def _baselines(found: Found) -> str:
    passed, failed = found.number("backends_passed"), found.number("backends_failed")
    if passed is None or failed is None:
        return ""
    return f"{found.word('fastest')} is the fastest of {round(passed)}" + (f", {round(failed)} failed" if failed else "")


def _determinism(found: Found) -> str:
    questions = {
        "eager_repeatable": "eager repeats",
        "backend_repeatable": "the backend repeats",
        "eager_batch_invariant": "eager keeps its bits in half a batch",
        "backend_batch_invariant": "the backend keeps its bits in half a batch",
    }
    answers = {words: found.number(column) for column, words in questions.items()}
    return ", ".join(f"{words}: {'yes' if answer == 1 else 'no'}" for words, answer in answers.items() if answer is not None)


def _largest_batch(found: Found) -> str:
    """What fitted in every launch that found one, as ``--batch-size-file`` takes it."""
    sizes, peaks = found.numbers("largest_batch_size"), found.numbers("eager_peak_beyond_bytes")
    if not sizes:
        return ""
    return f"a batch of {min(sizes):.0f} fits" + (f", {size(min(peaks))} beyond its inputs" if peaks else "")


def _inspect(found: Found) -> str:
    graphs, seconds = found.number("unique_graphs"), found.number("cache_lookup_seconds")
    if graphs is None and seconds is None:
        return ""
    parts = (
        counted(round(graphs), "graph") if graphs is not None else "",
        f"{duration(seconds)} a cache lookup" if seconds is not None else "",
        "files in artifacts/",
    )
    return ", ".join(filter(None, parts))


def _operators(found: Found) -> str:
    total, unique = found.number("total_ops"), found.number("unique_ops")
    return "" if total is None or unique is None else f"{counted(round(total), 'operator')}, {round(unique)} of different forms"


def _nothing(found: Found) -> str:
    return "ran" if set(found.words("status")) <= set(Status.PASSED) else ""


def _signed(seconds: float) -> str:
    return f"{'-' if seconds < 0 else '+'}{duration(abs(seconds))}"


SENTENCES: Mapping[str, Callable[[Found], str]] = {
    "coverage": _coverage,
    "overhead": _overhead,
    "tolerance": _tolerance,
    "dynamic-shapes": _dynamic_shapes,
    "recompiles": _recompiles,
    "baselines": _baselines,
    "determinism": _determinism,
    "largest-batch": _largest_batch,
    "inspect": _inspect,
    "operators": _operators,
    "nothing": _nothing,
}
