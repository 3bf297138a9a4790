"""A cell that went wrong once more, with all that torch's compilers write about their work: ``debug/`` among the row's artifacts.

What ``TORCH_COMPILE_DEBUG=1`` and ``TORCH_LOGS`` do is done by hand: they are read as torch is imported, and a cell's process has it imported.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

from harness import caches
from harness.cell import Cell, LaunchSpec
from harness.journal import Journal, JournalWriter, read_journal
from harness.process import Ended

FOLDER, LOG, LEFT_OUT = "debug", "log", "left_out.txt"
MOST_BYTES = 64 << 20
"""Of a row's debug output."""
MOST_LOG_BYTES = 16 << 20
"""Of that, the end of the log."""
MOST_FILE_BYTES = 1 << 30
"""Of any file while it is being written: precompiled headers are some hundred megabytes."""


def run_again(
    cell: Cell, spec: LaunchSpec, folder: Path, run: Callable[[Callable[[], None], Path], Ended], first_caches: Path
) -> tuple[Ended, Journal]:
    """The cell once more, within its time, in a process that ``run`` starts; what it writes about itself is in ``folder``, as long as it is
    not too much. How it ended, and what it said.

    first_caches: what its own begin with: whatever is found in a cache has nothing to tell.
    """
    folder.mkdir(parents=True)
    journal, own_caches = folder / "journal.jsonl", folder / "caches"
    quiet = dataclasses.replace(
        spec,
        keep_debug=(),
        minify=False,
        memory_snapshot=False,
        save_outputs=False,
        compare_outputs=None,
        # Where nothing goes wrong this time, there is little to measure.
        sampling=dataclasses.replace(
            spec.sampling, samples=2, minimum_samples=2, budget_seconds=0.1, least_seconds=0.0, energy_seconds=0.0
        ),
    )

    def target() -> None:
        from harness import worker

        caches.use(own_caches)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE_BYTES if most == resource.RLIM_INFINITY else min(MOST_FILE_BYTES, most), most))
        _write_about_compiling(folder)
        worker.run_cell(cell, quiet, JournalWriter(journal, folder))

    try:
        caches.begin(own_caches, first_caches)
        return run(target, folder / LOG), read_journal(journal)
    finally:
        shutil.rmtree(own_caches, ignore_errors=True)
        journal.unlink(missing_ok=True)


def keep_within(folder: Path, most_bytes: int = MOST_BYTES, most_log_bytes: int = MOST_LOG_BYTES) -> str:
    """Cut what is there down: the log to its end, then whole files, the largest first. What there is, in words."""
    _keep_end(folder / LOG, most_log_bytes)
    sizes: dict[Path, int] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            path.unlink()
        elif path.is_file():
            sizes[path] = path.stat().st_size
    left_out = []
    for path in sorted(sizes, key=lambda each: sizes[each], reverse=True):
        if sum(sizes.values()) <= most_bytes:
            break
        left_out.append(f"{path.relative_to(folder)} {sizes.pop(path)} bytes")
        path.unlink()
    if left_out:
        (folder / LEFT_OUT).write_text("\n".join(left_out) + "\n", encoding="utf-8")
    said = f"{FOLDER}/: {len(sizes)} files, {sum(sizes.values())} bytes"
    return said + (f", {len(left_out)} more left out for their size ({LEFT_OUT})" if left_out else "")


def _keep_end(log: Path, most_bytes: int) -> None:
    if not log.is_file() or (size := log.stat().st_size) <= most_bytes:
        return
    with log.open("rb") as file:
        file.seek(size - most_bytes)
        end = file.read()
    log.write_bytes(end)


def _write_about_compiling(folder: Path) -> None:
    """For the rest of this process."""
    import torch._dynamo.config
    import torch._inductor.config
    from torch._logging._internal import set_logs

    os.environ |= {"TORCH_COMPILE_DEBUG": "1", "TORCH_COMPILE_DEBUG_DIR": str(folder)}
    torch._dynamo.config.debug_dir_root = str(folder / "torch_compile_debug")
    torch._inductor.config.trace.enabled = True
    os.environ.pop("TORCH_LOGS", None)
    set_logs(
        dynamo=logging.INFO,
        aot=logging.INFO,
        inductor=logging.INFO,
        graph_breaks=True,
        recompiles=True,
        guards=True,
        graph_code=True,
        aot_graphs=True,
        output_code=True,
    )
