"""Arguments of operators: recorded as forms (type, shape, strides), and made again from them.

Values are not kept but for the range of integers: which rows an index reads makes its time. Floating-point tensors are drawn anew.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from harness.measure.operators import DispatchCount
from harness.operator_file import OperatorCall

Json = Any
Form = tuple[str, str, bool]
"""Operator, arguments, alone: of ``OperatorCall``."""


class NotEncodable(Exception):
    """An argument that no file can hold (a generator, a script object). The text names its type."""


class NeedsValues(Exception):
    """An operator has integers for arguments, and tensors without values cannot tell their range."""


class OperatorRecorder(DispatchCount[Form]):  # type: ignore[no-untyped-call]  # torch's
    """By the form of their arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.left_out: Counter[str] = Counter()
        """Operators whose arguments cannot be written down."""

    def key(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Form | None:
        try:
            return str(func), encode_arguments(args, kwargs), _alone(func, args)
        except NotEncodable:
            self.left_out[str(func)] += 1
            return None

    def operators(self) -> tuple[OperatorCall, ...]:
        """The most frequent first."""
        return tuple(
            OperatorCall(operator=operator, arguments=arguments, calls=calls, alone=alone)
            for (operator, arguments, alone), calls in self.counts.most_common()
        )


def _alone(func: Any, args: tuple[Any, ...]) -> bool:
    reads = any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(args))
    returned = [each.alias_info for each in func._schema.returns]
    only_views = bool(returned) and all(alias is not None and not alias.is_write for alias in returned)
    return reads and not only_views


def encode_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    return json.dumps([[_encoded(each) for each in args], {name: _encoded(each) for name, each in kwargs.items()}], separators=(",", ":"))


def _encoded(value: Any) -> Json:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, torch.Tensor):
        return _encoded_tensor(value)
    if isinstance(value, list | tuple):
        return [_encoded(each) for each in value]
    for kind, name in ((torch.dtype, "dtype"), (torch.layout, "layout"), (torch.memory_format, "memory_format")):
        if isinstance(value, kind):
            return {name: str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"device": True}
    raise NotEncodable(type(value).__name__)


def _encoded_tensor(tensor: torch.Tensor) -> Json:
    if tensor.layout != torch.strided:
        raise NotEncodable(f"a tensor of layout {tensor.layout}")
    form: dict[str, Json] = {"tensor": [str(tensor.dtype).removeprefix("torch."), list(tensor.shape), list(tensor.stride())]}
    if not tensor.is_floating_point() and not tensor.is_complex() and tensor.dtype != torch.bool and tensor.numel() > 0:
        if torch._subclasses.fake_tensor.is_fake(tensor):
            raise NeedsValues
        form["range"] = [int(tensor.min()), int(tensor.max())]
    return form


def decode(text: str, device: str, generator: torch.Generator) -> tuple[list[torch.Tensor], Callable[..., Any]]:
    """Tensors of the recorded forms, and what hands them to an operator: ``call(operator, *tensors)``.

    Written out as Python source once: rearranging arguments in every call would be a part of the operator's time.
    """
    args, kwargs = json.loads(text)
    tensors: list[torch.Tensor] = []
    constants: dict[str, object] = {}

    def source(value: Json) -> str:
        if isinstance(value, list):
            return f"[{', '.join(map(source, value))}]"
        if not isinstance(value, dict):
            return repr(value)
        if "tensor" in value:
            tensors.append(_tensor(value, device, generator))
            return f"t{len(tensors) - 1}"
        name = f"c{len(constants)}"
        constants[name] = _constant(value, device)
        return name

    written = [*map(source, args), *(f"{name}={source(value)}" for name, value in kwargs.items())]
    parameters = ", ".join(f"t{index}" for index in range(len(tensors)))
    namespace: dict[str, Any] = dict(constants)
    exec(f"def call(operator, {parameters}):\n    return operator({', '.join(written)})", namespace)  # noqa: S102  # made of what was encoded
    call: Callable[..., Any] = namespace["call"]
    return tensors, call


def _constant(value: Mapping[str, Any], device: str) -> object:
    ((kind, word),) = value.items()
    if kind == "float":
        return float(word)
    if kind == "device":
        return torch.device(device)
    return getattr(torch, word)


def _tensor(form: Mapping[str, Any], device: str, generator: torch.Generator) -> torch.Tensor:
    """On a storage that is just as large as its strides reach: an expanded tensor takes no more than it did."""
    word, shape, strides = form["tensor"]
    dtype = getattr(torch, word)
    elements = 0 if 0 in shape else 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if dtype.is_floating_point or dtype.is_complex:
        drawn = torch.randn(elements, generator=generator, dtype=torch.complex64 if dtype.is_complex else torch.float32).to(dtype)
    elif dtype == torch.bool:
        drawn = torch.randint(2, (elements,), generator=generator).to(dtype)
    else:
        low, high = form.get("range", (0, 1))
        drawn = torch.randint(low, high + 1, (elements,), generator=generator, dtype=torch.int64).to(dtype)
    return drawn.to(device).as_strided(shape, strides)
