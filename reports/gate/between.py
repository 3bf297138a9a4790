"""Images between two versions of one image: locks made of some entries of each. What cannot be walked is told before anything is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matrix.config import Matrix
from matrix.errors import SelectionError
from matrix.plan import PlannedImage
from matrix.ready import recipe
from reports.gate.bisect import differing, merged, unread
from reports.gate.stored import Stored

HASH_LENGTH = 8


@dataclass(frozen=True, kw_only=True)
class Locks:
    """Of the two images."""

    baseline: str
    candidate: str

    @property
    def names(self) -> tuple[str, ...]:
        """Packages whose entries differ."""
        return differing(self.baseline, self.candidate)

    def between(self, changed: frozenset[str]) -> tuple[str, str]:
        """(version, lock) of the image that has these packages as the candidate has them. The version is part of an image's tag."""
        lock = merged(self.baseline, self.candidate, changed)
        digest = hashlib.sha256(lock.encode()).hexdigest()[:HASH_LENGTH]
        return f"between-{len(changed)}-of-{len(self.names)}-{digest}", lock


def require_measured_now(stored: Mapping[str, Stored]) -> None:
    """SelectionError where a side was measured before: images in between are measured beside images, not beside rows."""
    for side, each in stored.items():
        raise SelectionError(
            f"--bisect builds images between the two sides and measures them on this host, and the {side} was measured before: "
            f"{each.side.source}\n"
            "  next: nox -s gate -- --baseline NAME@V1 --candidate NAME@V2 --bisect, which measures both now; or leave --bisect out"
        )


def read_locks(baseline: PlannedImage, candidate: PlannedImage, matrix: Matrix, source: Path) -> Locks:
    """The locks of two versions of one image. SelectionError for anything else, LockMissing."""
    for image in (baseline, candidate):
        if image.reference is not None:
            raise SelectionError(
                f"--bisect walks the locks of two images, and {image.label} was not built from a lock of matrix.toml\n"
                "  next: name two versions of one image, as in --baseline NAME@V1 --candidate NAME@V2; or leave --bisect out"
            )
    if baseline.name != candidate.name:
        raise SelectionError(
            f"--bisect walks from one version of an image to another, and {baseline.label} and {candidate.label} are two images: "
            "their bases may differ, and no image lies between them\n"
            f"  next: give [images.{candidate.name}] both locks as versions of it, or leave --bisect out"
        )
    if baseline == candidate:
        raise SelectionError(f"{baseline.label} is compared with itself: nothing lies in between\n  next: leave --bisect out")
    before, after = (recipe(image, matrix, source).read_lock().decode(errors="replace") for image in (baseline, candidate))
    for image, lock in ((baseline, before), (candidate, after)):
        if lines := unread(lock):
            raise SelectionError(
                f"--bisect does not know how to change a line of the lock of {image.label}: {lines[0]!r}\n"
                f"  next: make the lock anew (nox -s lock -- {image.label}), or leave --bisect out"
            )
    locks = Locks(baseline=before, candidate=after)
    if not locks.names:
        raise SelectionError(
            f"the locks of {baseline.label} and {candidate.label} have the same packages: nothing lies in between\n"
            "  next: leave --bisect out; gate.json has what else differs between the images"
        )
    return locks


def with_version(matrix: Matrix, name: str, version: str, lock: Path) -> Matrix:
    """The configuration with one more version of an image; lock: an absolute path."""
    image = matrix.images[name]
    more = image.model_copy(update={"versions": {**image.versions, version: str(lock)}})
    return matrix.model_copy(update={"images": {**matrix.images, name: more}})
