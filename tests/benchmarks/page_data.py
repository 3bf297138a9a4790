"""Runs as they would be on disk, of any size, from a seed: what the page's benchmarks and tests are given. Nothing in them was measured."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.cell import Cell
from harness.files import append_rows
from harness.records import SAMPLE_COLUMNS, Row, Status, Warn
from matrix.store import LOGS, MANIFEST, MANIFEST_SCHEMA, RESULTS, SAMPLES

SUITES = ("micro", "torchbench", "huggingface", "timm")
BACKENDS = ("eager", "inductor", "aot-inductor", "onnxruntime")
FAILURES = (Status.FAIL_ACCURACY, Status.OOM, Status.TIMEOUT, Status.crash("SIGSEGV"), Status.FAIL_TO_RUN, Status.UNSUPPORTED)
BEGIN = datetime.datetime(2026, 1, 5, 6, tzinfo=datetime.timezone.utc)
HARNESS = "0123456789abcdef" * 4
VERSIONS = 6
"""Runs of ``write_versions``."""
CHUNK = 200
"""Cells whose samples are written together."""


Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How large a run is, and how its numbers vary."""

    cells: int = 10_000
    """Of each image: workloads x backends."""
    images: int = 3
    launches: int = 1
    samples: int = 30
    """Of eager and of the backend, in each launch."""
    failing: float = 0.03
    """Share of the cells that fail in an image."""
    noise: float = 0.01
    """Standard deviation of a launch, and of a sample, relative to it."""
    growth: float = 0.0
    """How much slower each image is than the one before it, as 0.05."""
    seed: int = 1
    day: int = 0
    """On which the run was made, counted from the first one."""
    versions: int = 0
    """Of the first image, counted from the first one there was."""


