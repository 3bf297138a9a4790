"""The gate on real launches: an image beside itself, and images with something wrong in them on purpose. ``nox -s gate-real -- --image REF``.

Takes hours, and wants a host with nothing else to do. Every gate is a run under ``--results``: what is there is not measured again, so that the
series can be stopped and gone on with. The table is made of all the gates that are there.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness import catalog
from harness.records import Status
from matrix.config import load_matrix
from matrix.plan import choose_image
from reports import format as formats
from reports.gate.blocks import block_of
from reports.gate.judge import Judged, judge
from reports.gate.outputs.as_json import read
from reports.gate.procedure import Verdict
from reports.gate.progress import follow, start
from reports.gate.report import BASELINE, Decision, GateReport
from reports.gate.rows import AnyRow
from reports.gate.setup import GateSetup
from reports.gate.stored import CANDIDATE, Stored, read_run
from reports.statistics import share_interval
from tests.benchmarks.fidelity.tables import Table, markdown
from tests.derived_images import build_planted

SOURCE = Path(__file__).resolve().parent.parent.parent
CELLS = 24
"""Of an image beside itself: the first of the suite."""
SLOWED = ("micro/softmax", "micro/layer_norm", "micro/matmul_square")
BROKEN = {
    "micro/linear_gelu_mlp": {"wrong": 0.01},
    "micro/conv2d_3x3": {"crash": True},
    "micro/embedding_bag": {"missing": "fbgemm_gpu"},
}
UNTOUCHED = ("micro/cumsum", "micro/attention")
GATES = 5
"""Of each kind."""
WINDOW = 120
"""Launches that gates are drawn from."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Gates of one kind."""

    name: str
    what: str
    gates: int
    slower: float = 0.0
    broken: bool = False
    planted_is_baseline: bool = False
    loaded: bool = False
    """A process keeps one processor busy meanwhile."""

    @property
    def workloads(self) -> Sequence[str]:
        if not self.slower:
            return [name for name in catalog.workload_names() if name.startswith("micro/")][:CELLS]
        return (*SLOWED, *(BROKEN if self.broken else ()), *UNTOUCHED)

    @property
    def wrong(self) -> set[str]:
        """What is to be named."""
        return {*SLOWED, *BROKEN} if self.broken else set()


SERIES = (
    Series(name="aa", what="the image beside itself", gates=2 * GATES),
    Series(name="slower-5", what="three cells 5 % slower, three broken", gates=GATES, slower=0.05, broken=True),
    Series(name="slower-10", what="three cells 10 % slower, three broken", gates=GATES, slower=0.1, broken=True),
    Series(name="slower-3", what="three cells 3 % slower, three broken", gates=GATES, slower=0.03, broken=True),
    Series(name="faster-20", what="three cells 20 % faster", gates=1, slower=0.25, planted_is_baseline=True),
    Series(name="loaded", what="the second of these, a processor busy", gates=GATES, slower=0.05, broken=True, loaded=True),
)


def build(image: str, series: Series) -> str:
    """The image with what is wrong in it; its reference."""
    if not series.slower:
        return image
    planted = {name: {"slower": series.slower} for name in SLOWED} | (BROKEN if series.broken else {})
    reference = f"benchmatrix-tests/planted:{round(100 * series.slower)}{'-broken' if series.broken else ''}"
    return build_planted(image, planted, reference)


