"""Several processes for one cell: a model that is replicated (DDP) or sharded (FSDP) over ranks, timed in the first of them.

The cell's process forks the others before anything is loaded. All do the same, check and compile alike; only the first one writes, and decides
what is called next: the others follow, told by pipes, so that no collective but the model's own is in a time. A rank that dies breaks the
others' collectives, or keeps them until the cell's time is up; what is left of a cell is ended with it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from harness.process import die_with_parent
from harness.protocols import Call, Unsupported

BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
LOOPBACK = "lo"
"""A container has no other interface."""


class Followed(Exception):
    """A rank has done what it was told; there is nothing more for it to say."""


@dataclass(kw_only=True)
class Ranks:
    """Of one cell, as one of them sees it."""

    rank: int
    count: int
    device: str
    kind: str
    _orders: list[int] = field(default_factory=list)
    """Of the first rank: a pipe to each other one; of another: the one that it reads."""

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model over all ranks. Every rank calls this, in the same order."""
        if self.kind == "ddp":
            ids = [self.rank] if self.device == "cuda" else None
            return torch.nn.parallel.DistributedDataParallel(model, device_ids=ids)
        from torch.distributed.fsdp import FullyShardedDataParallel

        return FullyShardedDataParallel(model, use_orig_params=True, device_id=self.rank if self.device == "cuda" else torch.device("cpu"))

    def led(self, call: Call, number: int) -> Call:
        """Of the first rank: the call, which the others make too. What it costs is in its time: a microsecond for each other rank."""
        order = bytes([number])
        write, pipes = os.write, self._orders

        def everywhere() -> object:
            for pipe in pipes:
                write(pipe, order)
            return call()

        return everywhere

    def follow(self, calls: Sequence[Call]) -> None:
        """Of another rank: make each call whose number comes, until the first rank has gone. Raises Followed then."""
        with os.fdopen(self._orders[0], "rb", buffering=0) as orders:
            while order := orders.read(1):
                calls[order[0]]()
        raise Followed


def start(kind: str, count: int, device: str) -> Ranks:
    """Fork ``count - 1`` others and join them. Returns in each. To be called before torch has done anything in this process.

    Raises Unsupported where the device has no means of talking, or there are fewer GPUs than ranks.
    """
    if device not in BACKENDS or not distributed.is_available():
        raise Unsupported(f"torch {torch.__version__} has no collectives for the device {device}")
    if device == "cuda" and torch.cuda.device_count() < count:
        raise Unsupported(f"{count} ranks need {count} GPUs, and {torch.cuda.device_count()} are here: ranks in [run] of matrix.toml")
    meeting = Path(tempfile.mkdtemp(prefix="ranks-")) / "store"
    orders = [os.pipe() for _ in range(count - 1)]
    rank = 0
    for other in range(1, count):
        if os.fork() == 0:
            die_with_parent()
            rank = other
            break
    kept = [pipe[1] for pipe in orders] if rank == 0 else [orders[rank - 1][0]]
    for end in (end for pipe in orders for end in pipe):
        # An end that is open elsewhere too would hide that a rank has gone.
        if end not in kept:
            os.close(end)
    ranks = Ranks(rank=rank, count=count, device=device, kind=kind, _orders=kept)
    _join(ranks, meeting)
    return ranks


def _join(ranks: Ranks, meeting: Path) -> None:
    arguments: dict[str, Any] = {}
    if ranks.device == "cuda":
        torch.cuda.set_device(ranks.rank)
        arguments["device_id"] = torch.device("cuda", ranks.rank)
    else:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
    distributed.init_process_group(
        BACKENDS[ranks.device], init_method=f"file://{meeting}", rank=ranks.rank, world_size=ranks.count, **arguments
    )
