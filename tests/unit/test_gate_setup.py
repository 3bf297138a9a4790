"""What is compared: cells that both images have, by margins that the last rule sets."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Callable

import pytest

from harness.cell import Cell
from matrix.config import Margin
from matrix.errors import SelectionError
from matrix.options import NOT_ABOUT_NUMBERS, add_building, add_measuring
from matrix.options import make_parser as bench_parser
from matrix.plan import PlannedImage, Selection, make_plan
from reports.gate.options import make_parser as gate_parser
from reports.gate.options import replay_of
from reports.gate.replay import replay_command
from reports.gate.setup import GateSetup, make_setup
from tests.unit.gate_runs import MATRIX, MICRO, NEW, OLD, matrix_with, setup_of

OTHER = PlannedImage(name="other")
RULES = """
[gate.margins.error]
delta = 0.5
tolerable = 0.5

[[gate.margin]]
reason = "noisy by nature"
workload = ["micro/*"]
margin = { delta = 0.04, tolerable = 0.1, blocks = true }

[[gate.margin]]
reason = "the slowest of all"
workload = ["micro/sort"]
backend = ["inductor"]
image = ["cpu"]
margin = { delta = 0.2, tolerable = 0.4 }

[[gate.margin]]
reason = "nobody waits for it"
metric = "compile_time"
workload = ["micro/sort"]
margin = { delta = 1.0, tolerable = 2.0 }

