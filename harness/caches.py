"""Compile caches: every cell starts from empty ones of its own, and a second process finds what the first one left.

What a backend does once per cache whatever it compiles (probing the processor, building its loader) is done in a first cache by its
warm-up; every cell's cache begins as a copy of that one. Standard library only.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

FOLDERS = {
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    # Of the driver (PTX) and of torch's own run-time compilation.
    "CUDA_CACHE_PATH": "cuda",
    "PYTORCH_KERNEL_CACHE_PATH": "torch",
}
"""Variables by which backends find their caches, and their folders."""


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


def link(into: Path, *, without: str) -> None:
    """The caches in use, as they are now, under another folder: files are shared, and what is added to one is not in the other.

    without: pattern of the names of folders that are left out, as ``into`` may be in one.
    """
    for variable, folder in FOLDERS.items():
        source = os.environ.get(variable)
        if source is not None and Path(source).is_dir():
            shutil.copytree(source, into / folder, copy_function=os.link, ignore=shutil.ignore_patterns(without))
