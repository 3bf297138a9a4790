"""What the gate found, as data: what ``gate.json`` holds, and what every other output is made from."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records import Status
from matrix.errors import INCOMPLETE
from reports.gate.bisect import Trial
from reports.gate.observe import Voided
from reports.gate.procedure import Procedure, Verdict

SCHEMA = 1
BASELINE = "baseline"
PLACEBO_ALPHA = 0.025
"""One-sided level of the placebo's bounds: a gate that is right is outside of its interval once in twenty times."""


class Decision(enum.StrEnum):
    """Of the release."""

    PASS = "pass"  # noqa: S105  # it opens nothing
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"


WORST_FIRST = (Decision.REGRESSED, Decision.INCONCLUSIVE, Decision.PASS)
EXIT_CODES: Mapping[Decision, int] = {Decision.PASS: 0, Decision.REGRESSED: 1, Decision.INCONCLUSIVE: 3}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One metric of one cell."""

    metric: str
    """``latency`` (by ``clock``), ``error``, ``peak_memory``, ``compile_time``, ``graph_breaks``, ``image_size``, ``image_time``, ``status``, ``fallback``."""
    verdict: Verdict
    blocks_release: bool
    """Whether a regression of it fails the release; else it is a warning."""
    reason: str
    """A sentence: the effect with its interval and evidence, or why there is no answer."""
    clock: str = ""
    """``device`` or ``host``, for latency."""
    ratio: float | None = None
    """Candidate over baseline."""
    low: float | None = None
    """Bounds of the two-sided interval at ``1 - 2 alpha``; None where they are infinite."""
    high: float | None = None
    p: float | None = None
    """After Holm's adjustment."""
    blocks: int = 0
    delta: float | None = None
    """Margins, as 0.02 and 0.05: what matters, and what must not be missed."""
    tolerable: float | None = None
    baseline: float | None = None
    """Medians over launches, in the metric's unit (seconds, bytes, a relative error, a count)."""
    candidate: float | None = None
    detectable: float | None = None
    """The smallest effect (as 0.03) that these blocks could have seen, ``delta`` at least; None where it is decided or they could have seen none."""
    blocks_needed: int | None = None
    """For ``tolerable``, where undecided."""


@dataclass(frozen=True, kw_only=True)
class CellReport:
    """All of one cell."""

    cell: str
    verdict: Verdict
    """The worst of its findings that block; ``inconclusive`` is worse than ``improved`` and ``equivalent``, and ``regressed`` the worst."""
    findings: tuple[Finding, ...]
    baseline_status: str
    """Of its launches: the worst there was; empty where the cell is not in that image."""
    candidate_status: str
    noise_floor: float | None = None
    """Standard deviation of the baseline's launches, as 0.01: odd against even blocks."""
    expected: str = ""
    """The reason of the expected failure that excuses it; empty where none does."""
    unexpected_pass: bool = False
    """It passes although it is expected to fail."""
    voided: int = 0
    """Blocks of it that were measured again."""
    replay: str = ""
    """The command that measures exactly this cell in both images."""

    @property
    def is_unmeasured(self) -> bool:
        return self.verdict == Verdict.INCONCLUSIVE and Status.INFRA_ERROR in (self.baseline_status, self.candidate_status)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two things that are compared."""

    label: str
    digest: str = ""
    size_bytes: int | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    """Name -> version; empty where unknown."""
    python: str = ""
    layers: tuple[str, ...] = ()
    source: str = ""
    """The run or baseline file that its rows are from, where it was not measured now."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that differs between the images."""

    what: str
    """A package's name, ``python``, ``size``, ``layers``, ``digest``."""
    baseline: str
    """Empty: it is not there."""
    candidate: str


@dataclass(frozen=True, kw_only=True)
class Placebo:
    """The second launches of the blocks against the first, over all cells: 0 but for the order of starting."""

    effect: float
    """As 0.001."""
    low: float | None
    """Bounds of the two-sided interval at ``1 - 2 PLACEBO_ALPHA``; None where they are infinite."""
    high: float | None
    differences: int


@dataclass(frozen=True, kw_only=True)
class Symptom:
    """What a cell is worse by."""

    cell: str
    metric: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of a symptom in an image in between."""

    cell: str
    metric: str
    trial: Trial


@dataclass(frozen=True, kw_only=True)
class Between:
    """An image that was tried: the baseline's lock with some entries of the candidate's."""

    packages: tuple[str, ...]
    """As the candidate has them; all others are as the baseline has them."""
    outcomes: tuple[Outcome, ...]
    run: str
    """Directory of what was measured; empty where it could not be built."""
    reason: str = ""
    """Why it could not be built."""


@dataclass(frozen=True, kw_only=True)
class Culprit:
    """What did it, and to which cells."""

    packages: tuple[str, ...]
    """One of these; more than one where what lies between them could not be built, measured or decided."""
    explains: tuple[Symptom, ...]


@dataclass(frozen=True, kw_only=True)
class Bisection:
    """Which package did it."""

    entries: tuple[str, ...]
    """Packages whose lock entries differ, in the order in which they were changed."""
    culprits: tuple[Culprit, ...]
    """The one that explains most first."""
    images: tuple[Between, ...]
    """In the order in which they were tried."""
    left_out: tuple[str, ...] = ()
    """Regressed cells that were not measured in them."""
    finished: bool = True
    """False: the time was up."""


@dataclass(frozen=True, kw_only=True)
class GateReport:
    """What one gate found."""

    decision: Decision
    why: str
    """One sentence."""
    baseline: Side
    candidate: Side
    cells: tuple[CellReport, ...]
    """Worst first."""
    changes: tuple[Change, ...]
    voided: tuple[Voided, ...]
    blocks: int
    launches: int
    seconds: float
    seed: int
    procedure: Procedure
    machine: str
    """One line: processor, GPU, driver."""
    run: str
    """The run directory."""
    against: str = BASELINE
    """What the candidate is held against here: the ``baseline``, or the ``anchor``, which is called the baseline in all other fields."""
    out_of_time: bool = False
    """Cells are still to be measured: the run can be resumed with more ``--max-duration``."""
    capped: str = ""
    """Why no verdict of this gate is better than ``inconclusive``; empty where nothing caps it."""
    placebo: Placebo | None = None
    lost_cells: tuple[str, ...] = ()
    """Cells that the baseline has and the candidate has not; they are among ``cells`` too."""
    new_cells: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader should know: expired expectations, a budget that ended, metrics that were left out."""
    bisection: Bisection | None = None
    """None: nobody asked for it, nothing regressed, or the comparison with the baseline was searched; ``notes`` say where none could be."""

    @property
    def unmeasured(self) -> tuple[CellReport, ...]:
        """Cells that no launch of an image has measured, since each was lost: nothing is known of them, and nobody chose that."""
        return tuple(cell for cell in self.cells if cell.is_unmeasured)

    def exit_code(self, *, inconclusive_passes: bool) -> int:
        if self.decision == Decision.INCONCLUSIVE and self.unmeasured:
            return INCOMPLETE
        if self.decision == Decision.INCONCLUSIVE and inconclusive_passes:
            return EXIT_CODES[Decision.PASS]
        return EXIT_CODES[self.decision]
