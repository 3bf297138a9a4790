"""Outputs kept and compared: by real calls in this process, and by real files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.cell import Cell, LaunchSpec
from harness.experiments import kept_outputs
from harness.experiments.checking import Checked, check
from harness.experiments.kept_outputs import fingerprint, read_kept
from harness.measure.clock import CpuClock
from harness.output import OUTPUTS
from harness.protocols import Subject
from harness.records import Warn
from tests.said import Said, bench_of
from tests.unit.test_backends import Mlp, make


class Directed(nn.Module):
    """As by another version: the same form, other values where ``shift`` is not 0; right all the same, since eager has them too."""

    shift = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(64, 32)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.up(x)
        return {"whole": y, "row": (y + self.shift)[0]}


def checked(model: nn.Module, folder: Path, seed: int = 1, mode: str = "inference", **settings: Any) -> tuple[Said, Cell]:
    folder.mkdir(exist_ok=True)
    backend, cell = make("eager", folder, mode=mode)
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    report = Said(folder)
    bench = bench_of(cell, Subject(model=model, inputs=(torch.rand(8, 64),)), backend, CpuClock("cold"), report)
    outcome = check(dataclasses.replace(bench, spec=dataclasses.replace(bench.spec, **settings)))
    assert isinstance(outcome, Checked), report.fields
    return report, cell


def compared(model: nn.Module, earlier: Path, folder: Path, **settings: Any) -> Said:
    cell = Cell(workload="w/w", backend="eager", mode=settings.get("mode", "inference"))
    report, _ = checked(model, folder, compare_outputs=str(earlier), kept_outputs={cell.id: OUTPUTS}, **settings)
    return report


def test_the_same_again_is_the_same_to_the_bit(tmp_path: Path) -> None:
    report, _ = checked(Directed(), tmp_path / "a", save_outputs=True)
    assert not report.warnings
    kept = read_kept(tmp_path / "a" / OUTPUTS)
    assert {group: list(each) for group, each in kept.tensors.items()} == {"outputs": ["['whole']", "['row']"]}
    assert kept.torch == torch.__version__
    again = compared(Directed(), tmp_path / "a", tmp_path / "b")
    assert (again.fields["outputs_difference"], again.fields["outputs_compared"]) == (0.0, "same")
    assert not (tmp_path / "b" / OUTPUTS).exists()


def test_in_training_gradients_are_kept_too(tmp_path: Path) -> None:
    checked(Mlp(), tmp_path / "a", mode="training", save_outputs=True)
    kept = read_kept(tmp_path / "a" / OUTPUTS).tensors
    assert list(kept) == ["outputs", "gradients", "input gradients"]
    assert len(kept["gradients"]) == 4
    assert compared(Mlp(), tmp_path / "a", tmp_path / "b", mode="training").fields["outputs_compared"] == "same"


def test_another_result_is_told_with_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked(Directed(), tmp_path / "a", save_outputs=True)
    before = read_kept(tmp_path / "a" / OUTPUTS).tensors["outputs"]["['row']"]
    monkeypatch.setattr(Directed, "shift", 0.5)
    report = compared(Directed(), tmp_path / "a", tmp_path / "b")
    size = float(before.double().pow(2).mean().sqrt())
    assert report.fields["outputs_difference"] == pytest.approx(0.5 / size, rel=1e-5)
    assert report.fields["outputs_compared"].startswith("differ (the earlier run's, and this run's in eager's place): outputs")
    assert Warn.OUTPUTS_DIFFER in report.warnings


def test_other_weights_or_inputs_do_not_compare(tmp_path: Path) -> None:
    checked(Directed(), tmp_path / "a", save_outputs=True)
    report = compared(Directed(), tmp_path / "a", tmp_path / "b", seed=2)
    assert report.fields["outputs_compared"].startswith(
        "not compared: weights or inputs are other ones than those of the earlier run (torch "
    )
    assert "outputs_difference" not in report.fields
    assert report.warnings == [Warn.OUTPUTS_NOT_COMPARED]


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), (b"", "does not read"), (b"PK\x03\x04 cut off", "does not read")])
def test_what_does_not_read_is_no_verdict(tmp_path: Path, content: bytes | None, words: str) -> None:
    (tmp_path / "a").mkdir()
    if content is not None:
        (tmp_path / "a" / OUTPUTS).write_bytes(content)
    report = compared(Directed(), tmp_path / "a", tmp_path / "b")
    assert report.fields["outputs_compared"].startswith("not compared: ")
    assert words in report.fields["outputs_compared"]


def test_a_cell_that_the_earlier_run_does_not_have_is_told(tmp_path: Path) -> None:
    report, _ = checked(Directed(), tmp_path / "a", compare_outputs=str(tmp_path))
    assert report.fields["outputs_compared"] == "not compared: the earlier run has kept no outputs of this cell"


def test_another_schema_and_other_code_are_refused(tmp_path: Path) -> None:
    """A file of anybody's runs nothing when it is read."""
    torch.save({"schema": 0, "tensors": {}, "fingerprint": "", "torch": ""}, tmp_path / "old.pt")
    with pytest.raises(ValueError, match="is of schema 0, this is 1"):
        read_kept(tmp_path / "old.pt")
    torch.save(Mlp(), tmp_path / "code.pt")
    with pytest.raises(ValueError, match=r"code\.pt does not read: UnpicklingError"):
        read_kept(tmp_path / "code.pt")


