"""The small protocols between the parts of the harness. Adding a workload, a backend or an experiment is a file and a line in ``catalog``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from harness.cell import Cell, LaunchSpec
from harness.records import Taken, Warn

Outputs = Any
"""Whatever a model returns: a pytree of tensors."""
Results = dict[str, Outputs]
"""All that one call yields or changes, in groups of things of one kind: outputs, gradients, buffers, ..."""
GRADIENTS = ("gradients", "input gradients")
"""Groups of results whose size is that of the loss, which means nothing."""
COMPUTED = ("outputs", "loss", *GRADIENTS)
"""Groups of results that a call returns and, in training, leaves for the optimizer; inputs and buffers were mostly never computed."""
Call = Callable[[], object]


class Unsupported(Exception):
    """The cell asks for what this image, machine or workload does not have. The text is the row's reason."""


class NoEvidence(Exception):
    """The backend cannot show that it ran: its numbers would be eager's."""


class FellBack(Exception):
    """The backend ran, but not where it was asked to: times would be another provider's. The text is the row's reason."""


class ExportFailed(Exception):
    """The workload could not be turned into the backend's format."""

    def __init__(self, rule: str, text: str) -> None:
        """rule: a short name of what failed: an operator, a rule of the exporter, or the class of its exception."""
        super().__init__(text)
        self.rule = rule


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What became of a cell that an exception ended (see ``failures.failure_of``)."""

    status: str
    reason: str
    export_error: str = ""
    """Of what could not be exported: the rule, and the exporter's words."""
    error: str = ""
    """What was raised, in whatever phase."""
    of_collective: bool = False
    """Of several ranks: it broke in what they do together, because another one is gone."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """When two results are the same (see ``measure.accuracy``)."""

    absolute_and_relative: float
    cosine: bool = False
    """Compare by direction (cosine similarity >= 0.99) and size alone: for outputs whose single elements carry no meaning."""
    size: float = 0.1
    """With ``cosine``: by how much of itself the size (root mean square) of an output may differ; a direction knows no scale."""
    larger_multiplier_for_smaller_tensors: bool = False
    """Of a tensor of at most 500 elements the error may be 8 times eager's, of at most 10 elements 10 times, in place of 3."""


@dataclass(kw_only=True)
class Subject:
    """A loaded workload: what is run, on what, and what is known of it."""

    model: torch.nn.Module
    inputs: tuple[Any, ...]
    """Positional arguments of the model: a pytree of tensors."""
    batch_size: int | None = None
    """As run; None where the workload has no batch dimension."""
    flops: int | None = None
    """Floating-point operations of one forward call, where they are countable."""
    bytes_moved: int | None = None
    """Bytes that one forward call cannot avoid to read and write, at the subject's precision."""
    tokens: int | None = None
    """Of generation: tokens that one call reads or makes, those of all sequences together."""
    first_token: bool = False
    """Whether a call ends in the first token that a user gets: it reads a whole prompt."""
    recorded_calls: int | None = None
    """Of an operator that was recorded: how often the workload called it that it is of."""
    tolerance: Tolerance | None = None
    """None: the precision's default."""
    repeats: bool = True
    """Whether two runs of eager agree. Of one that does not, nothing but the form of a result can be checked."""
    modes: tuple[str, ...] = ("inference", "training")
    precisions: tuple[str, ...] = ("float32", "float16", "bfloat16", "amp")
    wrap: Callable[[torch.nn.Module], torch.nn.Module] | None = None
    """What spreads the model over ranks, in place; None: nothing does."""
    optimizer: str = "sgd"
    """Of training: ``sgd`` or ``adam``."""
    loss: Callable[[Outputs], torch.Tensor] | None = None
    """Scalar loss of the outputs; None: their sum, weighted (see ``experiments.steps``)."""
    loss_scale: float | None = None
    """Of training in float16 autocast (see ``experiments.loss_scale``);
    None: none has been sought, and gradients may be zero."""


class Workload(Protocol):
    """A model or an operator, with its inputs."""

    def load(self, *, device: str, precision: str, mode: str, shapes: str, batch_size: int | None, seed: int) -> Subject:
        """Build it, on the device and in the precision.

        Raises Unsupported for what the workload does not have; any other exception means that it does not load.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Proof that the backend ran."""

    columns: Mapping[str, int | float | None] = field(default_factory=dict)
    """Columns of the record: graphs, breaks, captures, and the times of compiling them."""
    details: Mapping[str, object] = field(default_factory=dict)
    """Everything else; a column, as JSON."""
    diagnostics: Mapping[str, object] = field(default_factory=dict)
    """What is too long for a column; kept as a file beside the row."""
    warnings: tuple[Warn, ...] = ()


class Backend(Protocol):
    """A way to run a workload. Made anew for every cell, in the cell's own process. Implementations derive from it for the defaults."""

    compiles: bool
    """Whether the first call does more than the later ones."""
    calls_until_final: int = 1
    """The call from which on all run the same code: 3 where a graph is captured, or rewritten from a profile, by calls after the first.
    That call's results are checked too: what is timed is what was checked."""
    tolerance: Tolerance | None = None
    """For a backend whose results cannot be as near to eager's as the precision lets them be (quantization); None: the subject's."""

    def prepare(self, subject: Subject) -> Callable[..., Outputs]:
        """The callable that takes the place of the subject's model. It may compile now or when first called.

        Raises Unsupported where this image does not have the backend, ExportFailed for what it cannot express.
        """
        ...

    def evidence(self) -> Evidence:
        """Proof that the prepared callable has run through this backend. Raises NoEvidence where there is none, FellBack where it ran
        elsewhere.
        """
        ...


