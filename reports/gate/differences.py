"""What differs between the images: where to look for the cause of a regression. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reports import format as formats
from reports.gate.report import Change, Side
from reports.manifest import entries, mapping

LARGEST_BYTES = 1 << 63
"""Beyond which a manifest's number is no size."""


def side_of(manifest: Mapping[str, Any], label: str, source: str = "") -> Side:
    """One side from a run's manifest: the image of this label, and the first of its launches that says what is in it.

    What the manifest does not say is unknown. source: the run or file, where it was not measured now.
    """
    image = next((item for item in entries(manifest, "images") if item.get("label") == label), {})
    starts = [start for start in entries(manifest, "starts") if start.get("image") == label]
    # A launch that died before Python has said nothing of packages.
    about = next((start for start in starts if mapping(start, "packages")), {})
    size, layers = image.get("size_bytes"), image.get("layers")
    return Side(
        label=label,
        digest=_text(image.get("digest")),
        size_bytes=size if type(size) is int and 0 <= size < LARGEST_BYTES else None,
        packages={_package(name): str(version) for name, version in mapping(about, "packages").items()},
        python=_text(about.get("python")),
        layers=tuple(map(str, layers)) if isinstance(layers, list) else (),
        source=source,
    )


def differences(baseline: Side, candidate: Side) -> tuple[Change, ...]:
    """Python, packages by name, size, layers, digest: what differs, of what is known of both."""
    return tuple(_differences(baseline, candidate))


def _differences(baseline: Side, candidate: Side) -> Iterator[Change]:
    if _differ(baseline.python, candidate.python):
        yield Change(what="python", baseline=baseline.python, candidate=candidate.python)
    if baseline.packages and candidate.packages:
        for name in sorted(baseline.packages.keys() | candidate.packages.keys()):
            before, after = baseline.packages.get(name, ""), candidate.packages.get(name, "")
            if before != after:
                yield Change(what=name, baseline=before, candidate=after)
    if _differ(baseline.size_bytes, candidate.size_bytes):
        assert baseline.size_bytes is not None  # else they do not differ
        assert candidate.size_bytes is not None
        growth = candidate.size_bytes - baseline.size_bytes
        yield Change(
            what="size",
            baseline=formats.size(baseline.size_bytes),
            candidate=f"{formats.size(candidate.size_bytes)} ({'+' if growth > 0 else '-'}{formats.size(abs(growth))})",
        )
    if _differ(baseline.layers, candidate.layers):
        common = _common(baseline.layers, candidate.layers)
        yield Change(
            what="layers",
            baseline=str(len(baseline.layers)),
            candidate=f"{len(candidate.layers)}, of which the first {common} are the same",
        )
    if _differ(baseline.digest, candidate.digest):
        yield Change(what="digest", baseline=baseline.digest, candidate=candidate.digest)


def _differ(baseline: object, candidate: object) -> bool:
    """Of things that are unknown where they are empty; a size of 0 is known."""
    unknown = (None, "", ())
    return baseline not in unknown and candidate not in unknown and baseline != candidate


def _common(baseline: tuple[str, ...], candidate: tuple[str, ...]) -> int:
    """Layers lie on each other: behind the first that differs, none is shared."""
    return next(
        (index for index, (one, other) in enumerate(zip(baseline, candidate, strict=False)) if one != other),
        min(len(baseline), len(candidate)),
    )


def _package(name: str) -> str:
    """One name per package, whichever way its release wrote it. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
