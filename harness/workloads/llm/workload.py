"""How a workload of ``llm`` is declared: a model's shape, a function that builds a part of it, and what it is run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from harness.protocols import Subject
from harness.workloads.llm.models import Model
from harness.workloads.micro.workload import Counted, Micro, Sizes


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a model: ``large`` in the model's own widths, ``small`` in divided ones (``Model.divided``)."""

    build: Callable[[Model, Sizes], Counted]
    model: Model
    small: Sizes
    """What is no width of the model's: batch, sequence, ..."""
    large: Sizes
    batch: str = "batch"
    """The size that the cell's batch size replaces."""
    modes: tuple[str, ...] = Micro.modes
    precisions: tuple[str, ...] = Micro.precisions

    def load(self, *, device: str, precision: str, mode: str, shapes: str, batch_size: int | None, seed: int) -> Subject:
        """See ``Workload``. ValueError for shapes other than ``small`` and ``large``."""
        model = self.model.divided() if shapes == "small" else self.model
        sized = Micro(
            build=partial(self.build, model),
            small=self.small,
            large=self.large,
            batch=self.batch,
            modes=self.modes,
            precisions=self.precisions,
        )
        return sized.load(device=device, precision=precision, mode=mode, shapes=shapes, batch_size=batch_size, seed=seed)
