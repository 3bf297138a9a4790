"""Everything that the page shows. Frozen; thousands of cells are columns, and a number that was not measured is NaN (null in the file), never 0.

Seconds, bytes and joules are per call where they are a cell's. A ratio of two images is candidate over baseline (above 1: slower), a speedup is the
other way round (above 1: faster than eager).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reports.gate.report import CellReport, Change
from reports.load import Quarantined
from reports.page.metrics import METRICS, Metric
from reports.statistics import Booleans

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Deviations = NDArray[np.int16]


@dataclass(frozen=True, kw_only=True)
class Words:
    """A column of texts: each text once, and for each line its place among them."""

    words: tuple[str, ...]
    codes: Indices


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What launches said of where they ran; two runs with equal facts ran on the same machine as far as anybody can tell."""

    text: str
    """One line: processor, GPUs, driver."""
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Of a run that is going on, or was cut short."""

    state: str
    """``running``, ``done``, ...: as the manifest says; empty where it does not."""
    rows: int
    planned: int | None
    seconds_left: float | None
    """At the pace so far; None where the run is not going on, or nothing is known of its pace."""


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """A run or a file."""

    name: str
    started_at: str
    """ISO 8601; empty where nothing says."""
    progress: Progress
    facts: tuple[tuple[str, str], ...]
    """Command, seed, engine, harness' hash, revision, ..., as texts."""
    note: str = ""
    """What a reader must know first: of another schema, the ancestor's file, ..."""


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """An image as one run measured it."""

    source: int
    """Its place in ``Page.sources``; likewise all integers that are named as what they point to."""
    label: str
    name: str
    """As people tell it from the other images of the page: the label, with the run where that takes it."""
    digest: str
    size_bytes: int | None
    compressed_bytes: int | None
    python: str
    packages: Mapping[str, str]
    machine: int | None
    machine_facts: tuple[tuple[str, str], ...] = ()
    """All that its first launch said of where it ran, what may change on one machine too: driver, kernel, ..."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of two images' environments."""

    baseline: int | None
    """None where no row is of that image."""
    candidate: int | None
    changes: tuple[Change, ...]
    machine: tuple[Change, ...] = ()
    """What differs between the machines."""
    harness: tuple[Change, ...] = ()
    """What differs between the instruments: their hashes."""
    same: tuple[str, ...] = ()
    """Of packages, Python, machine and harness: what is known of both, and does not differ."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """An image x a backend with its options."""

    label: str
    """No other column's."""
    image: int
    backend: str
    options: str
    experiment: str = ""
    """What was measured; empty for ``performance``."""
    statuses: tuple[tuple[str, int], ...]
    """Rows (launch x cell) by status, most first."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A workload x device x mode x precision x shapes x batch size: what is the same in all columns."""

    suite: str
    workload: str
    device: str
    mode: str
    precision: str
    shapes: str
    batch_size: int | None
    number: int = 1
    """Of lines that would read the same: which."""

    @property
    def detail(self) -> str:
        """All but the workload, in one text: a line's workload and this are no other line's."""
        words = [word for word in (self.device, self.mode, self.precision, self.shapes) if word]
        words += [f"batch={self.batch_size}"] if self.batch_size is not None else []
        words += [f"({self.number})"] if self.number > 1 else []
        return " ".join(words)


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Cells of images, over their launches: a line x a column each, sorted so. All arrays are (entries,)."""

    line: Indices
    column: Indices
    status: Words
    """The status that all launches share, else the first that is not ``pass``."""
    reason: Words
    """Of that status."""
    warnings: Words
    """Names of ``harness.records.Warn``, of any launch, sorted and joined by ``;``."""
    launches: Indices
    passed: Indices
    """Launches that passed; numbers are medians over those of them that are not void."""
    voided: Indices
    """Launches that passed and that a gate did not look at, as they were disturbed. Where that is all of them, there are no numbers."""
    numbers: Mapping[str, Floats]
    """By the names of METRICS, and of their bounds; and eager's own: ``eager_peak_bytes``, ``eager_joules``, ``eager_limit_share``, ``eager_error``."""
    never_pays: Booleans
    """What compiles and is not faster than eager."""
    interval_of: Words
    """What the speedups' bounds are of: ``launches`` (90 %, enough of them), ``samples`` (95 %, within a launch: the median of the launches'
    bounds), or empty where there are none."""

    @property
    def is_void(self) -> Booleans:
        """Whether all launches passed, and a gate looked at none of them. What fails has a status that says more."""
        found: Booleans = (self.passed == self.launches) & (self.voided == self.passed)
        return found


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What each launch says of a cell; all arrays are (rows,), sorted by entry and launch."""

    entry: Indices
    columns: Mapping[str, Floats | Words]
    """By the names of ``harness.records.Row``: those in which anything is."""
    log_tail: Words
    """The end of the log of what did not pass; empty elsewhere, and where it is not there."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Every sample: one series per row, variant and clock. A sample is ``centre + step * deviation`` seconds per call, in the order taken.

    Arrays are (series,) but ``deviations``, which has all series one behind the other.
    """

    row: Indices
    variant: Words
    clock: Words
    count: Indices
    centre: Floats
    """The series' median, in seconds."""
    step: Floats
    """0.01 % of it, or as much more as its farthest sample takes."""
    one_in: int
    """Of so many samples of a series one is kept, evenly spaced: 1 where there is room for all."""
    deviations: Deviations
    marked: Indices
    """Places in ``deviations`` of the samples that are marked, in order; shape (marked samples,)."""
    mark: Words
    """Why, as ``throttled``; shape (marked samples,)."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    entries: Entries
    rows: Rows
    samples: Samples
    replay: tuple[str, ...]
    """By entry: the command that measures it again; empty where the run does not say enough."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A cell in two images."""

    report: CellReport
    """The gate's own words and numbers, or in their form what launches say without a gate."""
    line: int | None
    """None where no row has it."""
    baseline: int | None
    """Its entries."""
    candidate: int | None
    lean: str
    """Where there is no verdict of a gate: ``slower`` or ``faster`` where the interval excludes 1, ``fails`` or ``passes`` where only the baseline or
    only the candidate passes, ``neither`` where both fail, else empty. It is no verdict."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two images, cell by cell."""

    baseline: str
    candidate: str
    """Labels."""
    baseline_image: int | None
    candidate_image: int | None
    by_gate: bool
    """Whether a gate has judged; else every verdict is ``inconclusive``."""
    decision: str
    """``pass``, ``regressed`` or ``inconclusive``."""
    why: str
    capped: str
    """Why nothing better than ``inconclusive`` is said; empty where nothing caps it."""
    level: float
    """Of the intervals: 0.9."""
    cells: tuple[Compared, ...]
    """Worst first: as the gate has them, else slowest first."""
    lost: tuple[str, ...]
    """Cells that only the baseline has, and only the candidate."""
    new: tuple[str, ...]
    difference: Difference
    geomean: float | None
    """Of the ratios of all cells that have one."""
    compared: int
    """How many these are."""
    facts: tuple[tuple[str, str], ...]
    """Blocks, launches, seconds, placebo, machine, ..., as texts."""
    notes: tuple[str, ...]
    replay: str = ""
    """The command that makes this comparison again; empty where nothing says it."""


