"""Planning is pure: the same configuration and selection give the same cells and launches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import catalog
from harness.cell import Cell
from matrix.config import parse_matrix
from matrix.errors import SelectionError
from matrix.plan import Launch, PlannedImage, Selection, choose_image, make_plan, user_workload
from tests.unit.test_config import GOOD

MATRIX = parse_matrix(GOOD)
CPU = PlannedImage(name="cpu")


def workloads(selection: Selection, source: str = GOOD) -> list[str]:
    plan = make_plan(parse_matrix(source), (CPU,), selection)
    return list(dict.fromkeys(cell.workload for cell in plan.launches[0].cells))


def test_the_plan_is_the_product() -> None:
    plan = make_plan(MATRIX, (CPU,), Selection())
    assert len(plan.launches) == 2
    assert len(plan.launches[0].cells) == 2 * len(catalog.SUITES["micro"])
    assert plan.rows == 4 * len(catalog.SUITES["micro"])


def test_ids_are_unique() -> None:
    cells = make_plan(MATRIX, (CPU,), Selection(modes=("inference", "training"), precisions=("float32", "amp"))).launches[0].cells
    assert len({cell.id for cell in cells}) == len(cells)


def test_filters_and_excludes_are_regular_expressions_over_ids() -> None:
    assert workloads(Selection(filter=("soft.*inductor", "cumsum"))) == ["micro/softmax", "micro/cumsum"]
    assert workloads(Selection(filter=("norm",), exclude=("RMS",))) == ["micro/layer_norm"]
    assert "micro/sort" not in workloads(Selection(exclude_exact=("micro/sort",)))
    assert workloads(Selection(only=("micro/sort",))) == ["micro/sort"]


@given(st.integers(1, 80))
def test_partitions_are_disjoint_complete_and_even(parts: int) -> None:
    whole = make_plan(MATRIX, (CPU,), Selection()).launches[0].cells
    found: list[Cell] = []
    sizes = []
    for part in range(1, parts + 1):
        try:
            cells = make_plan(MATRIX, (CPU,), Selection(partition=(part, parts))).launches[0].cells
        except SelectionError:
            cells = ()
        found.extend(cells)
        sizes.append(len(cells))
    assert tuple(found) == whole
    assert max(sizes) - min(sizes) <= 1


def order(launches: tuple[Launch, ...]) -> list[str]:
    return [launch.image.label for launch in launches]


def test_launches_of_several_images_are_interleaved_in_blocks_from_the_seed() -> None:
    images = (CPU, PlannedImage(name="cpu", reference="other:1"), PlannedImage(name="cpu", reference="third:1"))
    plan = make_plan(MATRIX, images, Selection(launches=20, seed=3))
    assert [launch.index for launch in plan.launches] == list(range(60))
    for block in range(20):
        assert set(order(plan.launches)[3 * block : 3 * block + 3]) == {image.label for image in images}
    assert order(plan.launches) == order(make_plan(MATRIX, images, Selection(launches=20, seed=3)).launches)
    assert order(plan.launches) != order(make_plan(MATRIX, images, Selection(launches=20, seed=4)).launches)
    firsts = order(plan.launches)[::3]
    assert len(set(firsts)) == 3, "the same image is always first"


def test_excluded_cells_are_named_with_their_reason() -> None:
    source = GOOD + '\n[[exclude]]\nworkload = ["micro/l*"]\nbackend = ["inductor"]\nreason = "upstream 123"\n'
    plan = make_plan(parse_matrix(source), (CPU,), Selection(filter=("lstm",)))
    assert [cell.backend for cell in plan.launches[0].cells] == ["eager"]
    assert [(item.cell.split()[0], item.reason) for item in plan.excluded] == [("micro/lstm", "upstream 123")]


def test_includes_add_cells_beside_the_axes() -> None:
    source = GOOD + '\n[[include]]\nworkload = ["micro/softmax"]\nmode = ["training"]\nbackend = ["inductor"]\nreason = "people ask"\n'
    cells = make_plan(parse_matrix(source), (CPU,), Selection()).launches[0].cells
    assert [(cell.workload, cell.backend) for cell in cells if cell.mode == "training"] == [("micro/softmax", "inductor")]
    assert not any(
        cell.mode == "training" for cell in make_plan(parse_matrix(source), (CPU,), Selection(modes=("inference",))).launches[0].cells
    )


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(filter=("nothing at all",)), "no cell is left"),
        (Selection(filter=("(",)), "not a regular expression"),
        (Selection(only=("micro/sofmax",)), "did you mean 'micro/softmax'"),
        (Selection(only=("path:file.py",)), "path:FILE:CLASS"),
        (Selection(partition=(3, 2)), "parts are counted"),
    ],
)
def test_what_selects_nothing_says_why(selection: Selection, message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        make_plan(MATRIX, (CPU,), selection)


def test_two_files_of_one_name_are_two_meanings() -> None:
    with pytest.raises(SelectionError, match="two cells are named"):
        make_plan(MATRIX, (CPU,), Selection(only=("path:/a/model.py:Net", "path:/b/model.py:Net")))


def test_images_by_name_version_and_reference() -> None:
    assert choose_image("cpu", MATRIX, "cpu") == CPU
    assert choose_image("docker://x/y:1", MATRIX, "cpu") == PlannedImage(name="cpu", reference="x/y:1")
    versions = MATRIX.images["cpu"].model_copy(update={"versions": {"2.15": "a.lock", "2.14": "b.lock"}})
    two = MATRIX.model_copy(update={"images": {"cpu": versions}})
    assert choose_image("cpu", two, "cpu") == choose_image("cpu@2.15", two, "cpu"), "the default has one name"
    with pytest.raises(SelectionError, match="no version"):
        choose_image("cpu@9", MATRIX, "cpu")
    with pytest.raises(SelectionError, match="did you mean 'cpu'"):
        choose_image("cpo", MATRIX, "cpu")


def test_labels_tell_images_apart() -> None:
    images = [CPU, replace(CPU, version="2"), replace(CPU, reference="r")]
    assert [image.label for image in images] == ["cpu", "cpu@2", "docker://r"]


def test_a_users_workload_has_an_absolute_file() -> None:
    workload, path = user_workload("path:some/model.py:Net")
    assert workload == "path/model:Net"
    assert path.startswith("/")


def test_an_image_costs_what_it_costs_whatever_the_axes() -> None:
    source = GOOD.replace('suites = ["micro"]', 'suites = ["micro", "image"]') + '\n[suites.image]\nworkloads = ["image/*"]\n'
    matrix = parse_matrix(source)
    selection = Selection(modes=("inference", "training"), precisions=("float32", "amp"), filter=("^image/",))
    cells = make_plan(matrix, (CPU,), selection).launches[0].cells
    assert [cell.workload for cell in cells] == [f"image/{name}" for name in catalog.SUITES["image"]]
    named = make_plan(matrix, (CPU,), replace(selection, filter=(), backends=("eager",))).launches[0].cells
    assert {cell.suite for cell in named} == {"micro"}


def test_options_are_part_of_a_cell_and_rules_may_name_them() -> None:
    two = ("inductor", "inductor(mode=max-autotune)")
    selection = Selection(only=("micro/sort",), backends=two)
    assert [cell.id for cell in make_plan(MATRIX, (CPU,), selection).launches[0].cells] == [
        "micro/sort inductor cpu inference float32 small",
        "micro/sort inductor cpu inference float32 small mode=max-autotune",
    ]
    for named, left in (("inductor(mode=max-autotune)", 1), ("inductor", 0)):
        matrix = parse_matrix(GOOD + f'\n[[exclude]]\nreason = "r"\nbackend = ["{named}"]\n')
        kept = [
            cell for launch in make_plan(matrix, (CPU,), replace(selection, backends=(*two, "eager"))).launches for cell in launch.cells
        ]
        assert sum(cell.backend == "inductor" for cell in kept) == left * 2