def measure(series: Series, number: int, image: str, config: Path, results: Path) -> None:
    """One gate, or nothing where its report is there. A gate that was stopped is gone on with."""
    folder = results / f"{series.name}-{number}"
    begun = sorted(folder.glob("*/manifest.json"))
    if begun and (begun[-1].parent / "gate.json").exists():
        return
    command = [sys.executable, "-m", "reports.gate", "--config", str(config), "--results", str(folder), "--engine", "docker"]
    if begun:
        command += ["--resume", str(begun[-1].parent)]
    else:
        planted = build(image, series)
        sides = (planted, image) if series.planted_is_baseline else (image, planted)
        itself = planted == image
        command += (
            ["--calibrate", f"docker://{image}"]
            if itself
            else ["--baseline", f"docker://{sides[0]}", "--candidate", f"docker://{sides[1]}"]
        )
        command += ["--image", "cpu", "--backend", "eager"]
        command += ["--seed", str(1000 * SERIES.index(series) + number)]
        command += [word for name in series.workloads for word in ("--only", name)]
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if series.loaded else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log").open("a") as log:
            code = subprocess.run(command, cwd=SOURCE, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()
    print(f"{series.name} {number}: exit code {code}", flush=True)


def reports_of(series: Series, results: Path) -> list[GateReport]:
    return [read(path) for number in range(series.gates) for path in sorted((results / f"{series.name}-{number}").glob("*/gate.json"))[-1:]]


def row(series: Series, reports: Sequence[GateReport]) -> tuple[str, ...]:
    """Of the table: how often each kind of cell was named."""
    verdicts: dict[str, Counter[str]] = {"slower": Counter(), "broken": Counter(), "untouched": Counter()}
    for report in reports:
        for cell in report.cells:
            workload = cell.cell.partition(" ")[0]
            kind = "slower" if series.slower and workload in SLOWED else "broken" if series.broken and workload in BROKEN else "untouched"
            verdicts[kind][cell.verdict] += 1
    decisions = Counter(str(report.decision) for report in reports)
    exact = sum(
        {cell.cell.partition(" ")[0] for cell in report.cells if cell.verdict == Verdict.REGRESSED} == series.wrong for report in reports
    )
    return (
        series.what,
        f"{len(reports)} of {series.gates}",
        _shares(decisions),
        f"{exact} of {len(reports)}",
        *(_shares(verdicts[kind]) for kind in ("slower", "broken", "untouched")),
        str(sum(len(report.voided) for report in reports)),
        formats.span(float(np.median([report.seconds for report in reports]))) if reports else "",
    )


def _shares(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def launches(results: Path) -> list[Stored]:
    """Both sides of every gate of the image beside itself."""
    series = SERIES[0]
    directories = [
        path.parent for number in range(series.gates) for path in sorted((results / f"{series.name}-{number}").glob("*/gate.json"))[-1:]
    ]
    return [read_run(directory, side) for directory in directories for side in (BASELINE, CANDIDATE)]


def windows(stored: Sequence[Stored], count: int, config: Path, seed: int = 1) -> Iterator[Judged]:
    """Gates drawn from launches that were measured: blocks in the order in which they were, from a place on that chance says, cell by cell; and a
    coin says which launch of each is the candidate's.

    Gives what the gate says.
    """
    matrix = load_matrix(config)
    image = choose_image("cpu", matrix, "cpu")
    turns: dict[str, list[AnyRow]] = {}
    for baseline, candidate in zip(stored[::2], stored[1::2], strict=True):
        for block in sorted(baseline.rows):
            for name in sorted(baseline.rows[block].keys() & candidate.rows.get(block, {}).keys()):
                turns.setdefault(name, []).extend((baseline.rows[block][name], candidate.rows[block][name]))
    cells = [cell for cell in stored[0].cells if cell.id in turns]
    for number in range(count):
        coin = random.Random(f"{seed} {number}")
        sides: tuple[list[dict[str, AnyRow]], list[dict[str, AnyRow]]] = ([], [])
        for cell in cells:
            rows = turns[cell.id]
            # Launches took turns with the other one of their block, and compare with that one alone.
            begin = 2 * coin.randrange(len(rows) // 2)
            chosen = [rows[(begin + place) % len(rows)] for place in range(min(WINDOW, len(rows)))]
            for place in range(0, len(chosen), 2):
                pair = [chosen[place], chosen[place + 1]]
                coin.shuffle(pair)
                for side, found in zip(sides, pair, strict=True):
                    while len(side) <= place // 2:
                        side.append({})
                    side[place // 2][cell.id] = found
        setup = GateSetup(
            baseline=image,
            candidate=image,
            cells=tuple(cells),
            gate=matrix.gate,
            seed=number,
            stored={BASELINE: sides[0], CANDIDATE: sides[1]},
            stored_together=True,
        )
        progress = start(setup)
        for block in range(len(sides[0])):
            if not progress.wanted.any():
                break
            progress = follow(setup, progress, block_of(setup, block, (), {}))
        yield judge(setup, progress)


def show(results: Path, config: Path) -> None:
    found = {series.name: reports_of(series, results) for series in SERIES}
    columns = (
        "candidate",
        "gates",
        "releases",
        "exactly what is wrong named",
        "slower cells",
        "broken cells",
        "untouched cells",
        "rows voided",
        "time (median)",
    )
    print(markdown(Table(columns=columns, rows=tuple(row(series, found[series.name]) for series in SERIES))))
    decisions = [report.decision for report in found["aa"]]
    drawn = list(windows(launches(results), len(decisions), config)) if decisions else []
    blocked = sum(decision == Decision.REGRESSED for decision in [*decisions, *(each.decision for each in drawn)])
    gates = len(decisions) + len(drawn)
    if gates:
        low, high = share_interval(blocked, gates)
        print(
            f"\n{blocked} of {gates} gates of the image beside itself ({len(decisions)} measured, {len(drawn)} drawn from their launches) blocked: "
            f"{formats.percent(blocked / gates)} ({formats.percent(low)} to {formats.percent(high)}, 95 % interval)"
        )
        cells = [cell for each in drawn for cell in each.cells if cell.candidate_status == Status.PASS]
        print(
            f"drawn gates: {_shares(Counter(str(each.decision) for each in drawn))}; their cells: {_shares(Counter(str(cell.verdict) for cell in cells))}"
        )
        undecided = [("measured", cell) for report in found["aa"] for cell in report.cells] + [("drawn", cell) for cell in cells]
        for kind, cell in undecided:
            if cell.verdict == Verdict.INCONCLUSIVE:
                print(f"inconclusive, {kind}: {cell.cell.partition(' ')[0]}: {'; '.join(finding.reason for finding in cell.findings[:1])}")
    for report in found["aa"]:
        placebo = report.placebo
        if placebo is not None and placebo.low is not None and placebo.high is not None:
            print(f"placebo: {100 * placebo.effect:+.2f} % ({100 * placebo.low:+.2f} to {100 * placebo.high:+.2f})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", required=True, metavar="REF", help="the cpu image, as `nox -s image-cpu` names it")
    parser.add_argument("--results", type=Path, default=Path("results") / "gate-real", help="where the gates are (default: %(default)s)")
    parser.add_argument("--config", type=Path, default=SOURCE / "matrix.toml", help="another [gate] or [run] than matrix.toml's")
    parser.add_argument("--series", nargs="*", default=[series.name for series in SERIES], choices=[series.name for series in SERIES])
    parser.add_argument("--only-show", action="store_true", help="the table of the gates that are there")
    options = parser.parse_args()
    results = options.results.absolute()
    if not options.only_show:
        for number in range(max(series.gates for series in SERIES)):
            # Kinds in turns: a series that is stopped has some of each.
            for series in SERIES:
                if series.name in options.series and number < series.gates:
                    measure(series, number, options.image, options.config.absolute(), results)
    show(results, options.config.absolute())
    return 0


if __name__ == "__main__":
    sys.exit(main())
