"""Models of a checkout of pytorch/benchmark, by their own loader. The checkout here is a small one of the same form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.cell import Cell, LaunchSpec, Sampling
from harness.files import read_fields
from harness.records import Status
from matrix.config import parse_matrix
from matrix.errors import SelectionError
from matrix.options import make_parser, selection_of
from matrix.plan import PlannedImage, make_plan
from matrix.torchbench import torchbench_models
from reports.gate.replay import cell_options
from tests.conftest import SOURCE
from tests.unit.test_config import GOOD

MODELS = {
    "linear": """
import torch
from utils.sizes import WIDTH

class Model:
    def __init__(self, test, device, batch_size=None, extra_args=()):
        self.test, self.batch_size = test, batch_size or 8
        self.module = torch.nn.Linear(WIDTH, WIDTH).to(device)
        self.inputs = (torch.randn(self.batch_size, WIDTH, device=device),)

    def get_module(self):
        return self.module, self.inputs
""",
    "named": """
import torch

class Both(torch.nn.Module):
    def forward(self, first, second):
        return first - second

class Model:
    ALLOW_CUSTOMIZE_BSIZE = False

    def __init__(self, test, device, batch_size=None, extra_args=()):
        if test == "train":
            raise NotImplementedError("no training")
        self.batch_size = 4

    def get_module(self):
        return Both(), {"second": torch.ones(4), "first": torch.zeros(4)}
""",
    "lacking": "import a_package_that_nobody_has\n",
    "later": """
class Model:
    def __init__(self, test, device, batch_size=None, extra_args=()):
        import a_package_that_nobody_has
""",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "benchmark"
    for name, text in MODELS.items():
        folder = root / "torchbenchmark" / "models" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(text)
    (root / "torchbenchmark" / "__init__.py").write_text("")
    (root / "utils").mkdir()
    (root / "utils" / "sizes.py").write_text("WIDTH = 16\n")
    (root / "install.py").write_text("")
    return root


def planned(checkout: Path, *arguments: str) -> list[Cell]:
    options = make_parser().parse_args(["bench", "cpu", "--torchbench", str(checkout), "--backend", "eager", *arguments])
    return list(make_plan(parse_matrix(GOOD), (PlannedImage(name="cpu"),), selection_of(options)).launches[0].cells)


def measured(folder: Path, *cells: Cell) -> dict[str, dict[str, Any]]:
    """By a launch in a process of its own: models are found by what Python imports from."""
    spec = LaunchSpec(
        run="r",
        launch=0,
        attempt=0,
        image="i",
        cells=cells,
        seed=1,
        timeout_seconds=60,
        sampling=Sampling(samples=2, minimum_samples=2, budget_seconds=0.1, energy_seconds=0.0),
        measure_ceilings=False,
    )
    (folder / "cells.json").write_text(spec.to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(folder / "cells.json"), "--out", str(folder)]
    subprocess.run(command, cwd=SOURCE, check=True, capture_output=True)
    return {fields["name"].partition("/")[2]: dict(fields) for fields in read_fields(folder / "results.csv")}


def test_models_are_measured_as_cells(checkout: Path, tmp_path: Path) -> None:
    cells = planned(checkout)
    assert [cell.workload for cell in cells] == ["torchbench/lacking", "torchbench/later", "torchbench/linear", "torchbench/named"]
    rows = measured(tmp_path, *cells)
    assert rows["linear"]["status"] == rows["named"]["status"] == Status.PASS
    assert (rows["linear"]["batch_size"], rows["named"]["batch_size"]) == ("8", "4")
    for name in ("lacking", "later"):
        assert rows[name]["status"] == Status.UNSUPPORTED
        assert f"{name} needs a package that is not in this image: No module named 'a_package_that_nobody_has'" in rows[name]["reason"]


def test_what_a_model_does_not_do_is_unsupported(checkout: Path, tmp_path: Path) -> None:
    cells = planned(checkout, "--mode", "training", "--batch-size", "3", "-k", "linear|named")
    rows = measured(tmp_path, *cells)
    assert (rows["linear"]["status"], rows["linear"]["batch_size"]) == (Status.PASS, "3")
    assert "named has one batch size" in rows["named"]["reason"]
    (tmp_path / "again").mkdir()
    rows = measured(tmp_path / "again", *planned(checkout, "--mode", "training", "-k", "named"))
    assert "named does not do this: no training" in rows["named"]["reason"]


def test_one_of_them_is_chosen_by_name(checkout: Path) -> None:
    assert [name for name, _ in torchbench_models(f"torchbench:{checkout}:named")] == ["torchbench/named"]
    (cell,) = planned(checkout, "-k", "named")
    words = cell_options(cell)
    assert words[:2] == ["--only", f"torchbench:{checkout}:named"]
    options = make_parser().parse_args(["bench", "cpu", *words])
    assert make_plan(parse_matrix(GOOD), (PlannedImage(name="cpu"),), selection_of(options)).launches[0].cells == (cell,)


@pytest.mark.parametrize("text", ["torchbench:", "torchbench:/nowhere"])
def test_no_checkout_is_named_with_the_next_step(text: str) -> None:
    with pytest.raises(SelectionError, match=r"is no checkout of pytorch/benchmark(.|\n)*next: git clone"):
        torchbench_models(text)


def test_an_unknown_model_is_named_with_the_nearest(checkout: Path) -> None:
    with pytest.raises(SelectionError, match=r"no model 'liner'; did you mean 'linear'"):
        torchbench_models(f"torchbench:{checkout}:liner")
