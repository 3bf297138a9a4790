"""Locks: ``requirements.in`` -> a lock with every version pinned, for every platform (``uv pip compile --universal``)."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from images.errors import UserError

PYTHON = "3.11"
"""The oldest Python that the locks must serve."""
HEADER = "# Made by `nox -s lock` from {source} (sha256 {digest}). Change that file, not this one."


class LockFailed(UserError):
    """uv found no set of versions, or could not reach an index."""

    exit_code = 17


def source_digest(source: Path, indexes: Sequence[str] = (), constraints: Sequence[Path] = ()) -> str:
    """What a lock is made from; a lock whose header has another digest is stale."""
    digest = hashlib.sha256(source.read_bytes())
    digest.update("\n".join(indexes).encode())
    for constraint in constraints:
        digest.update(constraint.read_bytes())
    return digest.hexdigest()


def is_fresh(source: Path, target: Path, *, indexes: Sequence[str] = (), constraints: Sequence[Path] = ()) -> bool:
    return target.exists() and source_digest(source, indexes, constraints) in target.read_text(encoding="utf-8").partition("\n")[0]


def compile_command(source: Path, *, indexes: Sequence[str], find_links: Path | None, constraints: Sequence[Path]) -> list[str]:
    """The argument list of uv. A folder of wheels takes the place of the extra indexes. Pure."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--universal", "--python-version", PYTHON]
    command += ["--no-header", "--no-annotate", "--quiet"]
    for constraint in constraints:
        command += ["--constraint", str(constraint)]
    if find_links is not None:
        command += ["--find-links", str(find_links)]
    else:
        # An extra index is there for the builds that only it has: it must not hide newer versions of everything else.
        command += ["--index-strategy", "unsafe-best-match"]
        for index in indexes:
            command += ["--extra-index-url", index]
    return [*command, str(source)]


def compile_lock(
    source: Path,
    target: Path,
    *,
    indexes: Sequence[str] = (),
    find_links: Path | None = None,
    constraints: Sequence[Path] = (),
    beside: Path | None = None,
) -> None:
    """Write the lock of ``source``. The indexes are named in it, so that pip needs nothing else. Raises LockFailed.

    beside: a lock that is installed before this one, which leaves its packages out.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Versions only: the options in another lock are not this one's.
        versions = [Path(folder) / f"{index}.txt" for index in range(len(constraints))]
        for constraint, copy in zip(constraints, versions, strict=True):
            lines = constraint.read_text(encoding="utf-8").splitlines()
            copy.write_text("\n".join(line for line in lines if not line.startswith("-")) + "\n", encoding="utf-8")
        command = compile_command(source, indexes=indexes, find_links=find_links, constraints=versions)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LockFailed(
            f"locking {source} failed:\n{done.stderr.strip()}\n"
            "  likely: a version that does not exist, or an index that cannot be reached\n"
            "  next: mend the file, or name a folder of wheels: nox -s lock -- --find-links DIR"
        )
    header = HEADER.format(source=source.name, digest=source_digest(source, indexes, constraints))
    there = packages(beside.read_text(encoding="utf-8")) if beside is not None else frozenset()
    locked = [line for line in done.stdout.strip().splitlines() if not packages(line) & there]
    lines = [header, *(f"--extra-index-url {index}" for index in indexes), *locked]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def packages(lock: str) -> frozenset[str]:
    """Names in a lock. uv writes them all in one way."""
    return frozenset(re.findall(r"^([a-z0-9][a-z0-9._-]*)\s*(?:\[[^]]*\])?\s*==", lock, re.MULTILINE))
