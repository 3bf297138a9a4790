"""Values for torch's configuration modules: checked for name and type before anything is loaded."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import torch

from harness.choice import KINDS, Value
from harness.protocols import Unsupported


def checked_values(module: Any, values: Mapping[str, Value], *, own: Iterable[str] = ()) -> dict[str, Value]:
    """The values in the types that ``module`` (``torch._inductor.config``, ...) wants. Raises Unsupported for names that it does not have, and
    for values of another type.

    own: names that there are beside the module's, to be suggested too.
    """
    known = module.get_config_copy()
    checked = {}
    for name, value in values.items():
        if name not in known:
            close = difflib.get_close_matches(name, [*own, *known], n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"it has {len(known)} others"
            raise Unsupported(f"{module.__name__} of torch {torch.__version__} has no {name!r}; {meant}")
        checked[name] = _converted(f"{module.__name__}.{name}", value, module.get_type(name))
    return checked


def _converted(name: str, value: Value, wanted: Any) -> Value:
    accepted = get_args(wanted) if get_origin(wanted) in {Union, types.UnionType} else (wanted,)
    words: list[str] = []
    for kind in accepted:
        if get_origin(kind) is Literal:
            choices = get_args(kind)
            # A choice may be a word that reads as a number: '0'.
            for choice in choices:
                if value == choice or (isinstance(choice, str) and str(value) == choice):
                    return choice  # type: ignore[no-any-return]
            words.append(f"one of {', '.join(map(str, choices))}")
        elif kind in KINDS:
            if kind is float and type(value) is int:
                return float(value)
            if type(value) is kind:
                return value
            words.append(KINDS[kind])
    if not words:
        raise Unsupported(f"{name} is a {_name(wanted)}: there is no way to write one as a cell's option")
    raise Unsupported(f"{name} is {' or '.join(words)}, not {value!r}")


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
