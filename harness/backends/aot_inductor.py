"""``aot-inductor``: the exported program compiled ahead of time into a package (``.pt2``), which is loaded back and run."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from harness.backends.exporting import Exported, export, require_constant_buffers, require_inference
from harness.backends.inductor import generated_code, require_cpp_compiler
from harness.backends.inductor_options import checked_options
from harness.catalog import OPTIONS
from harness.cell import Cell
from harness.protocols import Artifacts, Backend, Evidence, NoEvidence, Outputs, Subject, Unsupported

OURS = ("aot_inductor.output_path", "aot_inductor.package")
"""Keys of inductor's that packaging sets itself."""
MAPS = Path("/proc/self/maps")
"""The files that this process has mapped (Linux)."""


class AotInductor(Backend):
    """Options: ``keep`` leaves the package among the cell's artifacts; all others are keys of ``torch._inductor.config``."""

    compiles = True

    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        require_inference(cell)
        options = dict(cell.options)
        self._kept_at = artifact if options.pop("keep", False) else None
        for name in OURS:
            if name in options:
                raise Unsupported(f"aot-inductor sets {name} itself")
        self._options: dict[str, Any] = dict(checked_options(options, own=OPTIONS.get(cell.backend, ())))
        require_cpp_compiler("aot-inductor")
        self._cell = cell
        self._exported: Exported | None = None
        self._compile_seconds: float | None = None
        self._package_bytes: int | None = None
        self._unpacked: Path | None = None
        self._libraries: frozenset[str] = frozenset()

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        self._exported = export(subject, self._cell)
        require_constant_buffers(subject, self._exported)
        # In the cell's caches, where it has its own: they are removed whatever becomes of the cell.
        self._unpacked = Path(tempfile.mkdtemp(prefix="package-", dir=os.environ.get("TORCHINDUCTOR_CACHE_DIR")))
        package = self._unpacked / "model.pt2"
        began = time.perf_counter()
        with torch.no_grad():
            torch._inductor.aoti_compile_and_package(
                self._exported.program, package_path=str(package), inductor_configs=dict(self._options)
            )
        self._compile_seconds = time.perf_counter() - began
        self._package_bytes = package.stat().st_size
        with zipfile.ZipFile(package) as archive:
            self._libraries = frozenset(Path(name).name for name in archive.namelist() if name.endswith(".so"))
        if self._kept_at is not None:
            shutil.copyfile(package, self._kept_at("model.pt2"))
        with _unpacking_into(self._unpacked):
            loaded: Callable[..., Outputs] = torch._inductor.aoti_load_package(str(package))
        return loaded

    def evidence(self) -> Evidence:
        """The package's library is part of this process; what is in it."""
        if self._exported is None or self._unpacked is None:
            raise NoEvidence("nothing was packaged")
        mapped = _mapped(self._libraries)
        if mapped == []:
            raise NoEvidence("no library of the package is loaded in this process")
        # All that calls need is loaded by now; as large as the package, weights included, it would stay where the process is killed.
        shutil.rmtree(self._unpacked, ignore_errors=True)
        return Evidence(
            columns={
                "calls_captured": self._exported.operators,
                "unique_graphs": 1,
                "export_seconds": self._exported.seconds,
                "backend_compile_seconds": self._compile_seconds,
                "artifact_bytes": self._package_bytes,
            },
            details={"libraries": mapped, "options": self._options, **generated_code()},
        )


@contextlib.contextmanager
def _unpacking_into(folder: Path) -> Iterator[None]:
    """The loader unpacks into a temporary folder, and removes it only where a process ends by itself. (It goes by this since torch 2.13
    at the latest; in 2.9 it is always below /tmp.)
    """
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def _mapped(libraries: frozenset[str]) -> list[str] | None:
    """Which of them this process has loaded (their names are hashes of their code); None where the system does not tell."""
    if not MAPS.exists():
        return None
    # A file that was removed after it was loaded is followed by '(deleted)'.
    fields = [line.split(maxsplit=5) for line in MAPS.read_text().splitlines()]
    return sorted(libraries & {Path(each[5].removesuffix(" (deleted)")).name for each in fields if len(each) == 6})


def warm_up_aot_inductor(device: str) -> None:
    """Package and load a program that nobody measures: for the first one, torch's headers are precompiled."""
    require_cpp_compiler("aot-inductor")
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        program = torch.export.export(_WarmUp(), (torch.ones(32, 64, device=device),))
        package = torch._inductor.aoti_compile_and_package(program, package_path=f"{folder}/model.pt2")
        with _unpacking_into(Path(folder)):
            torch._inductor.aoti_load_package(package)(torch.ones(32, 64, device=device))


class _WarmUp(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(torch.sin(x), dim=-1)
