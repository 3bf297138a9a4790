"""What a cell costs beside its time: paired blocks like latencies, with neither rounds nor fresh blocks of their own. Pure."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from matrix.config import Margin
from reports.gate.evidence import Evidence, Launched
from reports.gate.paired import Paired, exponential, medians, paired
from reports.gate.procedure import Procedure, Verdict
from reports.gate.report import Finding
from reports.gate.rows import AnyRow
from reports.gate.wording import evidence, joined, sentence, value
from reports.statistics import Booleans, Floats, fewest_blocks, holm

GIGABYTE = 1e9
"""Of the ancestor's columns."""
NEGLIGIBLE_SHARE = 0.1
"""Of a row's tolerance: errors below this share of it are all the same, they are rounding."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number of a row, as it is shown; of what is compared as a ratio, ``offset`` is added to both first."""

    value: Callable[[AnyRow], float | None]
    floor: Callable[[AnyRow], float | None] | None = None
    """What a smaller value counts as."""
    offset: float = 0.0
    of_image: bool = False
    """Told by the cells of the suite ``image``, else by all others."""


METRICS: Mapping[str, Metric] = {
    "error": Metric(
        value=lambda row: row.backend_error, floor=lambda row: None if row.tolerance is None else NEGLIGIBLE_SHARE * row.tolerance
    ),
    "peak_memory": Metric(value=lambda row: None if row.dynamo_peak_mem is None else GIGABYTE * row.dynamo_peak_mem),
    "compile_time": Metric(value=lambda row: row.compilation_latency),
    # One break where there was none is a regression, and no ratio.
    "graph_breaks": Metric(value=lambda row: row.graph_breaks, offset=1.0),
    "image_size": Metric(value=lambda row: row.image_bytes, of_image=True),
    "image_time": Metric(value=lambda row: row.backend_latency_seconds, of_image=True),
}


def values_of(metric: Metric, image: Launched) -> tuple[Floats, Floats]:
    """(values as they are shown, those that are compared); shape (cells, blocks) each, NaN where there is none."""
    shown = image.values(metric.value)
    compared = shown if metric.floor is None else np.where(np.isnan(shown), np.nan, np.fmax(shown, image.values(metric.floor)))
    return shown, compared + metric.offset


def judge_metric(name: str, rows: Evidence, margins: Sequence[Margin], procedure: Procedure) -> list[Finding | None]:
    """The metric's finding of every cell; None where neither image tells it.

    Holm's family are the cells that can be called at all: one that says the same of both images in every block cannot (Tarone 1990), and
    where an image's value never varies, a difference is a fact and no estimate.
    """
    metric = METRICS[name]
    (baseline, before), (candidate, after) = (values_of(metric, image) for image in (rows.baseline, rows.candidate))
    differences = _logarithm(after) - _logarithm(before)
    there = np.isfinite(differences)
    equal = np.all((differences == 0) | ~there, axis=-1)
    found = paired(differences, procedure)
    exact = _constant(before, there) & _constant(after, there) & (found.blocks >= fewest_blocks(procedure.alpha))
    tested = np.flatnonzero((found.blocks > 0) & ~equal & ~exact)
    p_slower, p_faster = (np.full(len(differences), np.nan) for _ in range(2))
    p_slower[tested], p_faster[tested] = holm(found.p_slower[tested]), holm(found.p_faster[tested])

    worth, tolerable = (np.log1p([getattr(margin, which) for margin in margins]) for which in ("delta", "tolerable"))
    worse = (exact | (p_slower <= procedure.alpha)) & (found.estimate >= worth)
    better = (exact | (p_faster <= procedure.alpha)) & (found.estimate <= -worth)
    same = equal | exact | (found.harmless_below < tolerable)
    verdict = np.where(
        worse, Verdict.REGRESSED, np.where(better, Verdict.IMPROVED, np.where(same, Verdict.EQUIVALENT, Verdict.INCONCLUSIVE))
    )
    verdict[found.blocks == 0] = Verdict.INCONCLUSIVE

    shown = np.stack([medians(baseline), medians(candidate)], axis=-1)
    told: Booleans = np.any(np.isfinite(shown), axis=-1)
    p = np.where(found.estimate > 0, p_slower, p_faster)
    return [
        _finding(name, Verdict(verdict[index]), found, index, float(p[index]), margins[index], shown[index].tolist(), procedure.alpha)
        if told[index]
        else None
        for index in range(len(differences))
    ]


def _finding(
    name: str, verdict: Verdict, found: Paired, index: int, p: float, margin: Margin, shown: Sequence[float], alpha: float
) -> Finding:
    baseline, candidate = (number if math.isfinite(number) else None for number in shown)
    # What is compared with an offset is a count, and its own ratio may not be there.
    counts = METRICS[name].offset > 0
    made = functools.partial(
        Finding,
        metric=name,
        verdict=verdict,
        blocks_release=bool(margin.blocks),
        ratio=None if counts else exponential(found.estimate[index]),
        low=None if counts else exponential(found.low[index]),
        high=None if counts else exponential(found.high[index]),
        p=p if math.isfinite(p) else None,
        blocks=int(found.blocks[index]),
        delta=margin.delta,
        tolerable=margin.tolerable,
        baseline=baseline,
        candidate=candidate,
    )
    return made(reason=_reason(made(reason=""), alpha))


def _reason(finding: Finding, alpha: float) -> str:
    if not finding.blocks:
        without = [side for side, number in (("baseline", finding.baseline), ("candidate", finding.candidate)) if number is None]
        return f"the {without[0]} does not tell it" if without else "no block has it of both images"
    numbers = sentence(finding, alpha) or evidence(finding)
    return f"{joined((_values(finding), numbers))}: {finding.verdict}"


def _values(finding: Finding) -> str:
    """As "4.1 GiB to 4.3 GiB"."""
    return " to ".join(value(finding.metric, number) for number in (finding.baseline, finding.candidate))


def _logarithm(values: Floats) -> Floats:
    """NaN for what is not above 0, and so was not measured."""
    found: Floats = np.log(np.where(values > 0, values, np.nan))
    return found


def _constant(values: Floats, there: Booleans) -> Booleans:
    """Whether a cell's values are all the same; shape (cells, blocks) -> (cells,)."""
    lowest = np.where(there, values, np.inf).min(axis=-1, initial=np.inf)
    highest = np.where(there, values, -np.inf).max(axis=-1, initial=-np.inf)
    constant: Booleans = lowest == highest
    return constant