[[gate.margin]]
reason = "of another image"
workload = ["micro/softmax"]
image = ["other"]
margin = { delta = 0.5, tolerable = 0.5 }
"""


def margins(setup: GateSetup, metric: str = "latency") -> dict[str, Margin]:
    return {cell.workload.partition("/")[2]: margin for cell, margin in zip(setup.cells, setup.margins[metric], strict=True)}


def test_the_last_rule_that_names_a_cell_sets_its_margin() -> None:
    found = setup_of(matrix=matrix_with(RULES))
    latency = margins(found)
    assert latency["gather"] == Margin(delta=0.04, tolerable=0.1, blocks=True)
    assert latency["sort"] == Margin(delta=0.2, tolerable=0.4, blocks=True), "as the metric does"
    assert latency["softmax"] == latency["gather"], "a rule of another image"
    assert margins(found, "compile_time")["sort"] == Margin(delta=1.0, tolerable=2.0, blocks=False)
    assert margins(found, "compile_time")["gather"] == Margin(delta=0.1, tolerable=0.25, blocks=False)
    assert margins(found, "error")["sort"] == Margin(delta=0.5, tolerable=0.5, blocks=True)


def test_a_rule_of_either_image_counts() -> None:
    found = setup_of(candidate=OTHER, matrix=matrix_with(RULES))
    assert margins(found)["softmax"].delta == 0.5


def test_without_rules_the_metric_s_own_margins_count() -> None:
    assert set(setup_of().margins["latency"]) == {Margin(delta=0.02, tolerable=0.05, blocks=True)}


def test_cells_of_one_image_only_are_lost_or_new() -> None:
    found = setup_of(Selection(filter=("softmax", "image/start")), baseline=NEW, candidate=OTHER)
    assert found.ids == ("micro/softmax inductor cpu inference float32 small",)
    assert dict(found.lost) == {"image/start python cpu": "it is none of its cells"}
    assert found.new == ("micro/softmax eager cpu inference float32 small",)


def test_a_lost_cell_has_the_reason_of_its_rule() -> None:
    matrix = matrix_with('[[exclude]]\nreason = "crashes"\nimage = ["other"]\nworkload = ["micro/sort"]\n')
    found = setup_of(candidate=OTHER, matrix=matrix)
    assert dict(found.lost) == {"micro/sort inductor cpu inference float32 small": "a rule leaves it out: crashes"}


def test_the_parts_of_a_partition_are_all_cells_whatever_each_image_has() -> None:
    matrix = matrix_with('[[exclude]]\nreason = "crashes"\nimage = ["other"]\nworkload = ["micro/softmax"]\n')
    selections = [Selection(filter=("^micro",), backends=("inductor",), partition=(part, 3)) for part in (1, 2, 3)]
    parts = [make_setup(matrix, OLD, OTHER, selection) for selection in selections]
    assert [len(part.ids) for part in parts] == [1, 2, 2]
    assert [cell for part in parts for cell in part.lost] == ["micro/softmax inductor cpu inference float32 small"]


def test_images_without_a_common_cell_are_not_compared() -> None:
    with pytest.raises(SelectionError, match="no cell in common"):
        setup_of(Selection(filter=("image/",)), baseline=NEW, candidate=OTHER)


def test_the_seed_is_the_command_line_s_or_the_configuration_s() -> None:
    assert setup_of().seed == MATRIX.run.seed
    assert setup_of(dataclasses.replace(MICRO, seed=7)).seed == 7


def test_a_cell_is_replayed_by_exactly_one_cell_of_both_images() -> None:
    command = replay_command(setup_of(), setup_of().cells[0])
    assert command == (
        "nox -s bench-cpu -- --image cpu@old --image cpu@new --only micro/softmax --backend inductor --mode inference "
        "--precision float32 --shapes small --launches 5"
    )
    selection = Selection(
        only=("micro/softmax",), backends=("inductor",), modes=("inference",), precisions=("float32",), shapes=("small",), launches=5
    )
    plan = make_plan(MATRIX, (OLD, NEW), selection)
    assert {launch.cells for launch in plan.launches} == {(setup_of().cells[0],)}


def test_what_a_shell_would_read_otherwise_is_quoted() -> None:
    cell = Cell(
        workload="path/m:Net", path="/my models/m.py", backend="inductor", options=(("max_autotune", True), ("mode", "x")), batch_size=3
    )
    command = replay_command(dataclasses.replace(setup_of(), baseline=NEW), cell)
    assert "--only 'path:/my models/m.py:Net' --backend 'inductor(max_autotune=true, mode=x)'" in command
    assert command.endswith("--batch-size 3 --launches 5")
    assert command.count("--image") == 1
    assert replay_command(setup_of(), Cell(workload="image/start", backend="python", mode="", precision="", shapes="")).endswith(
        "--only image/start --launches 5"
    )


GIVEN = {
    "engine": "local",
    "timeout": "60",
    "memory": "8g",
    "gpus": "none",
    "quick": None,
    "threads": "2",
    "deterministic": None,
    "tf32": None,
    "channels_last": None,
    "activation_checkpointing": None,
    "optimizer": "sgd",
    "torch_config": "inductor.max_autotune=true",
    "distributed": "ddp",
    "ranks": "2",
    "gpu_memory_fraction": "0.5",
    "cache": "cold",
    "environments": "/somewhere",
    "base": "python:3.12",
    "build_network": "host",
    "ca_bundle": "/certificates.pem",
    "pip_config": "/pip.conf",
    "wheelhouse": "/wheels",
    "no_skip": None,
    "seed": "7",
}
"""Every option that decides how a cell is measured, with a value of its own where it takes one."""


def options_of(build: Callable[[argparse.ArgumentParser], None]) -> set[str]:
    parser = argparse.ArgumentParser(add_help=False)
    build(parser)
    return {action.dest for action in parser._actions}


def test_an_option_that_is_added_is_replayed_or_named_as_one_that_changes_no_number() -> None:
    measuring = options_of(lambda parser: add_measuring(parser.add_argument_group())) | options_of(add_building)
    assert {*GIVEN, *NOT_ABOUT_NUMBERS} == measuring | {"no_skip", "seed"}


@pytest.mark.parametrize("name", GIVEN)
def test_a_cell_is_replayed_as_it_was_measured(name: str) -> None:
    value = GIVEN[name]
    given = [f"--{name.replace('_', '-')}", *([] if value is None else [value])]
    sides = ["--baseline", "cpu@old", "--candidate", "cpu@new"]
    config, *words = replay_of(gate_parser().parse_args([*sides, *given]))
    assert (config, words) == ("", given)
    command = replay_command(dataclasses.replace(setup_of(), replay=("", *words)), setup_of().cells[0])
    again = bench_parser().parse_args(["bench", *shlex.split(command.partition(" -- ")[2].replace("--image", "cpu --image", 1))])
    assert getattr(again, name) == getattr(bench_parser().parse_args(["bench", "cpu", *given]), name)


def test_what_was_not_given_is_not_replayed() -> None:
    assert replay_of(gate_parser().parse_args(["--tag", "mine", "--plan", "--config", "other.toml"])) == ("other.toml",)
