"""The outputs of the checked call in a file beside the row, and how far they are from those that an earlier run has kept.

The file holds tensors and plain values alone (``torch.load`` reads it with ``weights_only=True``). Outputs compare where they are of the same
weights and inputs, to the bit: both are drawn from the run's seed, and a fingerprint of them is in the file, since another torch or another
device may draw other numbers from the same seed.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from harness.cell import LaunchSpec
from harness.measure.accuracy import compare_forms, compare_groups, relative_error
from harness.output import OUTPUTS
from harness.protocols import COMPUTED, Bench, Results, Subject, Tolerance
from harness.records import Warn

SCHEMA = 1
MOST_BYTES = 256 << 20
"""Of one row's tensors; those of a row with more are not kept."""

Tensors = dict[str, dict[str, torch.Tensor]]
"""By group and place."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    tensors: Tensors
    fingerprint: str
    torch: str


def wants_outputs(spec: LaunchSpec) -> bool:
    return spec.save_outputs or spec.compare_outputs is not None


def fingerprint(subject: Subject) -> str:
    """SHA-256 over all inputs, parameters and buffers: places, forms and bits. Of a subject before its first call."""
    digest = hashlib.sha256()
    model = subject.model
    for name, tensor in _named(
        {"inputs": subject.inputs, "parameters": dict(model.named_parameters()), "buffers": dict(model.named_buffers())}
    ):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\0".encode())
        if tensor.layout == torch.strided:
            digest.update(tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def report_outputs(found: Results, reference: Results | None, drawn: str, tolerance: Tolerance | None, bench: Bench) -> None:
    """Keep and compare, as the launch asks for.

    found: of the backend's checked call; reference: the same in float64; drawn: the ``fingerprint``; tolerance: None compares nothing but form.
    """
    tensors = tensors_of(found)
    if bench.spec.compare_outputs is not None:
        _compare(tensors, None if reference is None else tensors_of(reference), drawn, tolerance, bench)
    if bench.spec.save_outputs:
        _save(tensors, drawn, bench)


def tensors_of(results: Results) -> Tensors:
    return {group: dict(_named(results[group])) for group in COMPUTED if group in results}


def read_kept(path: Path) -> Kept:
    """Raises ValueError for what is no such file, OSError for what cannot be read."""
    try:
        content: Any = torch.load(path, weights_only=True, map_location="cpu")
        schema, kept = content["schema"], Kept(tensors=content["tensors"], fingerprint=content["fingerprint"], torch=content["torch"])
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} does not read: {type(error).__name__}: {error}") from None
    if schema != SCHEMA:
        raise ValueError(f"{path.name} is of schema {schema}, this is {SCHEMA}")
    return kept


def _save(tensors: Tensors, drawn: str, bench: Bench) -> None:
    size = sum(tensor.nbytes for group in tensors.values() for tensor in group.values())
    if size > MOST_BYTES:
        bench.report.warn(Warn.OUTPUTS_NOT_KEPT)
        print(f"outputs are not kept: {size} bytes, of which {MOST_BYTES} are kept at most", flush=True)
        return
    # Copies: a view would be written with all of the memory that it is a part of.
    own = {group: {name: tensor.detach().cpu().clone() for name, tensor in each.items()} for group, each in tensors.items()}
    content = {
        "schema": SCHEMA,
        "cell": bench.cell.id,
        "seed": bench.spec.seed,
        "torch": str(torch.__version__),
        "fingerprint": drawn,
        "tensors": own,
    }
    # All of it or nothing: a process may be killed as it writes.
    temporary = bench.report.artifact(f"{OUTPUTS}.tmp")
    torch.save(content, temporary)
    temporary.replace(bench.report.artifact(OUTPUTS))


def _compare(ours: Tensors, reference: Tensors | None, drawn: str, tolerance: Tolerance | None, bench: Bench) -> None:
    try:
        theirs = _theirs(ours, drawn, bench)
    except (OSError, ValueError) as error:
        bench.report.warn(Warn.OUTPUTS_NOT_COMPARED)
        bench.report.set(outputs_compared=f"not compared: {error}")
        return
    # This run's stand in eager's place: they are judged against float64 as the backend's already, and what may be far from it are the others.
    now, then = dict(ours), dict(theirs)
    compared = compare_forms(now, then) if tolerance is None else compare_groups(now, then, reference, tolerance)
    exact = {group: {name: _exact(tensor) for name, tensor in each.items()} for group, each in theirs.items()}
    errors = [relative_error(ours[group], exact[group]) for group in ours]
    bench.report.set(
        outputs_difference=max((error for error in errors if error is not None), default=None),
        outputs_compared="same" if compared.same else f"differ (the earlier run's, and this run's in eager's place): {compared.reason}",
    )
    if not compared.same:
        bench.report.warn(Warn.OUTPUTS_DIFFER)


def _theirs(ours: Tensors, drawn: str, bench: Bench) -> Tensors:
    """What the earlier run has kept of this cell, in the order and on the devices of ours. ValueError where it does not compare."""
    name = bench.spec.kept_outputs.get(bench.cell.id)
    if name is None or bench.spec.compare_outputs is None:
        raise ValueError("the earlier run has kept no outputs of this cell")
    kept = read_kept(Path(bench.spec.compare_outputs) / name)
    if kept.fingerprint != drawn:
        raise ValueError(f"weights or inputs are other ones than those of the earlier run (torch {kept.torch}), though of the same seed")
    if {group: set(each) for group, each in kept.tensors.items()} != {group: set(each) for group, each in ours.items()}:
        raise ValueError("the earlier run's results have other names")
    return {group: {name: kept.tensors[group][name].to(tensor.device) for name, tensor in each.items()} for group, each in ours.items()}


def _exact(tensor: torch.Tensor) -> torch.Tensor:
    """As what errors are relative to. Whole numbers have none."""
    return tensor.to(torch.float64) if tensor.is_floating_point() else tensor


def _named(tree: Mapping[str, Any] | Any) -> list[tuple[str, torch.Tensor]]:
    """Tensors of a pytree, by their places in it."""
    leaves, _ = pytree.tree_flatten_with_path(tree)
    return [(pytree.keystr(path), leaf) for path, leaf in leaves if isinstance(leaf, torch.Tensor)]
