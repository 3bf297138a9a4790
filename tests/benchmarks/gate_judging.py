"""How long the gate takes to read a large run and to judge it: ``nox -s gate-judging``.

Whole rows of ten thousand cells, 16 launches of each of two images, on disk as a run leaves them; one cell in a hundred is 5 % slower. What is
timed is what the gate does after its last launch, and what resuming does before its next: read, replay, judge.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from pathlib import Path

from harness.cell import Cell, LaunchSpec
from harness.files import format_row
from harness.output import row_of
from harness.records import COLUMNS, Status
from matrix.config import Gate
from matrix.plan import PlannedImage
from reports.gate.blocks import order
from reports.gate.judge import judge
from reports.gate.procedure import Verdict
from reports.gate.progress import replay
from reports.gate.rows import read_records
from reports.gate.setup import GateSetup
from reports.gate.stored import CANDIDATE

TARGET_SECONDS = 10.0
SLOWER_EVERY, SLOWER = 100, 1.05
NOISE = 0.01
SLICES = 16
"""Of a launch that took turns for a second of samples."""
MEASURED = {
    "speedup": 1.2345678901234,
    "abs_latency": 1.0123456789,
    "compression_ratio": 1.0123456789,
    "eager_peak_mem": 0.123456789012,
    "dynamo_peak_mem": 0.1234567890123,
    "calls_captured": 3,
    "unique_graphs": 1,
    "graph_breaks": 0,
    "unique_graph_breaks": 0,
    "phase": "done",
    "eager_latency_seconds": 0.00123456789012,
    "speedup_low": 1.23456789,
    "speedup_high": 1.33456789,
    "samples": 30,
    "samples_marked": 0,
    "eager_calls_per_sample": 3,
    "backend_calls_per_sample": 3,
    "warmup_seconds": 0.123456789,
    "threads": 2,
    "first_call_seconds": 1.23456789,
    "warm_first_call_seconds": 1.23456789,
    "warm_compilation_seconds": 1.23456789,
    "cpu_waiting": 0.012345678,
    "cpu_pressure": 0.012345678,
    "cpu_steal": 0.0,
    "load": 0.52,
    "cpu_mhz": 2600.12,
    "eager_error": 1.2345e-7,
    "tolerance": 1e-4,
    "compared_by": "elements",
    "flops": 123456789,
    "bytes_moved": 12345678,
    "wall_seconds": 9.123456789,
    "log": "logs/000-0/0001.log",
    "evidence": '{"graphs": 1, "kernels": 3, "provider": "' + "x" * 200 + '"}',
    "started_at": "2026-01-02T03:04:05+00:00",
}
"""Columns of an ordinary row that are the same in all of them."""


def setup_of(cells: int, blocks: int) -> GateSetup:
    """A gate that looks once, after as many blocks as there are: every row counts."""
    return GateSetup(
        baseline=PlannedImage(name="cpu", version="old"),
        candidate=PlannedImage(name="cpu", version="new"),
        cells=tuple(Cell(workload=f"suite/workload_{index:05d}", backend="inductor") for index in range(cells)),
        gate=Gate(looks=(blocks,)),
        seed=1337,
    )


def write_rows(path: Path, setup: GateSetup, blocks: int, numbers: random.Random) -> None:
    """Of launches that took turns. The text of a row is made once: writing 320 000 rows one by one takes longer than all that is timed here."""
    spec = LaunchSpec(run="run", launch=0, attempt=0, image="cpu@old", cells=(), seed=1, timeout_seconds=1)
    cell = Cell(workload="suite/WORKLOAD", backend="inductor")
    varying = {"backend_p05_seconds": 7777.25, "compilation_latency": 8888.25, "backend_error": 9999.25, "backend_slice_seconds": "SLICES"}
    fields = format_row(row_of(cell, spec, Status.PASS, "", **MEASURED, **varying))
    fields[COLUMNS.index("launch")] = "LAUNCH"
    quoted = [f'"{field.replace(chr(34), chr(34) * 2)}"' if "," in field or '"' in field else field for field in fields]
    template = ",".join(quoted).replace("{", "{{").replace("}", "}}")
    places = {"WORKLOAD": "{workload}", "LAUNCH": "{launch}", "SLICES": "{slices}"}
    places |= {"7777.25": "{latency!r}", "8888.25": "{compile!r}", "9999.25": "{error!r}"}
    for name, value in places.items():
        template = template.replace(name, value)
    shares = [math.exp(numbers.gauss(0, NOISE)) for _ in range(SLICES)]
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(COLUMNS) + "\n")
        for launch in range(2 * blocks):
            is_candidate = (launch % 2 == 0) == (order(tuple(setup.live), setup.seed, launch // 2)[0] == CANDIDATE)
            for index in range(len(setup.cells)):
                slower = SLOWER if is_candidate and index % SLOWER_EVERY == 0 else 1.0
                latency, compiling = (math.exp(numbers.gauss(0, noise)) for noise in (NOISE, 10 * NOISE))
                seconds = 1e-3 * slower * latency
                slices = " ".join(f"{seconds * share:.6g}" for share in shares)
                values = {"latency": seconds, "slices": slices, "compile": 2 * compiling, "error": 1.2e-7}
                file.write(template.format(workload=f"workload_{index:05d}", launch=launch, **values) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate_judging", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--blocks", type=int, default=16)
    options = parser.parse_args(arguments)
    setup = setup_of(options.cells, options.blocks)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.csv"
        write_rows(path, setup, options.blocks, random.Random(setup.seed))
        print(f"{options.cells} cells x 2 images x {options.blocks} launches: {path.stat().st_size / 1e6:.0f} MB")
        times = [time.monotonic()]
        rows = read_records(path)
        times.append(time.monotonic())
        progress = replay(setup, rows)
        times.append(time.monotonic())
        judged = judge(setup, progress)
        times.append(time.monotonic())
    flagged = int(progress.wanted.sum())
    counts = {verdict: sum(cell.verdict == verdict for cell in judged.cells) for verdict in Verdict}
    print(f"{len(progress.blocks)} blocks; {flagged} cells flagged; {', '.join(f'{count} {name}' for name, count in counts.items())}")
    for name, before, after in zip(("read", "replay", "judge"), times, times[1:], strict=False):
        print(f"{name}: {after - before:.1f} s")
    seconds = times[-1] - times[0]
    print(f"in all: {seconds:.1f} s (target {TARGET_SECONDS:.0f} s)")
    return 0 if seconds < TARGET_SECONDS and len(progress.blocks) == options.blocks else 1


if __name__ == "__main__":
    sys.exit(main())
