"""Copies of inputs and outputs between host and device: a time of its own, in no other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.utils import _pytree as pytree

COPIES = 7


def transfer_seconds(inputs: object, outputs: object, device: str, wait: Callable[[], None]) -> float:
    """Median of some copies there and back, from and to ordinary (pageable) memory, as code that calls ``.to()`` does."""
    there = [tensor.detach().cpu() for tensor in _tensors(inputs)]
    back = [tensor.detach() for tensor in _tensors(outputs)]
    seconds = []
    for _ in range(COPIES):
        wait()
        started = time.perf_counter()
        for tensor in there:
            tensor.to(device)
        for tensor in back:
            tensor.cpu()
        wait()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _tensors(tree: object) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
