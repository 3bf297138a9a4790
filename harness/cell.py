"""The cell: one measurable thing inside one image, and the specification of a launch that measures a list of them.

Standard library only: the host imports this module without having torch.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LISTED = ("hot", "cold", "turns", "batch_sizes", "baselines", "keep_debug")
"""Fields of a launch's specification that JSON has as lists."""
SCHEMA_VERSION = 1
"""Version of the launch specification; the harness refuses one it does not know."""

PATH_SUITE = "path"
"""Suite of the users' own modules: ``path:FILE:CLASS``."""
LARGEST_BATCH = 1 << 30
"""Of what is worth asking for: more is a slip of the pen, and in the end no number that a table can hold."""
TORCHBENCH_SUITE = "torchbench"
"""Suite of the models of a checkout of pytorch/benchmark: ``torchbench:CHECKOUT``."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Workload x backend x device x mode x precision x shapes x batch size x options."""

    workload: str
    """``suite/name``; of a user's own module ``path/FILE_STEM:CLASS``."""
    backend: str
    device: str = "cpu"
    mode: str = "inference"
    precision: str = "float32"
    shapes: str = "small"
    batch_size: int | None = None
    """None: the batch size that the workload's shapes name."""
    options: tuple[tuple[str, str | int | float | bool], ...] = ()
    """The backend's options, sorted by name."""
    path: str | None = None
    """Absolute path of the user's own module, the same inside and outside of a container."""

    @functools.cached_property
    def id(self) -> str:
        """The cell's name: made here and nowhere else, and never parsed again."""
        axes = [self.workload, self.backend, self.device, self.mode, self.precision, self.shapes]
        parts = [part for part in axes if part]
        if self.batch_size is not None:
            parts.append(f"batch={self.batch_size}")
        parts.extend(f"{name}={value}" for name, value in self.options)
        return " ".join(parts)

    @property
    def suite(self) -> str:
        return self.workload.partition("/")[0]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a cell is timed. Every number is recorded in the run's manifest."""

    samples: int = 30
    """Rounds (a sample of each variant by each clock) that are taken at least."""
    minimum_samples: int = 6
    """Rounds that are taken even where calls are so long that ``PATIENCE`` budgets are spent."""
    width: float = 0.01
    """Wanted width of the 95 % interval of the ratio, relative to it."""
    minimum_sample_seconds: float = 1e-3
    """Length of one host sample; shorter calls are batched. At least 1000 times the clock's resolution, whatever is set."""
    budget_seconds: float = 5.0
    """Time for all samples of a cell."""
    least_seconds: float = 0.0
    """Time for samples that is spent at least, however narrow the interval: of two launches only levels compare, which what disturbs both
    variants of one alike moves."""
    slice_seconds: float = 0.05
    """Length of a slice, where launches take their samples in turns."""
    energy_seconds: float = 1.0
    """For the energy of a call, where there is a counter; 0: do not measure it."""
    cache: str = "cold"
    """State of a GPU's last-level cache before a call: ``cold`` (flushed) or ``hot``."""


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """Settings that change results and speed: the same for accuracy and timing, and recorded in the run's manifest."""

    tf32: bool = False
    """float32 products and convolutions in TF32 on GPUs that have it."""
    cudnn_benchmark: bool = False
    """Let cuDNN try its algorithms."""
    deterministic: bool = False
    """Only deterministic algorithms; a workload that needs another one fails."""


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What is done to every workload beside its axes; recorded in the run's manifest."""

    channels_last: bool = False
    """Weights and inputs of four dimensions are stored with the channels last."""
    activation_checkpointing: bool = False
    """In training, activations are computed again in place of being kept."""
    optimizer: str | None = None
    """In training: ``sgd`` or ``adam``; None: the workload's own."""
    torch_config: tuple[tuple[str, str | int | float | bool], ...] = ()
    """Settings of torch's compilers (``harness.torch_config``)."""
    distributed: str | None = None
    """In training: the model is replicated (``ddp``) or sharded (``fsdp``) over ranks; None: it is not."""
    ranks: int = 2
    """How many, where it is."""
    gpu_memory_fraction: float | None = None
    """Share of a GPU's memory beyond which torch's allocator fails."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is known of one cell beside its axes: facts about its workload, which suites keep as data (``suites/*.toml``)."""

    batch_size: int | None = None
    """In place of what its shapes name; a cell's own goes before it."""
    tolerance: float | None = None
    """Absolute and relative; None: the workload's own, or the precision's default."""
    cosine: bool | None = None
    """Results are compared by direction and size alone."""
    larger_multiplier_for_smaller_tensors: bool | None = None
    """Tensors of at most 500 elements may be 8 times as far from float64 as eager's (see ``protocols.Tolerance``)."""
    optimizer: str | None = None
    """Of training; that of the launch goes before it."""
    nondeterministic: bool = False
    """Two runs of eager differ, so no result can be told from a wrong one: only its form is compared."""
    reason: str = ""
    """Why they are."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What of a cell one process measures, where there are several."""

    again: bool = False
    """Only what a second process finds in the first one's caches."""
    batch_size: int | None = None
    """At this one in place of the cell's own, and within the memory that is free."""