@dataclass(frozen=True, kw_only=True)
class Total:
    """Of one column in one suite, by one clock."""

    column: int
    suite: str
    """Empty: all suites."""
    clock: str
    """``host`` or ``device``: which speedup this is of."""
    geomean: float | None
    """Of the speedup over eager, slowdowns included, over the common cells."""
    common: int
    """Lines that every column with such speedups in this suite passed."""
    backend_geomean: float | None
    """Over the lines that every column of this backend and its options passed: of image against image."""
    backend_common: int
    own_geomean: float | None
    """Over all lines that this column passed: not to be compared with another column's."""
    own: int
    planned: int
    """Lines that this column has."""
    missing: int
    """Of them, those that are not in the geomean."""
    failed: int
    """Of the planned, those without ``pass``."""
    as_eager: float | None
    """The geomean over the common cells and this column's failed ones, each of which counts as eager, 1.0x: between ``geomean`` and 1."""


@dataclass(frozen=True, kw_only=True)
class PassRate:
    column: int
    suite: str
    cells: int
    passed: int
    """Cells that all of their launches passed."""
    rows: int
    rows_passed: int
    low: float
    """Bounds of the 95 % interval of the share of cells (Clopper-Pearson)."""
    high: float
    statuses: tuple[tuple[str, int], ...]
    """Cells by status, most first."""


