"""A TOML file as a frozen pydantic model. Every mistake is reported at once, with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import tomllib
from pydantic import BaseModel, ValidationError

from harness.choice import nearest
from matrix.errors import ConfigError
from matrix.locate import line_numbers, line_of

M = TypeVar("M", bound=BaseModel)

NEXT = "  next: mend the file; python -m matrix schema prints what matrix.toml may hold, docs/gate.md shows expected_failures.toml"

EXPECTED = {
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}
"""Of pydantic's mistakes of type, what TOML has in that place."""
_QUOTED = re.compile("'([^']+)'")


def read_source(path: Path) -> str:
    """The text of a file. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}:1: cannot be read: {error}\n{NEXT}") from None


def decode(source: str, name: str) -> dict[str, Any]:
    """What the text says, arrays as tuples. ConfigError ``NAME:LINE: not TOML: why``."""
    try:
        data: dict[str, Any] = _tuples(tomllib.loads(source))
        return data
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = found[1] if found else str(source.count("\n") + 1)
        raise ConfigError(f"{name}:{line}: not TOML: {error}\n{NEXT}") from None
    except (ValueError, RecursionError) as error:
        # TOML as it is written, and more than Python reads: a number of thousands of digits, brackets in brackets.
        raise ConfigError(f"{name}:1: cannot be read: {error}\n{NEXT}") from None


def check(model: type[M], data: Mapping[str, Any], *, source: str, name: str, context: Mapping[str, Any]) -> M:
    """The model of decoded data. ConfigError has a line ``NAME:LINE: path: what is wrong`` for each mistake.

    source: the text, for the lines; context: what validators need to know beside the data.
    """
    try:
        return model.model_validate(data, context=dict(context))
    except ValidationError as error:
        lines = line_numbers(source)
        messages = sorted((line_of(e["loc"], lines), _text(model, e["loc"], e)) for e in error.errors())
        raise ConfigError("\n".join([*(f"{name}:{line}: {text}" for line, text in messages), NEXT])) from None


def _tuples(value: Any) -> Any:
    """TOML's arrays as tuples: the models are frozen, and strict about it."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _text(model: type[BaseModel], path: tuple[str | int, ...], error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in path if part != "[key]") or "the file"
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key{nearest(str(path[-1]), _keys_at(model, path[:-1]))}"
    message = message_of(error)
    if error["type"] == "missing":
        return f"{where}: missing"
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        return f"{where}: unknown name {error['input']!r}{nearest(error['input'], _QUOTED.findall(message))}"
    shown = (
        f" (found {error['input']!r})" if isinstance(error["input"], str | int | float | bool) and "Value error" not in error["msg"] else ""
    )
    return f"{where}: {message}{shown}"


def message_of(error: Mapping[str, Any]) -> str:
    """What pydantic says of a mistake, as the end of a line that says where it is."""
    if error["type"] in EXPECTED:
        return f"{EXPECTED[error['type']]} is expected"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}"


def _keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys that the model at this place of the file has."""
    found: Any = model
    for part in path:
        if isinstance(found, type) and issubclass(found, BaseModel):
            found = found.model_fields[str(part)].annotation
        elif get_origin(found) is dict:
            found = get_args(found)[1]
        elif get_origin(found) is tuple:
            found = get_args(found)[0]
        else:
            return []
    return list(found.model_fields) if isinstance(found, type) and issubclass(found, BaseModel) else []
