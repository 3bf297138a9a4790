"""Which cells are studied."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping
from pathlib import Path

from harness.catalog import SUITES
from harness.cell import Cell

TWELVE = (
    "matmul_square",
    "linear_gelu_mlp",
    "softmax",
    "layer_norm",
    "attention",
    "conv2d_3x3",
    "embedding_bag",
    "scatter_add",
    "sort",
    "sum_rows",
    "pointwise_chain",
    "transpose_copy",
)
"""Of every kind of operator one or two."""
LEFT_OUT: Mapping[str, str] = {
    "attention_long": "attention_causal is the same operator in less time and memory",
    "lstm": "dynamo leaves it to eager: a graph break, and the same kernels on both sides",
    "rms_norm": "layer_norm has the same form",
    "sum_all": "between sum_rows and sum_columns",
    "topk": "inductor calls eager's kernel, as it does for large sorts",
}
"""Of all 29, five that would say little more, and why."""
MORE = tuple(name for name in SUITES["micro"] if name not in TWELVE and name not in LEFT_OUT)
NAMES = (*TWELVE, *MORE, *LEFT_OUT)
"""All of micro, in the order in which a study of so many takes them."""
INSTRUMENTS = Path(__file__).resolve().parents[2] / "instruments.py"


def names(text: str) -> tuple[str, ...]:
    """``--cells``: how many of ``NAMES``, or names joined by commas."""
    if text.isdigit():
        if not 1 <= int(text) <= len(NAMES):
            raise argparse.ArgumentTypeError(f"{text}: there are 1 to {len(NAMES)} cells")
        return NAMES[: int(text)]
    found = tuple(dict.fromkeys(name.strip().removeprefix("micro/") for name in text.split(",")))
    for name in found:
        if name not in NAMES:
            nearest = difflib.get_close_matches(name, NAMES, n=1)
            raise argparse.ArgumentTypeError(f"micro has no {name!r}{f' (it has {nearest[0]!r})' if nearest else ''}")
    return found


def add_cells(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--cells",
        type=names,
        default=str(default),
        metavar="N|NAME,...",
        help=f"how many workloads of micro, or which (default: {default})",
    )


def instrument(name: str, backend: str, device: str, **options: float) -> Cell:
    """A cell of a module in ``tests/instruments.py``."""
    return Cell(
        workload=f"path/instruments:{name}", backend=backend, device=device, path=str(INSTRUMENTS), options=tuple(sorted(options.items()))
    )