def cells_of(shape: Shape) -> list[Cell]:
    workloads = -(-shape.cells // len(BACKENDS))
    every = [
        Cell(workload=f"{SUITES[number % len(SUITES)]}/workload_{number:05d}", backend=backend)
        for number in range(workloads)
        for backend in BACKENDS
    ]
    return every[: shape.cells]


def labels_of(shape: Shape) -> list[str]:
    return [f"cpu@2.{10 + shape.versions + number}" for number in range(shape.images)]


def write_run(directory: Path, shape: Shape) -> Path:
    """A run directory. Returns it."""
    (directory / LOGS).mkdir(parents=True)
    random = np.random.default_rng([shape.seed, shape.day])
    cells = cells_of(shape)
    # What a cell takes is its own, whenever it is measured.
    base = 10.0 ** np.random.default_rng(shape.seed).uniform(-4.5, -1.5, len(cells))
    speedup = np.where(
        [cell.backend == "eager" for cell in cells], 1.0, np.random.default_rng([shape.seed, 1]).lognormal(0.3, 0.4, len(cells))
    )
    launches: list[dict[str, object]] = []
    for _ in range(shape.launches):
        for place in random.permutation(shape.images).tolist():
            launch = len(launches)
            launches.append({"launch": launch, "image": labels_of(shape)[place]})
            eager = base * random.normal(1, shape.noise, len(cells))
            backend = base / speedup * (1 + shape.growth) ** (shape.versions + place) * random.normal(1, shape.noise, len(cells))
            failed = np.random.default_rng([shape.seed, 2, place]).random(len(cells)) < shape.failing
            status = random.choice(FAILURES, len(cells))
            rows = [
                _row(
                    directory.name,
                    labels_of(shape)[place],
                    launch,
                    cell,
                    number,
                    eager,
                    backend,
                    str(status[number]) if failed[number] else "",
                    random,
                    shape,
                )
                for number, cell in enumerate(cells)
            ]
            append_rows(directory / RESULTS, rows)
            _logs(directory, rows)
            _samples(directory / SAMPLES, launch, cells, eager, backend, failed, random, shape)
    (directory / MANIFEST).write_text(json.dumps(_manifest(directory.name, shape, cells, launches)), encoding="utf-8")
    return directory


def write_versions(folder: Path, growth: float) -> list[Path]:
    """Runs of one image in a row of versions; the fourth is slower by ``growth``, and those after it stay so."""
    return [
        write_run(
            folder / f"run-{number}",
            Shape(cells=8, images=1, launches=4, samples=4, failing=0.0, day=number, versions=number // 3, growth=growth, noise=0.003),
        )
        for number in range(VERSIONS)
    ]


def _row(
    run: str,
    image: str,
    launch: int,
    cell: Cell,
    number: int,
    eager: Floats,
    backend: Floats,
    failure: str,
    random: np.random.Generator,
    shape: Shape,
) -> Row:
    row = Row(
        dev=cell.device,
        name=cell.workload,
        run=run,
        image=image,
        launch=launch,
        cell=cell.id,
        suite=cell.suite,
        backend=cell.backend,
        mode=cell.mode,
        precision=cell.precision,
        shapes=cell.shapes,
        status=failure or Status.PASS,
        phase="graph",
        threads=2,
        wall_seconds=round(random.uniform(4, 12), 6),
        started_at=(BEGIN + datetime.timedelta(days=shape.day, seconds=launch * 60)).isoformat(timespec="milliseconds"),
        log=f"{LOGS}/{launch:03d}-0/{number:05d}.log",
    )
    if failure:
        return dataclasses.replace(row, reason=f"RuntimeError (call): number {number} does not work: {'x' * (number % 200)}")
    before, after = float(eager[number]), float(backend[number])
    compile_seconds = random.uniform(1, 40)
    beyond = int(random.integers(1 << 12, 1 << 24))
    return dataclasses.replace(
        row,
        batch_size=int(random.integers(1, 512)),
        speedup=before / after,
        speedup_low=before / after * 0.99,
        speedup_high=before / after * 1.01,
        abs_latency=1e3 * after,
        compilation_latency=compile_seconds,
        compression_ratio=random.uniform(0.8, 1.4),
        eager_peak_mem=random.uniform(0.001, 4),
        dynamo_peak_mem=random.uniform(0.001, 4),
        calls_captured=int(random.integers(1, 500)),
        unique_graphs=1,
        graph_breaks=int(random.integers(0, 3)),
        warnings=str(random.choice([warn.value for warn in Warn])) if random.random() < 0.1 else "",
        eager_latency_seconds=before,
        backend_latency_seconds=after,
        empty_call_seconds=3.1e-8,
        samples=shape.samples,
        samples_marked=0,
        eager_calls_per_sample=6,
        backend_calls_per_sample=5,
        warmup_seconds=random.uniform(0.01, 0.5),
        first_call_seconds=random.uniform(0.1, 3),
        warm_first_call_seconds=random.uniform(0.1, 1),
        warm_compilation_seconds=random.uniform(0.1, 4),
        first_result_seconds=random.uniform(10, 40),
        break_even_calls=compile_seconds / (before - after) if before > after else None,
        dynamo_seconds=0.1 * compile_seconds,
        backend_compile_seconds=0.7 * compile_seconds,
        codegen_seconds=0.5 * compile_seconds,
        held_bytes=int(random.integers(1 << 20, 1 << 30)),
        eager_peak_beyond_bytes=beyond,
        backend_peak_beyond_bytes=beyond + 4096,
        cpu_waiting=random.uniform(0, 0.03),
        cpu_pressure=random.uniform(0, 0.03),
        cpu_steal=0.0,
        cpu_throttled=0.0,
        cpu_others=random.uniform(0, 0.02),
        cpu_mhz=random.uniform(2400, 2700),
        load=random.uniform(0.2, 1.4),
        eager_error=random.uniform(1e-8, 1e-6),
        backend_error=random.uniform(1e-8, 1e-6),
        tolerance=1e-4,
        compared_by="elements",
        bytes_moved=4194304,
        evidence=json.dumps({"extern_calls": 0, "generated_kernels": int(random.integers(1, 60)), "options": {}}),
    )


def _logs(directory: Path, rows: list[Row]) -> None:
    for row in rows:
        if row.status != Status.PASS:
            path = directory / row.log
            path.parent.mkdir(exist_ok=True)
            lines = [f'  File "/opt/python/torch/part_{number}.py", line {number}, in step' for number in range(12)]
            path.write_text("\n".join(["Traceback (most recent call last):", *lines, row.reason]) + "\n", encoding="utf-8")


def _samples(
    path: Path,
    launch: int,
    cells: list[Cell],
    eager: Floats,
    backend: Floats,
    failed: NDArray[np.bool_],
    random: np.random.Generator,
    shape: Shape,
) -> None:
    """A round has eager and the backend in either order; column by column, since there are millions."""
    ids = np.array([cell.id for cell in cells], dtype=object)
    each = 2 * shape.samples
    for first in range(0, len(cells), CHUNK):
        mine = np.flatnonzero(~failed[first : first + CHUNK]) + first
        level = np.stack([eager[mine], backend[mine]], axis=-1)[:, None, :]
        seconds = (level * random.normal(1, shape.noise, (len(mine), shape.samples, 2))).ravel()
        table = pd.DataFrame(
            {
                "launch": launch,
                "attempt": 0,
                "cell": np.repeat(ids[mine], each),
                "variant": np.tile(["eager", "backend"], shape.samples * len(mine)),
                "clock": "host",
                "index": np.tile(np.arange(each), len(mine)),
                "started_seconds": np.tile(np.round(np.arange(each) * 0.01, 3), len(mine)),
                "seconds": seconds,
                "calls": 5,
                "mark": np.where(random.random(len(seconds)) < 0.002, "contended", ""),
            },
            columns=list(SAMPLE_COLUMNS),
        )
        table.to_csv(path, mode="a", header=not path.exists(), index=False, lineterminator="\n")


def _manifest(run: str, shape: Shape, cells: list[Cell], launches: list[dict[str, object]]) -> dict[str, object]:
    labels = labels_of(shape)
    machine = {
        "cpu": "AMD EPYC",
        "cores": 2,
        "sockets": 1,
        "memory_bytes": 25276502016,
        "kernel": "6.1",
        "architecture": "x86_64",
        "system": "Linux",
    }
    begin = BEGIN + datetime.timedelta(days=shape.day)
    return {
        "schema": MANIFEST_SCHEMA,
        "run": run,
        "command": ["matrix/__main__.py", "bench", "cpu", "--launches", str(shape.launches)],
        "seed": shape.seed,
        "engine": {"name": "docker", "engine_version": "29.0"},
        "matrix_sha256": HARNESS,
        "harness_sha256": HARNESS,
        "revision": "0" * 40,
        "images": [
            {
                "name": "cpu",
                "version": label.partition("@")[2],
                "reference": None,
                "label": label,
                "digest": f"sha256:{number:064x}",
                "size_bytes": 1787921722 + number,
            }
            for number, label in enumerate(labels)
        ],
        "cells": {label: [dataclasses.asdict(cell) for cell in cells] for label in labels},
        "launches": launches,
        "planned_rows": len(launches) * len(cells),
        "excluded": [],
        "state": "done",
        "starts": [
            {
                **launch,
                "attempt": 0,
                "started_at": (begin + datetime.timedelta(seconds=60 * number)).isoformat(),
                "machine": machine,
                "python": "3.11.9",
                "packages": dict(_packages(str(launch["image"]))),
                "gpus": [],
            }
            for number, launch in enumerate(launches)
        ],
    }


def _packages(label: str) -> Iterator[tuple[str, str]]:
    yield "torch", f"{label.partition('@')[2]}.0"
    for number in range(40):
        yield f"package-{number}", f"1.{number}.0"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.page_data", description="Writes runs that nobody has measured.")
    parser.add_argument("folder", type=Path, help="where the run directories go")
    parser.add_argument("--runs", type=int, default=1, help="run directories, a day apart, each of the next version")
    for field in dataclasses.fields(Shape):
        if field.name not in ("day", "versions"):
            parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    options = vars(parser.parse_args(arguments))
    folder, runs = options.pop("folder"), options.pop("runs")
    for number in range(runs):
        print(write_run(folder / f"run-{number:03d}", Shape(**options, day=number, versions=number)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
