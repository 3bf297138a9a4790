"""Which locks there are: the images' by configuration, and the host's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.choice import nearest
from images.lock import compile_lock
from matrix.config import EXTRAS, Image, Matrix
from matrix.errors import SelectionError

CPU_IMAGE = "cpu"
"""The tests run the harness in the host's own environment: its lock is constrained by that image's."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    name: str
    source: Path
    target: Path
    indexes: tuple[str, ...] = ()
    constraints: tuple[Path, ...] = ()
    beside: Path | None = None
    """The lock that is installed first."""


def all_locks(matrix: Matrix, source: Path) -> list[Lock]:
    """Every lock of the project. Images come first: the tests' lock is constrained by one of them."""
    found = []
    for name, image in matrix.images.items():
        if image.folder not in (None, name):
            # The lock is the other image's.
            continue
        folder = source / "images" / name
        for version, file in (image.versions or {"": image.lock_of("")}).items():
            label = f"{name}@{version}" if version else name
            target = folder / file
            found.append(Lock(name=label, source=target.with_suffix(".in"), target=target, indexes=image.indexes))
        found.extend(_extras_of(name, image, source))
    requirements = source / "requirements"
    torch_lock = source / "images" / CPU_IMAGE / "requirements.lock"
    found.append(Lock(name="host", source=requirements / "host.in", target=requirements / "host.lock"))
    found.append(
        Lock(
            name="dev",
            source=requirements / "dev.in",
            target=requirements / "dev.lock",
            indexes=matrix.images[CPU_IMAGE].indexes if CPU_IMAGE in matrix.images else (),
            constraints=(requirements / "host.lock", torch_lock),
        )
    )
    return found


def _extras_of(name: str, image: Image, source: Path) -> Iterator[Lock]:
    """One for all versions of an image: what it adds is there in none of them. Of what two extras have, both have the same version."""
    folder = source / "images" / name
    first = folder / image.lock_of("")
    for place, extra in enumerate(image.extras):
        yield Lock(
            name=f"{name}/{extra}",
            source=source / "images" / EXTRAS / f"{extra}.in",
            target=folder / f"{extra}.lock",
            indexes=image.indexes,
            constraints=(first, *(folder / f"{earlier}.lock" for earlier in image.extras[:place])),
            beside=first,
        )


def make_locks(matrix: Matrix, source: Path, names: list[str], find_links: Path | None) -> int:
    locks = all_locks(matrix, source)
    known = [lock.name for lock in locks]
    for name in names:
        if name not in known:
            raise SelectionError(f"there is no lock {name!r}{nearest(name, known)}")
    for lock in locks:
        if not names or lock.name in names:
            print(f"locking {lock.name} from {lock.source.relative_to(source)}")
            compile_lock(
                lock.source,
                lock.target,
                indexes=lock.indexes,
                find_links=find_links,
                constraints=lock.constraints,
                beside=lock.beside,
            )
    return 0
