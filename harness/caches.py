"""Compile caches: every cell starts from empty ones of its own, and a second process finds what the first one left.

What a backend does once per cache whatever it compiles (probing the processor, building its loader) is done in a first cache by its
warm-up; every cell's cache begins as a copy of that one. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.cell import Cell, LaunchSpec

FOLDERS = {
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    # Of the driver (PTX) and of torch's own run-time compilation.
    "CUDA_CACHE_PATH": "cuda",
    "PYTORCH_KERNEL_CACHE_PATH": "torch",
}
"""Variables by which backends find their caches, and their folders."""
AS_FOUND = {
    "compilation_latency": "warm_compilation_seconds",
    "first_call_seconds": "warm_first_call_seconds",
    "first_result_seconds": "warm_first_result_seconds",
    "cache_hits": "warm_cache_hits",
    **dict.fromkeys(("cache_misses", "dynamo_seconds", "backend_compile_seconds", "codegen_seconds", "break_even_calls"), ""),
}
"""Columns that are of empty caches: what they are called where a cell has found its own of an earlier run; empty: nothing."""


def use(caches: Path) -> None:
    """Let this process, and what it starts, keep its caches there."""
    for variable, folder in FOLDERS.items():
        path = caches / folder
        path.mkdir(parents=True, exist_ok=True)
        os.environ[variable] = str(path)


def begin(caches: Path, first: Path | None) -> None:
    """Caches without anything of a cell: empty, or a copy of those that only warm-ups have used."""
    if first is not None and first.exists():
        shutil.copytree(first, caches)
    else:
        caches.mkdir(parents=True)


def kept_of(root: Path, cell: Cell, spec: LaunchSpec) -> Path:
    """Where a cell's caches are kept from one run to the next: for who compiles the same, by the same settings."""
    said = [cell.id, spec.experiment, spec.treatment, spec.numerics, spec.threads, spec.terms.get(cell.id), spec.seed]
    digest = hashlib.sha256(repr(said).encode())
    if cell.path is not None and Path(cell.path).is_file():
        digest.update(Path(cell.path).read_bytes())
    return root / digest.hexdigest()[:20]


def keep(caches: Path, kept: Path) -> None:
    """Keep what a cell has compiled, all of it or nothing; what is there already stays. An error costs the next run its warm start."""
    part = kept.with_name(f"{kept.name}.{secrets.token_hex(4)}")
    try:
        shutil.copytree(caches, part)
        part.rename(kept)
    except OSError as error:
        print(f"the caches are not kept: {error}", flush=True)
        shutil.rmtree(part, ignore_errors=True)


def as_found(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A row's fields of a cell that did not compile from empty caches: none says that it did."""
    found = {AS_FOUND.get(name, name): value for name, value in fields.items()}
    found.pop("", None)
    return found


def link(into: Path, *, without: str) -> None:
    """The caches in use, as they are now, under another folder: files are shared, and what is added to one is not in the other.

    without: pattern of the names of folders that are left out, as ``into`` may be in one.
    """
    for variable, folder in FOLDERS.items():
        source = os.environ.get(variable)
        if source is not None and Path(source).is_dir():
            shutil.copytree(source, into / folder, copy_function=os.link, ignore=shutil.ignore_patterns(without))
