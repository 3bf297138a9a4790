"""``operators:FILE``: operators that were recorded of a workload, one by one (``harness.operator_file``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.measure.operator_inputs import decode
from harness.operator_file import index_of, read
from harness.protocols import Outputs, Subject, Unsupported

ATTENTION = "_scaled_dot_product_"
"""Operators whose further results are for their backward pass: where there is none they are memory as it was found, which no two runs agree in."""


class Operator(torch.nn.Module):
    """One operator, called with the tensors that it is given and the other arguments that it was recorded with."""

    def __init__(self, operator: Any, call: Any) -> None:
        super().__init__()
        self.operator = operator
        self._call = call
        self._first_only = ATTENTION in str(operator) and "backward" not in str(operator)

    def forward(self, *tensors: torch.Tensor) -> Outputs:
        outputs = self._call(self.operator, *tensors)
        return outputs[0] if self._first_only else outputs


@dataclass(frozen=True)
class Recorded:
    path: Path
    name: str

    def load(self, *, device: str, precision: str, mode: str, shapes: str, batch_size: int | None, seed: int) -> Subject:
        """See ``Workload``. Types are as they were recorded: another precision is another recording."""
        recording = read(self.path)
        if precision != recording.precision:
            raise Unsupported(
                f"the operators were recorded in {recording.precision}, not in {precision}\n  next: --precision {recording.precision}, or record them anew"
            )
        if batch_size is not None:
            raise Unsupported("an operator has the shapes that it was recorded with: leave batch_size out")
        if mode != "inference":
            raise Unsupported("recorded operators are called without gradients, those of a backward pass too: mode inference")
        recorded = recording.operators[index_of(self.name)]
        tensors, call = decode(recorded.arguments, device, torch.Generator().manual_seed(seed))
        return Subject(
            model=Operator(operator_of(recorded.operator), call).eval(),
            inputs=tuple(tensors),
            modes=("inference",),
            precisions=(precision,),
            recorded_calls=recorded.calls,
        )


def operator_of(name: str) -> Any:
    """``aten.addmm.default`` -> the operator. Raises Unsupported for one that this torch does not have."""
    found: Any = torch.ops
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Unsupported(f"torch {torch.__version__} has no operator {name}") from None
    return found
