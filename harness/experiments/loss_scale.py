"""The scale of the loss in training with float16 autocast. Without one, gradients that are small are zero, in eager as in any backend.

Measured: of BERT at upstream's batch size, half of the gradients are off by more than their own size; by the same amount in eager, so that
nothing is left that a backend could be compared with.
Source: P. Micikevicius et al., Mixed Precision Training, ICLR 2018, section 3.2; ``torch.amp.GradScaler``.
"""

from __future__ import annotations

import dataclasses

import torch
from torch.utils import _pytree as pytree

from harness import numerics
from harness.cell import Cell
from harness.experiments.steps import make_step, scales_loss
from harness.protocols import Subject
from harness.workloads.subjects import copy_of

FIRST = 2.0**16
"""What ``GradScaler`` begins with."""
HEADROOM = 4.0
"""Between the largest gradients and float16's largest number: another order of additions must not overflow."""


def settled(subject: Subject, cell: Cell, seed: int) -> Subject:
    """The subject with the scale that ``GradScaler`` would come to, where its cell has one: the largest power of two at which eager's
    gradients are finite, but for ``HEADROOM``. Over ranks, the smallest of theirs.
    """
    if not scales_loss(cell.mode, cell.precision, cell.device):
        return subject
    scale = FIRST * HEADROOM
    while scale > 1 and not _fits(scale, copy_of(subject), cell, seed):
        scale /= 2
    scale = max(scale / HEADROOM, 1.0)
    if subject.wrap is not None:
        agreed = torch.tensor(scale, device=cell.device)
        torch.distributed.all_reduce(agreed, torch.distributed.ReduceOp.MIN)
        scale = float(agreed)
    return dataclasses.replace(subject, loss_scale=scale)


def _fits(scale: float, tried: Subject, cell: Cell, seed: int) -> bool:
    """Whether gradients are finite with it. Spoils the subject: a step by an infinite gradient leaves no number."""
    own = dataclasses.replace(tried, loss_scale=scale)
    step = make_step(own.model, own, mode=cell.mode, precision=cell.precision, device=cell.device)
    numerics.seed(seed, cell.device)
    step.run()
    leaves = [*own.model.parameters(), *pytree.tree_leaves(own.inputs)]
    gradients = [leaf.grad for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.grad is not None]
    return all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