WHOLE = Part()


@dataclass(frozen=True, kw_only=True)
class LaunchSpec:
    """What one launch does: the content of ``cells.json``."""

    run: str
    launch: int
    attempt: int
    image: str
    cells: tuple[Cell, ...]
    seed: int
    timeout_seconds: float
    """Time for one cell from the start of its process to its end."""
    tag: str = ""
    """The user's own word for the run, in every row."""
    experiment: str = "performance"
    """What is measured of every cell (``catalog.EXPERIMENTS``)."""
    batch_sizes: tuple[int, ...] = ()
    """Those that a workload meets after its own, in experiments that change it; empty: one more, half and twice its own."""
    dynamic: str = "batch"
    """Of ``dynamic-shapes``: which dimensions are symbols, the ``batch``'s, ``unbacked`` (the batch's, without a value) or ``whole`` shapes."""
    baselines: tuple[str, ...] = ()
    """Of ``baselines``: backends that are compared, as a configuration names them."""
    first_batch_size: int | None = None
    """Of ``largest-batch``: where the search begins."""
    sampling: Sampling = Sampling()
    numerics: Numerics = Numerics()
    treatment: Treatment = Treatment()
    terms: Mapping[str, Terms] = field(default_factory=dict)
    """By the id of the cell, of those that have any."""
    threads: int | None = None
    """Threads inside an operator; None: torch's own choice, which is recorded."""
    pin_allocator: bool = True
    """Keep the C library's allocator from moving its thresholds (see ``harness.allocator``)."""
    fresh_caches: bool = True
    """Compile every cell from empty caches; else caches are those of the environment, which may know the cell already."""
    kept_caches: str | None = None
    """Folder that keeps every cell's caches, as the launch sees it; None: each cell's are gone with it."""
    warm_compile: bool = True
    """Compile every cell again in a second process, with the first one's caches."""
    minify: bool = False
    """Of what is wrong, keep a small program that shows it (``artifacts/``)."""
    memory_snapshot: bool = False
    """Keep the history of the GPU allocator over one call (``artifacts/``)."""
    keep_debug: tuple[str, ...] = ()
    """Statuses (``crash``: any crash): a cell that ends in one of them is run once more, with the debug output of torch's compilers."""
    save_outputs: bool = False
    """Keep the outputs of each checked call (``artifacts/``)."""
    compare_outputs: str | None = None
    """Folder of an earlier run's artifacts, as the launch sees it, with outputs to compare with; None: there is nothing to compare."""
    kept_outputs: Mapping[str, str] = field(default_factory=dict)
    """By the id of a cell: the file of its outputs in that folder."""
    ceilings: Mapping[str, Any] | None = None
    """What the machine can do, by device (``harness.measure.ceilings``), as earlier launches of the run found it."""
    measure_ceilings: bool = True
    """Measure them of devices that have none yet, and write them down; rows of a device without have no share of a limit."""
    requested_at: float | None = None
    """When the engine was asked for this launch, by the host's ``time.time``."""
    image_bytes: int | None = None
    """Size of the image on the engine's disk."""
    image_compressed_bytes: int | None = None
    """As a registry transfers it."""
    hot: tuple[str, ...] = ()
    """Cells (ids) that earlier launches of the run measured with a hot cache, for being too short: so does this one."""
    cold: tuple[str, ...] = ()
    """The same for those with a cold one: launches are only compared in the same state."""
    turns: tuple[int, ...] = ()
    """The place of each cell in the order that it shares with other launches, which it takes turns with (see ``harness.turns``); empty: it
    is alone."""
    warm_up: bool = True
    """Do what backends do once per launch before the first cell, so that it is in no cell's compile time."""

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA_VERSION, **dataclasses.asdict(self)}, indent=1)

    @staticmethod
    def from_json(text: str) -> LaunchSpec:
        """Read a specification; ValueError says what about it is wrong."""
        data: dict[str, Any] = json.loads(text)
        version = data.pop("schema", None)
        if version != SCHEMA_VERSION:
            raise ValueError(f"launch specification of schema {version}, this harness reads {SCHEMA_VERSION}")
        cells = tuple(cell_from_dict(cell) for cell in data.pop("cells"))
        sampling, numerics = Sampling(**data.pop("sampling")), Numerics(**data.pop("numerics"))
        listed: dict[str, Any] = {name: tuple(data.pop(name)) for name in LISTED}
        terms = {cell: Terms(**each) for cell, each in data.pop("terms").items()}
        treatment = data.pop("treatment")
        configured = tuple((name, value) for name, value in treatment.pop("torch_config"))
        return LaunchSpec(
            cells=cells,
            sampling=sampling,
            numerics=numerics,
            treatment=Treatment(torch_config=configured, **treatment),
            terms=terms,
            **listed,
            **data,
        )

    @staticmethod
    def read(path: Path) -> LaunchSpec:
        return LaunchSpec.from_json(path.read_text(encoding="utf-8"))


def cell_from_dict(data: dict[str, Any]) -> Cell:
    """Inverse of ``dataclasses.asdict``, after a journey through JSON."""
    options = tuple((name, value) for name, value in data.pop("options", ()))
    return Cell(options=options, **data)
