"""gate.json: it says everything, any program reads it, and what is no such file is refused in words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.gate.outputs.as_json import NotAGateReport, parse, read, to_json
from reports.gate.outputs.schema import schema_text
from reports.gate.procedure import Verdict
from reports.gate.report import SCHEMA, Decision, GateReport, Side
from tests.conftest import SOURCE
from tests.unit.gate_samples import EMPTY, EVERYTHING, SAME, UNKNOWN_NUMBERS, cell, finding, hostile, large, report

SCHEMA_FILE = SOURCE / "reports" / "gate" / "gate.schema.json"


def strict(text: str) -> Any:
    """As a reader that is no Python's: NaN and Infinity are no JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def mistakes(value: Any, schema: dict[str, Any], definitions: dict[str, Any], where: str = "$") -> list[str]:
    """What of a value a JSON Schema does not allow, of the keywords that ours has."""
    known = {"$schema", "$ref", "$defs", "title", "description", "default"}
    known |= {"type", "const", "enum", "anyOf", "properties", "required", "items", "prefixItems", "additionalProperties"}
    assert schema.keys() <= known, schema.keys() - known
    found: list[str] = []
    if "$ref" in schema:
        found += mistakes(value, definitions[schema["$ref"].removeprefix("#/$defs/")], definitions, where)
    if "anyOf" in schema and all(mistakes(value, option, definitions) for option in schema["anyOf"]):
        found.append(f"{where}: {value!r} is none of {schema['anyOf']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{where}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    kinds: dict[str, Callable[[Any], bool]] = {
        "object": lambda it: isinstance(it, dict),
        "array": lambda it: isinstance(it, list),
        "string": lambda it: isinstance(it, str),
        "boolean": lambda it: isinstance(it, bool),
        "integer": lambda it: type(it) is int,
        "number": lambda it: type(it) in (int, float),
        "null": lambda it: it is None,
    }
    if "type" in schema and not kinds[schema["type"]](value):
        return [*found, f"{where}: {value!r} is no {schema['type']}"]
    if isinstance(value, dict):
        found += [f"{where}: {name} is missing" for name in schema.get("required", ()) if name not in value]
        extra = schema.get("additionalProperties")
        for name, item in value.items():
            part = schema.get("properties", {}).get(name, extra if isinstance(extra, dict) else None)
            found += [f"{where}: {name} is not in the schema"] if part is None and "properties" in schema else []
            found += mistakes(item, part, definitions, f"{where}.{name}") if part else []
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += mistakes(item, schema["items"], definitions, f"{where}[{index}]")
    return found


@pytest.mark.parametrize("found", [EVERYTHING, EMPTY, report(SAME, decision=Decision.INCONCLUSIVE, capped="a stored run")])
def test_what_is_written_is_read_back_the_same(found: GateReport) -> None:
    assert parse(to_json(found), "gate.json") == found


@pytest.mark.parametrize("found", [EVERYTHING, EMPTY, UNKNOWN_NUMBERS, hostile()], ids=["everything", "empty", "unknown", "hostile"])
def test_what_is_written_is_as_the_schema_says(found: GateReport) -> None:
    schema = json.loads(SCHEMA_FILE.read_text())
    assert mistakes(strict(to_json(found)), schema, schema["$defs"]) == []


def test_the_schema_refuses_what_is_not_written() -> None:
    schema = json.loads(SCHEMA_FILE.read_text())
    data = strict(to_json(EVERYTHING))
    data["cells"][0]["findings"][0]["ratio"] = "1.04"
    del data["why"]
    data["decision"] = "fine"
    data["schema"] = SCHEMA + 1
    assert len(mistakes(data, schema, schema["$defs"])) == 4


def test_the_schema_file_is_fresh() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), "run: python -m reports.gate.outputs.schema > reports/gate/gate.schema.json"


def test_every_field_is_documented() -> None:
    documented = (SOURCE / "docs" / "gate.md").read_text().partition("## gate.json")[2].partition("\n## ")[0]
    schema = json.loads(schema_text())
    fields = {name for part in (schema, *schema["$defs"].values()) for name in part.get("properties", ())}
    assert {name for name in fields if f"`{name}`" not in documented} == set()


def test_numbers_that_are_not_finite_are_null_and_read_as_unknown() -> None:
    found = parse(to_json(UNKNOWN_NUMBERS), "gate.json")
    about = found.cells[0].findings[0]
    assert (about.ratio, about.low, about.high, about.p, about.detectable) == (None,) * 5
    assert found.placebo is not None
    assert (found.placebo.low, found.placebo.high) == (None, None)


def test_hostile_text_is_json_and_comes_back_but_for_half_characters() -> None:
    text = to_json(hostile())
    assert text.isascii()
    assert parse(text, "gate.json").why == hostile().why.replace("\ud800", "?")


def test_keys_are_in_one_order() -> None:
    one = report(SAME, baseline=Side(label="x", packages={"b": "1", "a": "2"}))
    other = report(SAME, baseline=Side(label="x", packages={"a": "2", "b": "1"}))
    assert to_json(one) == to_json(other)
    assert list(strict(to_json(one)))[:3] == ["schema", "decision", "why"]
    assert strict(to_json(one))["schema"] == SCHEMA


def test_numbers_of_arrays_are_numbers() -> None:
    taken = np.array([15])
    found = report(cell("micro/x", Verdict.EQUIVALENT, finding(blocks=taken[0], ratio=np.array([1.5])[0])))
    about = parse(to_json(found), "gate.json").cells[0].findings[0]
    assert (about.blocks, about.ratio) == (15, 1.5)


def test_a_file_of_a_newer_version_with_more_fields_is_read() -> None:
    data = strict(to_json(EVERYTHING))
    data["colour"] = "red"
    data["cells"][0]["colour"] = "red"
    assert parse(json.dumps(data), "gate.json") == EVERYTHING


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "f is not JSON"),
        ("{", "f is not JSON"),
        ("[" * 100_000, "f is not JSON"),
        ('{"schema": NaN}', "f is not JSON"),
        ("[]", "f is no gate.json: it has no schema number"),
        ("null", "f is no gate.json: it has no schema number"),
        ('{"run": "x"}', "f is no gate.json: it has no schema number"),
        ('{"schema": 99}', f"f is of schema 99, this is {SCHEMA}"),
        ('{"schema": true}', f"f is of schema true, this is {SCHEMA}"),
        ('{"schema": "1"}', f'f is of schema "1", this is {SCHEMA}'),
        ('{"schema": 1, "why": 3}', "f is no gate.json of schema 1:\n  decision: Field required\n  why: Input should be a valid string"),
    ],
)
def test_what_is_no_gate_json_is_refused_with_the_next_step(text: str, says: str) -> None:
    with pytest.raises(NotAGateReport, match=re.escape(says)) as caught:
        parse(text, "f")
    assert "\n  next: " in str(caught.value)
    assert caught.value.exit_code == 2


def test_types_are_strict_and_few_mistakes_are_listed() -> None:
    data = strict(to_json(EVERYTHING))
    for each in data["cells"]:
        each["voided"] = "0"
    with pytest.raises(NotAGateReport, match=r"cells\.0\.voided: Input should be a valid integer") as caught:
        parse(json.dumps(data), "f")
    assert f"and {len(data['cells']) - 5} more" in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "gate.json"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "nothing.json", tmp_path, binary):
        with pytest.raises(NotAGateReport, match="cannot be read"):
            read(path)


def test_ten_thousand_cells_are_written_and_read() -> None:
    found = large(10_000)
    assert parse(to_json(found), "gate.json") == found
