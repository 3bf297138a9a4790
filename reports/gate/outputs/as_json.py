"""``gate.json``: a GateReport as JSON and back. The fields are described in docs/gate.md.

Whatever is renamed, removed or changes its meaning raises ``reports.gate.report.SCHEMA``; a field may be added without.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydantic_core
from pydantic import ConfigDict, RootModel, ValidationError

from images.errors import UserError
from reports.gate.report import SCHEMA, GateReport

MOST_MISTAKES = 5
"""Of a file that does not read, that its error names."""


class NotAGateReport(UserError):
    """A file is no gate.json, or of another schema."""


class Document(RootModel[GateReport]):
    """What one gate found."""

    # The dataclasses below have no configuration of their own, and go by this one. Unknown keys are a newer version's.
    model_config = ConfigDict(
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


def to_json(report: GateReport) -> str:
    """The text of gate.json: the schema's number first, then the fields in their order, mappings sorted. One line per item of a list.

    Numbers that are not finite are null. Only ASCII: any program reads it, whatever the names in it are made of.
    """
    fields = {"schema": SCHEMA, **_plain(report)}
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {_text(value)}" for name, value in fields.items()) + "\n}\n"


def _text(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(json.dumps(item, allow_nan=False) for item in value) + "\n]"
    return json.dumps(value, allow_nan=False)


def _plain(value: Any) -> Any:
    """Of dataclasses, what JSON has."""
    if isinstance(value, np.generic):
        value = value.item()
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_unicode(name): _plain(item) for name, item in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _unicode(value) if isinstance(value, str) else value


def _unicode(text: str) -> str:
    """A path that is no Unicode has halves of characters in it, which other readers of JSON refuse."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def read(path: Path) -> GateReport:
    """Inverse of ``to_json``. Raises NotAGateReport for a file that cannot be read, is none, or is of another schema."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotAGateReport(f"{path} cannot be read: {error}\n  next: name a gate.json, in the directory of a gate's run") from None
    return parse(text, str(path))


def parse(text: str, name: str) -> GateReport:
    """The same from text. Pure. name: of the file, for messages."""
    try:
        found = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise NotAGateReport(f"{name} is not JSON: {error}\n  next: name a gate.json, in the directory of a gate's run") from None
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema is None:
        raise NotAGateReport(f"{name} is no gate.json: it has no schema number\n  next: name a gate.json, in the directory of a gate's run")
    if schema != SCHEMA or isinstance(schema, bool):
        raise NotAGateReport(
            f"{name} is of schema {json.dumps(schema)[:40]}, this is {SCHEMA}\n  next: read it with the version that wrote it, or run the gate anew"
        )
    try:
        return Document.model_validate_json(text).root
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        more = [f"and {len(mistakes) - MOST_MISTAKES} more"] if len(mistakes) > MOST_MISTAKES else []
        listed = "\n".join(f"  {mistake}" for mistake in [*mistakes[:MOST_MISTAKES], *more])
        raise NotAGateReport(f"{name} is no gate.json of schema {SCHEMA}:\n{listed}\n  next: run the gate anew") from None
