"""``torchbench:CHECKOUT``, or ``torchbench:CHECKOUT:MODEL``: the models that a checkout of pytorch/benchmark has."""

from __future__ import annotations

from pathlib import Path

from harness.cell import TORCHBENCH_SUITE
from harness.choice import nearest
from matrix.errors import SelectionError

PREFIX = f"{TORCHBENCH_SUITE}:"
MARKER = "install.py"
"""In the root of every checkout: its folder is what containers see."""
NEXT = "next: git clone https://github.com/pytorch/benchmark, install what its models need into the image, and name the checkout"


def torchbench_models(text: str) -> list[tuple[str, str]]:
    """(workload, absolute path of ``MARKER`` in the checkout) of each model. Raises SelectionError where there is none."""
    checkout, _, model = text.removeprefix(PREFIX).partition(":")
    root = Path(checkout).expanduser().resolve()
    names = sorted(path.parent.name for path in root.glob("torchbenchmark/models/*/__init__.py"))
    if not names or not (root / MARKER).is_file():
        raise SelectionError(
            f"{text!r}: {checkout or '(nothing)'} is no checkout of pytorch/benchmark with {MARKER} and torchbenchmark/models\n  {NEXT}"
        )
    if model and model not in names:
        raise SelectionError(f"{text!r}: the checkout has no model {model!r}{nearest(model, names)}")
    return [(f"{TORCHBENCH_SUITE}/{name}", str(root / MARKER)) for name in names if model in ("", name)]
