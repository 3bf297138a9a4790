"""Gate reports for tests: a small one with every verdict, an empty one, a hostile one, a large one."""

from __future__ import annotations

import dataclasses
import math

from harness.records import Status
from reports.gate.bisect import Trial
from reports.gate.observe import Voided
from reports.gate.procedure import Procedure, Verdict
from reports.gate.report import (
    Between,
    Bisection,
    CellReport,
    Change,
    Culprit,
    Decision,
    Finding,
    GateReport,
    Outcome,
    Placebo,
    Side,
    Symptom,
)

HOSTILE = "a|b`c\n# d\r<script>alert(1)</script> & *e* _f_ [g](http://h) ![i](j) \\| \x00\x1b[31m\x9b2J\u202e\u2028\ud800\ufffe @all #1 ]]> --> \U0001f600"
"""What a workload, a package or an exception may be called: markup, control sequences, half a character, and what XML forbids."""


def finding(verdict: Verdict = Verdict.EQUIVALENT, **changes: object) -> Finding:
    base = Finding(
        metric="latency",
        verdict=verdict,
        blocks_release=True,
        reason="",
        clock="host",
        ratio=1.041,
        low=1.032,
        high=1.05,
        p=0.004,
        blocks=15,
        delta=0.02,
        tolerable=0.05,
        baseline=1.1e-3,
        candidate=1.145e-3,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def cell(name: str, verdict: Verdict = Verdict.EQUIVALENT, *findings: Finding, **changes: object) -> CellReport:
    base = CellReport(
        cell=f"{name} inductor cpu inference float32 small",
        verdict=verdict,
        findings=findings or (finding(verdict),),
        baseline_status=Status.PASS,
        candidate_status=Status.PASS,
        replay=f"nox -s gate -- --baseline cpu@1 --candidate cpu@2 --only {name}",
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def report(*cells: CellReport, decision: Decision = Decision.PASS, **changes: object) -> GateReport:
    base = GateReport(
        decision=decision,
        why="the reason",
        baseline=Side(label="cpu@1", digest="sha256:1", size_bytes=1 << 30, packages={"torch": "2.13"}, python="3.11.7", layers=("a", "b")),
        candidate=Side(
            label="cpu@2", digest="sha256:2", size_bytes=2 << 30, packages={"torch": "2.14"}, python="3.11.8", layers=("a", "c")
        ),
        cells=cells,
        changes=(Change(what="torch", baseline="2.13", candidate="2.14"),),
        voided=(),
        blocks=31,
        launches=62,
        seconds=3900.0,
        seed=1337,
        procedure=Procedure(),
        machine="a processor, 2 cores",
        run="results/gate-1",
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


EMPTY = report(
    changes=(), baseline=Side(label=""), candidate=Side(label=""), why="", machine="", run="", blocks=0, launches=0, seconds=0.0, seed=0
)

SLOWER = cell("micro/softmax", Verdict.REGRESSED)
LOST = cell(
    "image/size",
    Verdict.REGRESSED,
    finding(
        Verdict.REGRESSED, metric="status", clock="", ratio=None, low=None, high=None, p=None, blocks=0, reason="the candidate lost it"
    ),
    candidate_status="",
)
UNDECIDED = cell(
    "micro/topk",
    Verdict.INCONCLUSIVE,
    finding(
        Verdict.INCONCLUSIVE,
        p=None,
        blocks=16,
        low=None,
        high=1.08,
        reason="unstable: launches fall into modes",
        detectable=0.06,
        blocks_needed=31,
    ),
)
UNMEASURED = cell(
    "micro/add",
    Verdict.INCONCLUSIVE,
    finding(Verdict.INCONCLUSIVE, ratio=None, reason="lost: no engine"),
    candidate_status=Status.INFRA_ERROR,
)
FASTER = cell("micro/matmul", Verdict.IMPROVED, finding(Verdict.IMPROVED, ratio=0.8, low=0.79, high=0.81))
SAME = cell("micro/relu", Verdict.EQUIVALENT, finding(Verdict.EQUIVALENT, ratio=1.001, low=0.99, high=1.01, p=None, blocks=6))
WARNED = cell(
    "micro/gelu",
    Verdict.EQUIVALENT,
    finding(Verdict.EQUIVALENT),
    finding(Verdict.REGRESSED, metric="peak_memory", clock="", blocks_release=False, ratio=1.3, baseline=1e6, candidate=1.3e6),
)
EXCUSED = cell("micro/conv2d", Verdict.INCONCLUSIVE, expected="issue 7", candidate_status="crash:SIGSEGV")
FIXED = cell("micro/sort", unexpected_pass=True)

BISECTION = Bisection(
    entries=("numpy", "torch", "triton"),
    culprits=(
        Culprit(packages=("torch",), explains=(Symptom(cell=SLOWER.cell, metric="latency"),)),
        Culprit(packages=("numpy", "triton"), explains=(Symptom(cell=LOST.cell, metric="status"),)),
    ),
    images=(
        Between(
            packages=("numpy",),
            outcomes=(
                Outcome(cell=SLOWER.cell, metric="latency", trial=Trial.GOOD),
                Outcome(cell=LOST.cell, metric="status", trial=Trial.UNDECIDED),
            ),
            run="results/gate-1/bisect/between-1-of-3",
        ),
        Between(
            packages=("numpy", "torch"),
            outcomes=(Outcome(cell=SLOWER.cell, metric="latency", trial=Trial.UNBUILDABLE),),
            run="",
            reason="ERROR: Cannot install numpy and torch",
        ),
    ),
    left_out=("micro/another",),
    finished=False,
)

EVERYTHING = report(
    SLOWER,
    LOST,
    UNDECIDED,
    UNMEASURED,
    FASTER,
    SAME,
    WARNED,
    EXCUSED,
    FIXED,
    decision=Decision.REGRESSED,
    voided=(Voided(block=3, image="candidate", cell=SLOWER.cell, reason="contended: CPU pressure 9%, over 5%"),),
    placebo=Placebo(effect=0.001, low=-0.002, high=None, differences=300),
    lost_cells=(LOST.cell,),
    new_cells=("micro/fresh eager",),
    notes=("an expectation has expired",),
    bisection=BISECTION,
)

UNKNOWN_NUMBERS = report(
    cell(
        "micro/unknown",
        Verdict.INCONCLUSIVE,
        finding(
            Verdict.INCONCLUSIVE,
            **dict.fromkeys(("ratio", "p", "delta", "tolerable", "baseline", "candidate", "detectable"), math.nan),
            low=-math.inf,
            high=math.inf,
        ),
        noise_floor=math.nan,
    ),
    decision=Decision.INCONCLUSIVE,
    placebo=Placebo(effect=0.0, low=-math.inf, high=math.inf, differences=0),
)


def hostile() -> GateReport:
    """The same text wherever there is one: what is empty has a meaning."""

    def poisoned(value: object) -> object:
        if dataclasses.is_dataclass(value) and not isinstance(value, type | Procedure):
            return dataclasses.replace(value, **{each.name: poisoned(getattr(value, each.name)) for each in dataclasses.fields(value)})
        if isinstance(value, tuple):
            return tuple(map(poisoned, value))
        if isinstance(value, dict):
            return {HOSTILE: HOSTILE}
        return HOSTILE if type(value) is str and value else value

    found = poisoned(EVERYTHING)
    assert isinstance(found, GateReport)
    return found


def large(cells: int) -> GateReport:
    """So many of each verdict in turn, with warnings, voids, differences and notes to match."""
    kinds = (SLOWER, UNDECIDED, FASTER, SAME, WARNED, EXCUSED, FIXED)
    made = [dataclasses.replace(kinds[index % len(kinds)], cell=f"micro/number-{index} inductor cpu") for index in range(cells)]
    return report(
        *made,
        decision=Decision.REGRESSED,
        changes=tuple(Change(what=f"package-{index}", baseline="1", candidate="2") for index in range(cells)),
        voided=tuple(Voided(block=index, image="baseline", cell=made[0].cell, reason="throttled") for index in range(cells)),
        lost_cells=tuple(each.cell for each in made),
        new_cells=tuple(each.cell for each in made),
        notes=tuple(f"note {index}" for index in range(cells)),
    )
