"""``cudagraphs``: eager's kernels in CUDA graphs; and how many graphs torch has captured, whoever asked for them.

The harness needs no ``torch.compiler.cudagraph_mark_step_begin``: outside of training's forward and backward, which come in pairs, every
call of what ``torch.compile`` returned begins a step by itself (``GenerationTracker``). Outputs are overwritten by the call after:
``Step.collect`` clones them before there is one.
"""

from __future__ import annotations

import dataclasses

import torch
from torch._dynamo.utils import counters

from harness.backends.dynamo import Dynamo
from harness.cell import Cell
from harness.protocols import Artifacts, Evidence, FellBack, Unsupported


class CudaGraphs(Dynamo):
    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        if cell.device != "cuda":
            raise Unsupported(f"CUDA graphs need a GPU; the cell is one of {cell.device}")
        super().__init__(cell, artifact)

    def evidence(self) -> Evidence:
        """Besides dynamo's counters: graphs that were captured. Raises FellBack where there is none: all of it ran in eager."""
        found = super().evidence()
        captured = captured_graphs()
        if captured == 0:
            raise FellBack(f"no CUDA graph was captured: {skip_reasons()}")
        return dataclasses.replace(found, details={**found.details, "captured_cuda_graphs": captured})


def captured_graphs() -> int:
    """CUDA graphs that torch's trees hold for the current GPU."""
    from torch._inductor.cudagraph_trees import get_manager

    manager = get_manager(torch.cuda.current_device(), create_if_none_exists=False)
    found = 0
    left = [] if manager is None else list(manager.get_roots())
    while left:
        node = left.pop()
        found += 1
        left.extend(child for children in node.children.values() for child in children)
    return found


def skip_reasons() -> str:
    return f"torch skipped {counters['inductor']['cudagraph_skips']} (the cell's log names its reasons)"
