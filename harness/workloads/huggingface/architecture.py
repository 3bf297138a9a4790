"""What one workload of the suite is made of. Standard library only: the host plans with the table of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Configuration = Mapping[str, Any]
"""Attributes of a configuration of ``transformers``, in place of its defaults."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """One of a workload's shapes."""

    batch: int
    length: int
    """Tokens of a sequence, that of a decoder where there are two. Of generation: of the prompt, or those before the one that is made."""
    configuration: Configuration = field(default_factory=dict)
    cache: int = 0
    """Of generation: tokens that the static cache has room for."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A class of ``transformers`` that solves one task."""

    model: str
    """Name of the class."""
    family: str
    """Of the module that has it: ``transformers.models.FAMILY``."""
    task: str
    """Which inputs it takes, and so which loss it has: a key of ``inputs.TASKS``, or ``prefill`` or ``decode``."""
    large: Size
    """Upstream's, where upstream has the workload."""
    small: Size
    """The same shape of graph, in seconds on two processors."""

    def size(self, shapes: str) -> Size:
        """ValueError for shapes other than ``small`` and ``large``."""
        if shapes not in ("small", "large"):
            raise ValueError(f"shapes {shapes!r}: a workload of huggingface has small and large")
        return self.small if shapes == "small" else self.large

    @property
    def modules(self) -> tuple[str, ...]:
        """What is imported to build it."""
        return "transformers", f"transformers.models.{self.family}.modeling_{self.family}"

    @property
    def generates(self) -> bool:
        return self.task in ("prefill", "decode")
