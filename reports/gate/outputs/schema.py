"""The JSON Schema of gate.json, with the dataclasses' own words: ``python -m reports.gate.outputs.schema > reports/gate/gate.schema.json``."""

from __future__ import annotations

import json

from reports.gate.outputs.as_json import Document
from reports.gate.report import SCHEMA, GateReport

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """Of what ``to_json`` writes: all fields are always there. ``read`` takes a file that has more, or lacks what has a default."""
    definitions = Document.model_json_schema(mode="serialization")["$defs"]
    report = definitions.pop(GateReport.__name__)
    number = {"const": SCHEMA, "description": "Of this description; see docs/gate.md.", "type": "integer"}
    document = {
        "$schema": DIALECT,
        **report,
        "title": "gate.json",
        "properties": {"schema": number, **report["properties"]},
        "required": ["schema", *report["required"]],
        "$defs": definitions,
    }
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
