"""Which operators run: of a call in eager, and of the graphs that dynamo has captured of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode

Key = TypeVar("Key")

NO_WORK = frozenset({"profiler", "prim"})
"""Namespaces of operators that only mark where something begins and ends, or only ask (a tensor without memory for its device)."""


class DispatchCount(TorchDispatchMode, Generic[Key]):  # type: ignore[no-untyped-call]  # torch's
    """Counts by a key what is dispatched while it is entered; what an operator calls itself is not seen."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[Key] = Counter()

    def key(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Key | None:
        """Of a call that is about to be made: an operator in place changes what it was given. None: it does not count."""
        raise NotImplementedError

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> object:
        if func.namespace not in NO_WORK and (key := self.key(func, args, kwargs or {})) is not None:
            self.counts[key] += 1
        return func(*args, **(kwargs or {}))


class OperatorCount(DispatchCount[str]):  # type: ignore[no-untyped-call]  # torch's
    """By name."""

    def key(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        return str(func)


@dataclass(kw_only=True)
class GraphCalls:
    """The graphs that one call of a workload went through."""

    operators: Counter[str] = field(default_factory=Counter)
    calls: list[Callable[[], object]] = field(default_factory=list)
    """Each with the inputs that it had, to be called again."""

    def again(self) -> None:
        for call in self.calls:
            call()


class GraphRecorder:
    """A compiler for dynamo that leaves graphs as they were captured, and can tell what one call does in them.

    Operators are counted from within a graph: dynamo runs nothing that it has compiled while a dispatch mode is entered outside of it.
    """

    def __init__(self) -> None:
        self._recorded: GraphCalls | None = None

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if self._recorded is None:
                return graph.forward(*args)
            self._recorded.calls.append(lambda: graph.forward(*args))
            with OperatorCount() as operators:
                outputs = graph.forward(*args)
            self._recorded.operators += operators.counts
            return outputs

        return call

    def record(self, call: Callable[[], object]) -> GraphCalls:
        """Of one call, which is made for it."""
        self._recorded = recorded = GraphCalls()
        try:
            call()
        finally:
            self._recorded = None
        return recorded
