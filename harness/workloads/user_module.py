"""``path:FILE:CLASS``: a user's own ``nn.Module`` with ``get_example_inputs()``, as in the ancestor."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils import _pytree as pytree

from harness.cell import LARGEST_BATCH
from harness.measure.accuracy import default_tolerance
from harness.protocols import Subject, Tolerance, Unsupported
from harness.workloads.subjects import place


@dataclass(frozen=True)
class UserModule:
    path: Path
    class_name: str

    def load(self, *, device: str, precision: str, mode: str, shapes: str, batch_size: int | None, seed: int) -> Subject:
        """Import the file (its folder comes first on ``sys.path``), build the class without arguments, and take its inputs.

        Attributes of the model say how its results are judged: ``tolerance`` (above 0, at most 1) in place of the precision's default,
        ``cosine`` (True: by direction and size alone). ``shapes`` has no meaning here. A ``batch_size`` is for
        ``get_example_inputs(self, batch_size=N)``, whose default is the class' own; Unsupported for a class that takes none, or takes no notice
        of it. TypeError, ValueError and AttributeError say what the class lacks.
        """
        torch.manual_seed(seed)
        model = self._class()()
        example_inputs: Callable[..., object] = model.get_example_inputs  # type: ignore[assignment]  # _class has made sure that it is there
        if not callable(example_inputs):
            raise TypeError(f"{self.class_name}.get_example_inputs is no method")
        parameter = _size_parameter(example_inputs)
        if batch_size is not None and parameter is None:
            raise Unsupported(
                f"{self.class_name} chooses its inputs itself\n  next: write get_example_inputs(self, batch_size=16), or leave the batch size out"
            )
        size = batch_size or _own_size(parameter)
        if size is None and parameter is not None and parameter.default is inspect.Parameter.empty:
            raise TypeError(
                f"{self.class_name}.get_example_inputs has no batch size of its own: write get_example_inputs(self, batch_size=16)"
            )
        inputs = example_inputs() if size is None else example_inputs(batch_size=size)
        if isinstance(inputs, torch.Tensor):
            inputs = (inputs,)
        if not isinstance(inputs, tuple | list):
            raise TypeError(f"{self.class_name}.get_example_inputs() returned {type(inputs).__name__}; a tuple of arguments is expected")
        if batch_size is not None and not _follows(example_inputs, inputs, batch_size):
            raise Unsupported(f"{self.class_name}.get_example_inputs(batch_size={batch_size}) has no dimension that is the batch size")
        subject = Subject(model=model, inputs=tuple(inputs), batch_size=size, tolerance=self._tolerance(model, mode, precision))
        return place(subject, device=device, precision=precision, mode=mode)

    def _tolerance(self, model: torch.nn.Module, mode: str, precision: str) -> Tolerance | None:
        """As the model says it; None where it says nothing."""
        tolerance, cosine = getattr(model, "tolerance", None), getattr(model, "cosine", None)
        if cosine is not None and not isinstance(cosine, bool):
            raise TypeError(f"{self.class_name}.cosine is {cosine!r}: write True or False")
        if tolerance is None:
            return dataclasses.replace(default_tolerance(mode, precision), cosine=True) if cosine else None
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 < tolerance <= 1:
            raise ValueError(f"{self.class_name}.tolerance is {tolerance!r}: write a number above 0 and at most 1, as in 1e-3")
        return Tolerance(absolute_and_relative=float(tolerance), cosine=bool(cosine))

    def _class(self) -> type[torch.nn.Module]:
        sys.path.insert(0, str(self.path.parent))
        spec = importlib.util.spec_from_file_location(self.path.stem, self.path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{self.path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.path.stem] = module
        spec.loader.exec_module(module)
        found = getattr(module, self.class_name, None)
        if found is None:
            raise AttributeError(f"{self.path} has no class {self.class_name}")
        if not (isinstance(found, type) and issubclass(found, torch.nn.Module)):
            raise TypeError(f"{self.class_name} in {self.path} is not a torch.nn.Module")
        if not hasattr(found, "get_example_inputs"):
            raise AttributeError(f"{self.class_name} in {self.path} has no get_example_inputs()")
        return found


def _size_parameter(example_inputs: Callable[..., object]) -> inspect.Parameter | None:
    parameter = inspect.signature(example_inputs).parameters.get("batch_size")
    return None if parameter is None or parameter.kind is inspect.Parameter.POSITIONAL_ONLY else parameter


def _follows(example_inputs: Callable[..., object], inputs: object, size: int) -> bool:
    """Whether some dimension is the batch size: as long, and longer by one where that is."""
    found = _shapes(inputs)
    try:
        # Without memory for them, and without a random number of those that the inputs are drawn from.
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            others = _shapes(example_inputs(batch_size=size + 1))
    except Exception:  # noqa: BLE001  # what cannot be made without values is taken at its word
        others = [[length + 1 for length in shape] for shape in found]
    return any(
        (length, other) == (size, size + 1)
        for shape, larger in zip(found, others, strict=False)
        for length, other in zip(shape, larger, strict=False)
    )


def _shapes(inputs: object) -> list[list[int]]:
    return [list(leaf.shape) for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]


def _own_size(parameter: inspect.Parameter | None) -> int | None:
    """Its default, where that is a size."""
    size = None if parameter is None else parameter.default
    return size if type(size) is int and 1 <= size <= LARGEST_BATCH else None
