"""Cells have one name, and survive the journey to the harness."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cell import Cell, LaunchSpec, Sampling
from harness.failures import lacking

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
CELLS = st.builds(
    Cell,
    workload=TEXT,
    backend=TEXT,
    batch_size=st.none() | st.integers(1, 4096),
    options=st.lists(st.tuples(TEXT, TEXT | st.integers() | st.booleans()), max_size=3).map(tuple),
    path=st.none() | TEXT,
)


def spec(*cells: Cell) -> LaunchSpec:
    return LaunchSpec(
        run="r", launch=2, attempt=1, image="cpu", cells=cells, seed=7, timeout_seconds=3.5, sampling=Sampling(samples=9), threads=2
    )


@given(st.lists(CELLS, max_size=4))
def test_a_specification_survives_json(cells: list[Cell]) -> None:
    assert LaunchSpec.from_json(spec(*cells).to_json()) == spec(*cells)


def test_the_id_has_every_axis() -> None:
    plain = Cell(workload="micro/softmax", backend="inductor")
    assert plain.id == "micro/softmax inductor cpu inference float32 small"
    others = [
        Cell(workload="micro/sort", backend="inductor"),
        Cell(workload="micro/softmax", backend="eager"),
        Cell(workload="micro/softmax", backend="inductor", device="cuda"),
        Cell(workload="micro/softmax", backend="inductor", mode="training"),
        Cell(workload="micro/softmax", backend="inductor", precision="amp"),
        Cell(workload="micro/softmax", backend="inductor", shapes="large"),
        Cell(workload="micro/softmax", backend="inductor", batch_size=4),
        Cell(workload="micro/softmax", backend="inductor", options=(("max_autotune", True),)),
    ]
    assert len({cell.id for cell in [plain, *others]}) == 9


def test_a_specification_of_another_schema_is_refused() -> None:
    data = {**json.loads(spec().to_json()), "schema": 99}
    with pytest.raises(ValueError, match="schema 99"):
        LaunchSpec.from_json(json.dumps(data))


def test_a_package_that_is_not_there_is_named_however_it_is_wrapped() -> None:
    absent = ModuleNotFoundError("No module named 'torch_ylab'", name="torch_ylab.core")
    wrapped = RuntimeError("backend='x' raised")
    wrapped.inner_exception = absent  # type: ignore[attr-defined]
    outer = ValueError("again")
    outer.__cause__ = wrapped
    assert lacking(outer) == "torch_ylab"
    # A package that is there and lacks a part is somebody's mistake.
    assert lacking(ModuleNotFoundError("No module named 'json.core'", name="json.core")) is None
    assert lacking(ValueError("x")) is None
