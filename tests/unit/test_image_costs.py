"""What an image costs, measured in the environment of the tests."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness import catalog
from harness.cell import Cell, LaunchSpec, Sampling
from harness.experiments.image_costs import FIRST, IMPORTS, LEAST_INTERPRETERS, SIZE, START
from harness.protocols import Unsupported
from harness.records import COLUMNS, MEASURED_COLUMNS, Status
from tests.said import Said

CELL = Cell(workload="image/import", backend=catalog.IMAGE_BACKEND, mode="", precision="", shapes="")
SPEC = LaunchSpec(run="r", launch=0, attempt=0, image="i", cells=(CELL,), seed=1, timeout_seconds=60, sampling=Sampling(budget_seconds=0.1))


class Heard(Said):
    """Takes what the record has a column for, and no files."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))

    def set(self, **fields: object) -> None:
        assert fields.keys() <= MEASURED_COLUMNS
        super().set(**fields)

    def artifact(self, name: str) -> Path:
        raise AssertionError("it leaves no files")


def test_a_cell_of_an_image_has_no_axes() -> None:
    assert CELL.id == "image/import python cpu"


def test_imports_are_timed_in_fresh_interpreters() -> None:
    heard = Heard()
    assert IMPORTS.run(CELL, SPEC, heard) == Status.PASS
    assert len(heard.taken) == heard.fields["samples"] == LEAST_INTERPRETERS
    latency = heard.fields["backend_latency_seconds"]
    assert isinstance(latency, float)
    # No machine imports torch in a hundredth of a second: it was not there before.
    assert latency > 0.01
    assert heard.fields["abs_latency"] == pytest.approx(latency * 1e3)
    assert json.loads(str(heard.fields["evidence"]))["torch_seconds"] > 0.01


def test_a_first_result_has_its_own_import_in_it() -> None:
    heard = Heard()
    assert FIRST.run(CELL, SPEC, heard) == Status.PASS
    imported = json.loads(str(heard.fields["evidence"]))["import_seconds"]
    # Both of the same interpreters, so that it holds whatever else the machine does.
    assert 0.01 < imported < statistics.median(sample.seconds for sample in heard.taken)


def test_a_device_that_is_not_there_has_no_first_result() -> None:
    with pytest.raises(Unsupported) as error:
        FIRST.run(replace(CELL, device="hpu"), SPEC, Heard())
    assert "hpu" in str(error.value).lower()


def test_the_start_is_counted_from_when_it_was_asked_for() -> None:
    heard = Heard()
    assert START.run(CELL, replace(SPEC, requested_at=harness.STARTED - 1.5), heard) == Status.PASS
    assert heard.fields["backend_latency_seconds"] == pytest.approx(1.5)
    assert [sample.seconds for sample in heard.taken] == pytest.approx([1.5])
    with pytest.raises(Unsupported, match="nobody wrote down"):
        START.run(CELL, SPEC, Heard())
    with pytest.raises(Unsupported, match="on another machine"):
        START.run(CELL, replace(SPEC, requested_at=time.time() + 3600), Heard())


def test_sizes_are_the_engines() -> None:
    heard = Heard()
    assert SIZE.run(CELL, replace(SPEC, image_bytes=10, image_compressed_bytes=4), heard) == Status.PASS
    assert heard.fields == {"image_bytes": 10, "image_compressed_bytes": 4}
    with pytest.raises(Unsupported, match="does not tell"):
        SIZE.run(CELL, SPEC, Heard())


def test_the_columns_are_there() -> None:
    assert {"image_bytes", "image_compressed_bytes"} <= set(COLUMNS)
