"""Which package did it: walk the lock entries that differ between two images, and try the images in between. The search is pure.

An image in between has the baseline's lock with some entries of the candidate's. Many cannot be built, since packages pin each other: those are
passed over, and what can only be changed together is named together.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:==|@|~=|>=|<=|!=|<|>|;|$)")


class Trial(enum.StrEnum):
    """What became of an image in between."""

    GOOD = "good"
    """No worse than the baseline."""
    BAD = "regressed"
    UNBUILDABLE = "cannot be built"
    UNDECIDED = "inconclusive"


Try = Callable[[frozenset[str]], Trial]
"""Builds and measures the image that has these packages as the candidate has them."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the search found."""

    packages: tuple[str, ...]
    """One of these did it; one name where images between all of them could be built and measured."""
    trials: tuple[tuple[tuple[str, ...], Trial], ...]
    """In order: the packages that were changed, and what became of it."""


def search(names: Sequence[str], attempt: Try) -> Found:
    """Halve the entries that differ. None of them is good (the baseline), all of them is bad (the candidate): neither is tried again.

    Between a good and a bad number of changed entries the middle is tried, then its neighbours, nearest first. Where none of them
    can be had, whatever lies between is the answer.
    """
    good, bad = 0, len(names)
    trials: list[tuple[tuple[str, ...], Trial]] = []
    while bad - good > 1:
        for middle in _from_the_middle(good, bad):
            found = attempt(frozenset(names[:middle]))
            trials.append((tuple(names[:middle]), found))
            if found in (Trial.GOOD, Trial.BAD):
                break
        else:
            break
        if found == Trial.GOOD:
            good = middle
        else:
            bad = middle
    return Found(packages=tuple(names[good:bad]), trials=tuple(trials))


def _from_the_middle(good: int, bad: int) -> Iterator[int]:
    middle = (good + bad) // 2
    yield from sorted(range(good + 1, bad), key=lambda each: (abs(each - middle), each))


def differing(baseline: str, candidate: str) -> tuple[str, ...]:
    """Packages whose entries differ between two locks, one that only one of them has included; sorted."""
    one, other = _entries(baseline), _entries(candidate)
    return tuple(sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)))


def merged(baseline: str, candidate: str, changed: frozenset[str]) -> str:
    """The baseline's lock with the entries of ``changed`` as the candidate has them. Options (``--extra-index-url``) are those of both."""
    one, other = _entries(baseline), _entries(candidate)
    lines = list(dict.fromkeys((*_options(baseline), *_options(candidate))))
    for name in sorted(one.keys() | other.keys()):
        lines.extend((other if name in changed else one).get(name, ()))
    return "\n".join(lines) + "\n"


def _entries(lock: str) -> dict[str, tuple[str, ...]]:
    """By normalised name (PEP 503): an entry has a line for each of its markers."""
    found: dict[str, list[str]] = {}
    for line in lock.splitlines():
        if match := _NAME.match(line):
            found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), []).append(line.rstrip())
    return {name: tuple(lines) for name, lines in found.items()}


def unread(lock: str) -> tuple[str, ...]:
    """Lines that are neither an entry nor an option nor a comment: what goes on from the line above (hashes), paths, other files."""
    lines = (line.rstrip() for line in lock.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return tuple(line for line in lines if line.endswith("\\") or not (line.startswith("--") or _NAME.match(line)))


def _options(lock: str) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in lock.splitlines() if line.startswith("--"))