def test_what_is_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_outputs, "MOST_BYTES", 100)
    report, _ = checked(Directed(), tmp_path / "a", save_outputs=True)
    assert report.warnings == [Warn.OUTPUTS_NOT_KEPT]
    assert not (tmp_path / "a" / OUTPUTS).exists()


def test_what_fails_as_they_are_kept_costs_nothing_else(tmp_path: Path) -> None:
    """A folder where the file would be."""
    (tmp_path / "a" / OUTPUTS / "x").mkdir(parents=True)
    report, _ = checked(Directed(), tmp_path / "a", save_outputs=True)
    assert report.warnings == [Warn.COSTS_INCOMPLETE]
    assert report.fields["reason"].startswith("outputs could not be measured: IsADirectoryError")


def test_whole_numbers_have_no_relative_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ranked(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x + 1, x.argsort(descending=Directed.shift > 0)

    checked(Ranked(), tmp_path / "a", save_outputs=True)
    monkeypatch.setattr(Directed, "shift", 1.0)
    report = compared(Ranked(), tmp_path / "a", tmp_path / "b")
    assert report.fields["outputs_difference"] == 0.0
    assert Warn.OUTPUTS_DIFFER in report.warnings


def test_a_view_is_kept_without_the_memory_behind_it(tmp_path: Path) -> None:
    class Row(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x] * 10_000)[0]

    checked(Row(), tmp_path / "a", save_outputs=True)
    assert (tmp_path / "a" / OUTPUTS).stat().st_size < 20_000


def test_a_fingerprint_tells_a_bit_of_a_weight_an_input_or_a_type() -> None:
    def of(model: nn.Module, *inputs: torch.Tensor) -> str:
        return fingerprint(Subject(model=model, inputs=inputs))

    torch.manual_seed(1)
    model, x = nn.BatchNorm1d(4), torch.rand(3, 4)
    known = of(model, x)
    assert of(model, x.clone()) == known
    assert len({known, of(model, x + 1e-7), of(model, x.double()), of(model, x, x)}) == 4
    model.running_mean.add_(1e-6)  # type: ignore[union-attr]
    assert of(model, x) != known
    scalars = torch.zeros((), dtype=torch.bfloat16), torch.zeros(0), torch.tensor([1 + 2j]).conj()
    assert of(nn.Identity(), *scalars) != of(nn.Identity(), *scalars[:2])


def test_the_specification_has_all_of_it_after_its_journey() -> None:
    spec = LaunchSpec(
        run="r",
        launch=0,
        attempt=0,
        image="i",
        cells=(),
        seed=1,
        timeout_seconds=1.0,
        keep_debug=("crash",),
        save_outputs=True,
        compare_outputs="/o",
        kept_outputs={"c": "000-0/0000/outputs.pt"},
    )
    assert LaunchSpec.from_json(spec.to_json()) == spec
