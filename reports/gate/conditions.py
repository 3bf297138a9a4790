"""Under which conditions rows were measured, and what of a gate's verdicts stands where they differ. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.gate.procedure import Verdict
from reports.gate.report import Finding
from reports.manifest import cards_of, entries, mapping, processor_of

OF_TIME = ("latency", "compile_time", "image_time")
"""Metrics in which a host is never twice the same."""
NO_NUMBER = frozenset(
    {"launches", "seed", "timeout_seconds", "memory_snapshot", "energy_seconds", "warm_compile", "ceilings"}
    | {"samples", "interval_width", "budget_seconds", "least_seconds"}
)
"""Of ``[run]``: what decides how much is measured, and not what comes out."""
SHOWN = 3
"""Settings that a sentence names."""
ONE_BY_ONE = "the images were not measured in turns: what the host did in between is in every difference of times"


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What numbers depend on beside the image."""

    machines: tuple[str, ...]
    """A line for each: processor, GPU, driver. Empty: not known."""
    harness: str
    """SHA-256."""
    settings: Mapping[str, object]
    """Of the configuration, by dotted name."""


@dataclass(frozen=True, kw_only=True)
class Cap:
    """Why verdicts are no better than ``inconclusive``."""

    reason: str
    everything: bool
    """Verdicts of all metrics; else those of times alone: a crash is one, whenever it was seen."""


def conditions_of(manifest: Mapping[str, Any], image: str) -> Conditions:
    """Of a run; image: its name in the configuration. What the manifest does not say is unknown."""
    matrix = mapping(manifest, "matrix")
    of_image = mapping(mapping(matrix, "images"), image)
    settings = {f"run.{name}": value for name, value in mapping(matrix, "run").items() if name not in NO_NUMBER}
    settings |= {f"container.{name}": value for name, value in mapping(of_image, "container").items()}
    settings["engine"] = mapping(manifest, "engine").get("name")
    harness = manifest.get("harness_sha256")
    return Conditions(machines=machines(manifest), harness=harness if isinstance(harness, str) else "", settings=settings)


def caps(sides: Sequence[Conditions], *, interleaved: bool) -> tuple[Cap, ...]:
    """sides: of the two images, one where a run measured both; interleaved: whether their launches took turns."""
    several = (side.machines for side in sides if len(side.machines) > 1)
    found = [Cap(reason=f"launches ran on {len(found)} machines: {'; '.join(found)}", everything=True) for found in several]
    first, *others = sides
    found += [Cap(reason=reason, everything=True) for other in others for reason in _unlike(first, other)]
    if not interleaved:
        found.append(Cap(reason=ONE_BY_ONE, everything=False))
    return tuple(found)


def _unlike(one: Conditions, other: Conditions) -> Iterator[str]:
    if one.machines != other.machines or not one.machines:
        yield f"another machine: {'; '.join(one.machines) or 'not known'} and {'; '.join(other.machines) or 'not known'}"
    if one.harness != other.harness or not one.harness:
        yield "another harness: two instruments measure differently"
    names = [name for name in sorted(one.settings.keys() | other.settings.keys()) if one.settings.get(name) != other.settings.get(name)]
    if names:
        told = ", ".join(f"{name} ({one.settings.get(name)} and {other.settings.get(name)})" for name in names[:SHOWN])
        yield f"another matrix: {told}{f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''}"


def capped(finding: Finding, caps: Sequence[Cap]) -> Finding:
    """The finding with the verdict that stands. Its numbers, and what they would have said, are kept."""
    reason = next((cap.reason for cap in caps if cap.everything or finding.metric in OF_TIME), None)
    if reason is None or finding.verdict == Verdict.INCONCLUSIVE:
        return finding
    return dataclasses.replace(
        finding, verdict=Verdict.INCONCLUSIVE, reason=f"{finding.reason}, were it not for this: {reason}: {Verdict.INCONCLUSIVE}"
    )


def machines(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """A line for every machine that launches of a run ran on: processor, GPUs, driver."""
    processors: dict[str, None] = {}
    gpus: dict[str, None] = {}
    for start in entries(manifest, "starts"):
        if processor := processor_of(start):
            processors[processor] = None
        # An image without NVML's bindings sees no GPU, on whatever machine.
        if cards := cards_of(start):
            gpus[cards] = None
    if not processors or len(gpus) < 2:
        return tuple(f"{processor}{''.join(f' + {cards}' for cards in gpus)}" for processor in processors)
    return tuple(f"{processor} + {cards}" for processor in processors for cards in gpus)