@dataclass(frozen=True, kw_only=True)
class Payback:
    """Calls until compiling pays, of one column in one suite."""

    column: int
    suite: str
    pays: int
    """Cells that are faster than eager, and so pay at some time."""
    never: int
    """Cells that passed and are not."""
    quartiles: tuple[float, float, float] | None
    """Of the calls, over those that pay."""


@dataclass(frozen=True, kw_only=True)
class Tradeoff:
    """A point of compile time against speedup, over the common cells of a suite."""

    column: int
    suite: str
    compile_seconds: float
    """Geometric mean, empty caches."""
    speedup: float
    """Geometric mean, by ``clock``."""
    clock: str
    cells: int
    on_front: bool
    """No other column compiles as fast and is as fast, and one of both better."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """An image in a run, on the axis of time."""

    image: int
    source: int
    at: str
    """ISO 8601."""
    label: str
    machine: int | None


@dataclass(frozen=True, kw_only=True)
class Step:
    """A lasting change of level in one series, between two points of the same machine."""

    series: int
    point: int
    """The first one of the new level."""
    before: int
    """The series' last point of the old level."""
    old_seconds: float
    """Levels: geometric means of the points between steps."""
    new_seconds: float
    ratio: float
    """New over old."""
    p: float
    """For all places it could have been at together; the series are accounted for by what is listed at all."""
    difference: int
    """Of the images on both sides of it: its place in ``History.differences``."""


@dataclass(frozen=True, kw_only=True)
class History:
    """Time per call of every cell over runs. A series is of one machine: what is joined by a line. Arrays are (series,) or (series, points)."""

    points: tuple[Point, ...]
    """In the order of time."""
    line: Indices
    backend: Words
    options: Words
    family: Words
    """The image without its version."""
    clock: Words
    machine: Indices
    """-1 where nothing says."""
    seconds: Floats
    low: Floats
    """Bounds of the 90 % interval, where there are launches enough."""
    high: Floats
    steps: tuple[Step, ...]
    """Largest first."""
    differences: tuple[Difference, ...]
    note: str
    """Why there is none, or what steps were looked for with."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An entry that is not ``pass``, as a table without scripts has it."""

    entry: int
    workload: str
    detail: str
    column: str
    status: str
    launches: int
    failed: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class ExcludedCell:
    image: str
    cell: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Page:
    title: str
    made_at: str
    sources: tuple[SourceFacts, ...]
    machines: tuple[Machine, ...]
    images: tuple[ImageFacts, ...]
    differences: tuple[Difference, ...]
    """Of every image from the first one."""
    matrix: Matrix
    reference: int | None
    """The column that speedups are over at first; None: each cell's own eager."""
    comparisons: tuple[Comparison, ...]
    totals: tuple[Total, ...]
    pass_rates: tuple[PassRate, ...]
    paybacks: tuple[Payback, ...]
    tradeoffs: tuple[Tradeoff, ...]
    history: History
    failures: tuple[Failure, ...]
    excluded: tuple[ExcludedCell, ...]
    quarantined: tuple[Quarantined, ...]
    quarantined_count: int
    """All of them; the tuple has the first ones."""
    metrics: tuple[Metric, ...] = field(default=METRICS)
