"""How long a page takes to make, and how large it is: 10 000 cells of 3 images with 30 samples of eager and of the backend each.

    nox -s page-benchmark -- [--cells N] [--images N] [--samples N] [--launches N]

What the browser does with it is measured by ``tests/browser``.
"""

from __future__ import annotations

import argparse
import datetime
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from reports.load import load
from reports.page.build import build
from reports.page.collect import collect
from reports.page.payload import blocks
from reports.page.render import render, write_page
from tests.benchmarks.page_data import Shape, write_run


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.page", description="Times the making of a page.")
    for name in ("cells", "images", "samples", "launches"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Shape(), name))
    parser.add_argument("--run", type=Path, help="a run directory, instead of one that is made")
    options = vars(parser.parse_args(arguments))
    run = options.pop("run")
    with tempfile.TemporaryDirectory() as folder:
        directory = run or write_run(Path(folder) / "run", Shape(**options))
        measure(directory, Path(folder) / "report.html")
    return 0


def measure(directory: Path, target: Path) -> None:
    started = time.monotonic()

    def told(what: str, since: float) -> float:
        now = time.monotonic()
        print(f"{what}: {now - since:.2f} s", flush=True)
        return now

    loaded = load([directory])
    now = told(f"load {len(loaded.table)} rows", started)
    collected = collect(loaded)
    now = told(f"collect {sum(map(len, collected.samples))} samples, {len(collected.log_tails)} logs", now)
    page = build(collected, datetime.datetime.now().astimezone())
    now = told("build", now)
    write_page(target, render(page))
    told("render", now)
    told("together", started)
    # Kilobytes on Linux.
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    print(f"page: {target.stat().st_size / 1e6:.2f} MB, of which")
    sizes: Counter[str] = Counter()
    for block in blocks(page):
        sizes["drawers" if block.id.startswith("bm-drawer") else block.id] += len(block.text)
    for name, size in sizes.items():
        print(f"  {name}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    sys.exit(main())