@runtime_checkable
class RunsWholeCalls(Protocol):
    """What a backend is besides, if it has to do with more of a call than the model: in training with loss, backward and optimizer too."""

    def whole(self, call: Call) -> Call:
        """What is called in place of ``call``, in the check as in the timing."""
        ...


Artifacts = Callable[[str], Path]
"""The path of a file to write, which is kept beside the row."""


class BackendFactory(Protocol):
    def __call__(self, cell: Cell, artifact: Artifacts) -> Backend:
        """Raises Unsupported for what can be known before a workload is loaded: options, modes, packages that are not there."""
        ...


class Slices(Protocol):
    """Turns with other launches, while samples are taken."""

    seconds: float
    """How long a slice takes."""

    def next(self) -> None:
        """Give up the turn, and wait for the next slice."""
        ...

    def now(self) -> float:
        """Seconds by a clock that stands still while others have their turn."""
        ...


class Gauge(Protocol):
    """One clock's way to time calls. Readings of two gauges are never mixed."""

    name: str
    """As in the record: ``host`` or ``device``."""
    resolution_seconds: float
    """The smallest difference it can tell, the cost of reading it included."""
    empty: Call
    """The least that can be timed: what is read for it is in every reading."""

    def time(self, call: Call, calls: int) -> float:
        """Seconds per call of ``calls`` calls in a row, all their work on the device included."""
        ...

    def calls(self, one_call: float, minimum: float) -> int:
        """How many calls make a sample, for a call of so many seconds; ``minimum`` is the length that the user wants of it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Captured calls."""

    seconds: Callable[[], float]
    """Replays them and returns seconds per call."""
    calls: int
    """How many one reading is of."""


class Clock(Protocol):
    """Times calls on one device: the same protocol for every backend, so that rows can be compared."""

    device: str
    gauges: tuple[Gauge, ...]
    """The first is the one that cells are compared by."""

    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""
        ...

    def run(self, call: Call, calls: int, one_call_seconds: float) -> None:
        """Untimed calls that follow one another without a break, until the device has done them all; other threads get their turn.

        one_call_seconds: about.
        """
        ...

    def settle(self, shortest_call_seconds: float, state: str | None) -> str:
        """Choose the state of the cache, ``cold`` or ``hot``, for all variants of a cell, and return it; empty where it is as found.

        state: what earlier launches chose; None leaves it to the clock, which cannot keep the cache cold for calls that are too short.
        """
        ...

    def release(self) -> None:
        """Let go of what the clock itself holds on the device; it is taken again when it is needed."""
        ...

    def replay(self, call: Call) -> Replay | None:
        """Capture calls once, to replay them. None where the device has no such thing.

        Raises any exception for a call that cannot be captured.
        """
        ...

    def transfer_seconds(self, inputs: object, outputs: object) -> float | None:
        """Seconds to copy the inputs (a pytree of tensors) to the device and the outputs back; None where the device is the host."""
        ...


class Report(Protocol):
    """Where a cell's process writes down what it finds, as it finds it: what is written survives a crash."""

    def phase(self, name: str) -> None: ...

    def set(self, **fields: object) -> None:
        """Fields of the row, by column name."""
        ...

    def warn(self, warning: Warn) -> None: ...

    def samples(self, samples: Sequence[Taken]) -> None:
        """In the order taken."""
        ...

    def artifact(self, name: str) -> Path:
        """A file to write, which is kept beside the row."""
        ...


class Ranks(Protocol):
    """Processes that a model is spread over."""

    rank: int
    """This one's; the first writes what is found."""

    def led(self, call: Call, number: int) -> Call:
        """Of the first: the call, which the others make too."""
        ...

    def follow(self, calls: Sequence[Call]) -> None:
        """Of another: make the calls that the first one makes, by their numbers, until it has gone. Raises then."""
        ...


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What an experiment has on its bench: a cell of a launch, loaded and not yet run."""

    cell: Cell
    spec: LaunchSpec
    subject: Subject
    backend: Backend
    clock: Clock
    report: Report
    load_seconds: float = 0.0
    """From the start of the process until the subject was there."""
    slices: Slices | None = None
    """For samples in turns with other launches."""
    ranks: Ranks | None = None
    """Where the model is spread over several processes, of which this is one."""


class Experiment(Protocol):
    """What is measured of a cell."""

    def run(self, bench: Bench) -> str:
        """Measure and report; returns the status. Exceptions become a status by the phase they were raised in."""
        ...


@runtime_checkable
class CompilesAgain(Protocol):
    """What an experiment is besides, if compile caches are part of what it measures."""

    def again(self, bench: Bench) -> str:
        """In a second process, after a ``run`` that passed: what compile caches are worth."""
        ...
