"""A backend as people write it: ``inductor``, ``dynamo:aot_eager``, ``onnxruntime(exporter=torchscript, opset=20)``.

Standard library only: the host reads configurations with this without having torch.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness import catalog

Value = str | int | float | bool
_FORM = re.compile(r"([^()]+?)\s*(?:\((.*)\))?")
_WORDS: Mapping[str, bool] = {"true": True, "false": False}
MOST_NAMES = 40
"""Of what there is, that a message tells."""
KINDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
"""Of options, as a message names them."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A backend with its options."""

    name: str
    options: tuple[tuple[str, Value], ...] = ()
    """Sorted by name."""

    def matches(self, name: str, options: tuple[tuple[str, Value], ...]) -> bool:
        """Whether a cell's backend is meant: without options, with whatever options."""
        return name == self.name and (not self.options or options == self.options)


def parse_choice(text: str) -> Choice:
    """Read ``NAME`` or ``NAME(OPTION=VALUE, ...)``. ValueError names what is wrong, and the nearest name that there is."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r}: a backend is NAME or NAME(OPTION=VALUE, ...)")
    name, inner = found[1], found[2]
    if not catalog.is_backend(name):
        families = [f"{family}:NAME" for family in catalog.BACKEND_FAMILIES]
        raise ValueError(f"unknown backend {name!r}{nearest(name, [*catalog.BACKENDS, *families])}")
    options: dict[str, Value] = {}
    for item in inner.split(",") if inner and inner.strip() else ():
        option, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not option or not value:
            raise ValueError(f"{text!r}: {item.strip()!r} is not OPTION=VALUE")
        if option in options:
            raise ValueError(f"{text!r}: {option!r} is given twice")
        options[option] = _checked(name, option, parse_value(value))
    return Choice(name=name, options=tuple(sorted(options.items())))


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean X?', or what there is, for an unknown name."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    if len(names) > MOST_NAMES:
        return f"; there are {len(names)}, as {', '.join(names[:3])}"
    return f"; there is {', '.join(names)}" if names else ""


def parse_value(text: str) -> Value:
    """A word, true or false, or a number, as it reads."""
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if math.isfinite(value):
            return value
    return text.strip("\"'")


def _checked(name: str, option: str, value: Value) -> Value:
    """Against what the table of options says; what it does not know is checked in the image (``catalog.OPEN``)."""
    known = catalog.OPTIONS.get(name.partition(":")[0], {})
    if option not in known:
        if name.partition(":")[0] in catalog.OPEN:
            return value
        raise ValueError(f"{name} has no option {option!r}{nearest(option, known) or '; it has none'}")
    wanted = known[option]
    if isinstance(wanted, tuple):
        if value not in wanted:
            raise ValueError(f"{name}: {option} is one of {', '.join(map(str, wanted))}, not {value!r}")
        return value
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ValueError(f"{name}: {option} is {KINDS[wanted]}, not {value!r}")
    return value
