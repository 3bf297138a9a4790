"""Keys of ``torch._inductor.config`` as options of a cell: checked for name and type before anything is loaded."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import torch

from harness.choice import KINDS, Value
from harness.protocols import Unsupported


def mode_options(mode: str) -> dict[str, object]:
    """What a mode of ``torch.compile`` sets, so that options can be set beside it: torch itself takes only one of both."""
    from torch._inductor import list_mode_options

    modes = {"default": {}, **list_mode_options()}
    if mode not in modes:
        raise Unsupported(f"torch {torch.__version__} has no mode {mode!r} of inductor; it has {', '.join(modes)}")
    return dict(modes[mode])


def checked_options(options: Mapping[str, Value], *, own: Iterable[str] = ()) -> dict[str, Value]:
    """The options in the types that inductor wants. Raises Unsupported for names that it does not have, and for values of another type.

    own: names of options that the backend has beside inductor's, to be suggested too.
    """
    from torch._inductor import config

    known = config.get_config_copy()
    checked = {}
    for name, value in options.items():
        if name not in known:
            close = difflib.get_close_matches(name, [*own, *known], n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"it has {len(known)} others"
            raise Unsupported(f"torch._inductor.config of torch {torch.__version__} has no {name!r}; {meant}")
        checked[name] = _converted(name, value, config.get_type(name))  # type: ignore[attr-defined]
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
        raise Unsupported(f"torch._inductor.config.{name} is a {_name(wanted)}: there is no way to write one as a cell's option")
    raise Unsupported(f"torch._inductor.config.{name} is {' or '.join(words)}, not {value!r}")


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
