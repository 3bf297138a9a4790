"""From a model as its file describes it (float32, on the CPU) to a subject on a device in a precision."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch
from torch.utils import _pytree as pytree

from harness.protocols import Subject, Unsupported

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}

NO_DROPOUT = 1e-30
"""As upstream: dropout is computed, and drops nothing, so that results can be compared."""


def copy_of(subject: Subject) -> Subject:
    """A copy that shares no tensor: in-place work of one run must not reach the next."""
    inputs = pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.detach().clone(), subject.inputs)
    return dataclasses.replace(subject, model=copy.deepcopy(subject.model), inputs=inputs)


def cast_floating(tree: Any, dtype: torch.dtype) -> Any:
    """The same pytree with its floating-point tensors in that type; integers, indices and masks stay as they are."""
    return pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor, tree)


def place(subject: Subject, *, device: str, precision: str, mode: str) -> Subject:
    """Move a subject to the device, into the precision and the mode.

    ``amp`` leaves model and inputs in float32: autocast chooses the type of each operator when the model is run.
    """
    if mode not in subject.modes:
        raise Unsupported(f"the workload has no {mode} mode (it has {', '.join(subject.modes)})")
    if precision not in subject.precisions:
        raise Unsupported(f"the workload is not defined in {precision} (it is in {', '.join(subject.precisions)})")
    dtype = DTYPES.get(precision, torch.float32)
    subject.model = subject.model.to(device=device, dtype=dtype).train(mode == "training")
    inputs = pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), subject.inputs)
    subject.inputs = cast_floating(inputs, dtype)
    return subject
