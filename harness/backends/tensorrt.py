"""``tensorrt``: NVIDIA's TensorRT through ``torch_tensorrt``, as a backend of ``torch.compile``."""

from __future__ import annotations

import importlib

from harness.backends.dynamo import Dynamo
from harness.backends.exporting import require_inference
from harness.cell import Cell
from harness.protocols import Artifacts, Unsupported


class TensorRt(Dynamo):
    def __init__(self, cell: Cell, artifact: Artifacts) -> None:
        require_inference(cell)
        if cell.device != "cuda":
            raise Unsupported(f"TensorRT needs a GPU of NVIDIA's; the cell is one of {cell.device}")
        try:
            # It tells dynamo of itself as it is imported.
            importlib.import_module("torch_tensorrt")
        except (ImportError, OSError) as error:
            raise Unsupported(f"this image has no torch_tensorrt that works: {error}") from None
        super().__init__(cell, artifact)

    def _name_of(self, cell: Cell) -> str:
        return "tensorrt"
