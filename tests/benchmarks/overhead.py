"""How much a cell costs: this harness beside the ancestor's process model, on the same work, in one run. `nox -s overhead`.

The ancestor starts a fresh interpreter per cell and per mode (``--performance``, ``--accuracy``). Here the same experiment of ours is
run that way: an interpreter that imports torch, once per cell for accuracy and once for performance. Both sides are warm: their
compile caches are filled by a first round that is not counted. Rounds alternate between the sides; the ratio is of medians.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.cell import Cell, LaunchSpec, Sampling
from harness.files import read_fields
from harness.records import Status
from images.recipe import BuildSettings
from images.virtualenv import ensure_environment
from matrix.config import Container, load_matrix
from matrix.engines.engine import launch_variables
from matrix.plan import PlannedImage
from matrix.ready import ENVIRONMENTS, recipe

SOURCE = Path(__file__).resolve().parents[2]
WORKLOADS = (
    "matmul_square",
    "linear_gelu_mlp",
    "softmax",
    "layer_norm",
    "cross_entropy",
    "attention",
    "transformer_block",
    "conv2d_3x3",
    "embedding_bag",
    "sum_rows",
    "pointwise_chain",
    "resnet_bottleneck",
)
REPEATS = Sampling(width=math.inf)
"""As many samples as the ancestor takes, however sure they make the ratio."""
ANCESTOR_SECONDS = 12.5
"""Per cell, both modes: the ancestor itself on a machine with two cores (torch 2.13 CPU, warm caches, a two-layer MLP)."""
TARGET_SECONDS, TARGET_RATIO = 3.0, 4.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="nox -s overhead --", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds of each side (default: %(default)s)")
    parser.add_argument("--wheelhouse", type=Path, help="folder of wheels that holds the lock of the image cpu")
    options = parser.parse_args()
    matrix = load_matrix(SOURCE / "matrix.toml")
    found = ensure_environment(
        recipe(PlannedImage(name="cpu"), matrix, SOURCE), BuildSettings(wheelhouse=options.wheelhouse), SOURCE / ENVIRONMENTS
    )
    with tempfile.TemporaryDirectory(prefix="benchmatrix-overhead-") as folder:
        scratch = Path(folder)
        variables = launch_variables(scratch, scratch, Container(), str(scratch)) | {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)}
        sides = {
            "this harness": lambda: one_launch(found.python, scratch, variables),
            "an interpreter per cell and mode": lambda: an_interpreter_each(found.python, scratch, variables),
        }
        seconds = alternate(sides, options.rounds)
    ours, theirs = (statistics.median(seconds[name]) / len(WORKLOADS) for name in sides)
    print(f"\n{len(WORKLOADS)} cells of micro, inductor, float32, inference, small; warm caches; {options.rounds} rounds\n")
    for name, values in seconds.items():
        each = ", ".join(f"{value / len(WORKLOADS):.2f}" for value in values)
        print(f"{name:34} {statistics.median(values) / len(WORKLOADS):6.2f} s a cell ({each})")
    print(f"{'ratio':34} {theirs / ours:6.2f} (target: at least {TARGET_RATIO:g})")
    print(f"{'the ancestor itself, both modes':34} {ANCESTOR_SECONDS:6.2f} s a cell; target for this harness: at most {TARGET_SECONDS:g} s")
    return 0


def alternate(sides: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Wall seconds of each side, round by round, the first round (which fills caches) left out."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, run in sides.items():
            started = time.monotonic()
            run()
            took = time.monotonic() - started
            print(f"{'filling caches' if number == 0 else f'round {number}'}: {name}: {took:.1f} s", flush=True)
            if number:
                seconds[name].append(took)
    return seconds


def specification(workloads: Sequence[str], sampling: Sampling) -> LaunchSpec:
    cells = tuple(Cell(workload=f"micro/{name}", backend="inductor") for name in workloads)
    return LaunchSpec(
        run="overhead",
        launch=0,
        attempt=0,
        image="cpu",
        cells=cells,
        seed=1337,
        timeout_seconds=300.0,
        sampling=sampling,
        # What the ancestor does not measure is left out on both sides: compiling from empty caches and again, the machine's ceilings.
        fresh_caches=False,
        warm_compile=False,
        measure_ceilings=False,
    )


def one_launch(python: Path, scratch: Path, variables: Mapping[str, str]) -> None:
    """All cells as `bench` runs them: one launch, a fork for each, accuracy and performance of the same callable."""
    launch(python, specification(WORKLOADS, REPEATS), scratch, variables)


def an_interpreter_each(python: Path, scratch: Path, variables: Mapping[str, str]) -> None:
    """The ancestor's process model: per cell, one interpreter that checks (and takes the fewest samples) and one that times."""
    for name in WORKLOADS:
        for sampling in (dataclasses.replace(REPEATS, samples=1, minimum_samples=1), REPEATS):
            # The ancestor has no warm-up of its own: with ours it would look slower than it is.
            spec = dataclasses.replace(specification((name,), sampling), warm_up=False)
            launch(python, spec, scratch, variables)


def launch(python: Path, spec: LaunchSpec, scratch: Path, variables: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        out = Path(folder)
        (out / "cells.json").write_text(spec.to_json())
        command = [str(python), "-m", "harness", "launch", "--cells", str(out / "cells.json"), "--out", str(out)]
        subprocess.run(command, env=dict(variables), cwd=out, check=True, capture_output=True)
        bad = [fields["cell"] for fields in read_fields(out / "results.csv") if fields["status"] != Status.PASS]
        if bad:
            sys.exit(f"these cells did not pass, so nothing is compared: {', '.join(bad)}")


if __name__ == "__main__":
    sys.exit(main())
