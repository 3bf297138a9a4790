"""matrix.toml: every mistake at once, each at its line, with the nearest known name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from matrix.config import load_matrix, parse_matrix
from matrix.errors import ConfigError
from matrix.schema import schema_text
from tests.conftest import SOURCE

GOOD = """
[run]
launches = 2

[images.cpu]
description = "PyTorch on the CPU"
base = "python:3.11"
backends = ["eager", "inductor"]
suites = ["micro"]

[suites.micro]
workloads = ["micro/*"]
"""

MISTAKES = """\
[run]
launchs = 2
timeout_seconds = -1.0
seed = "many"

[images.cpu]
description = "PyTorch on the CPU"
base = "python:3.11"
backends = [
  "eager",   # [not a table
  "inducter",
]
suites = ["mikro"]

[images.cpu.container]
memory = "much"

[suites.micro]
workloads = ["micro/sofmax"]

[axes]
precision = ["float23"]

[[exclude]]
workload = ["micro/lstm"]
"""


def messages(source: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_matrix(source)
    assert caught.value.exit_code == 2
    *found, following = str(caught.value).splitlines()
    assert following.startswith("  next: ")
    return found


def test_the_projects_own_file_is_right() -> None:
    matrix = load_matrix(SOURCE / "matrix.toml")
    assert "cpu" in matrix.images


def test_a_good_file_has_its_values_and_the_defaults() -> None:
    matrix = parse_matrix(GOOD)
    assert matrix.run.launches == 2
    assert matrix.run.samples == 30
    assert matrix.images["cpu"].backends == ("eager", "inductor")


def test_every_mistake_is_a_located_message() -> None:
    found = messages(MISTAKES)
    expected = [
        r"matrix.toml:2: run.launchs: unknown key; did you mean 'launches'\?",
        r"matrix.toml:3: run.timeout_seconds: .*greater than 0.*",
        r"matrix.toml:4: run.seed: .*whole number.*",
        r"matrix.toml:11: images.cpu.backends.1: unknown backend 'inducter'; did you mean 'inductor'\?",
        r"matrix.toml:13: images.cpu.suites: unknown suite 'mikro'; did you mean 'micro'\?",
        r"matrix.toml:16: images.cpu.container.memory: 'much' is not a size, as in 512m or 8g",
        r"matrix.toml:19: suites.micro.workloads.0: no workload matches 'micro/sofmax'; did you mean 'micro/softmax'\?",
        r"matrix.toml:22: axes.precision.0: unknown name 'float23'; did you mean 'float32'\?",
        r"matrix.toml:24: exclude.0.reason: missing",
    ]
    assert len(found) == len(expected)
    for message, pattern in zip(found, expected, strict=True):
        assert re.fullmatch(pattern, message), (message, pattern)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('launches = "two"', "launches: a whole number is expected (found 'two')"),
        ("samples = 1.5", "samples: a whole number is expected (found 1.5)"),
        ('budget_seconds = "x"', "budget_seconds: a number is expected (found 'x')"),
        ("batch_sizes = 8", "batch_sizes: a list is expected (found 8)"),
        ('memory_snapshot = "yes"', "memory_snapshot: true or false is expected (found 'yes')"),
        ("tag = 5", "tag: text is expected (found 5)"),
    ],
)
def test_a_value_of_another_kind_is_told_in_the_words_of_the_file(setting: str, said: str) -> None:
    assert f"matrix.toml:2: run.{said}" in messages(f"[run]\n{setting}\n")


def test_a_table_is_asked_for_where_there_is_none() -> None:
    assert "matrix.toml:1: run: a table is expected (found 3)" in messages("run = 3\n")


def test_what_is_not_toml_is_located() -> None:
    assert messages("[run]\nlaunches = = 2\n")[0].startswith("matrix.toml:2: not TOML:")


@pytest.mark.parametrize("text", [f"seed = {'9' * 5000}", f"images = {'[' * 5000}"])
def test_more_than_python_reads_is_told(text: str) -> None:
    assert messages(text)[0].startswith("matrix.toml:1: ")


def test_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml:1: cannot be read"):
        load_matrix(tmp_path / "nothing.toml")


@pytest.mark.parametrize("value", ["true", "1.0", '"1"', "[1]", "{}"])
def test_types_are_strict(value: str) -> None:
    assert "matrix.toml:3: run.launches:" in messages(GOOD.replace("launches = 2", f"launches = {value}"))[0]


def test_tables_of_the_wrong_kind_do_not_crash() -> None:
    for source in ("images = 3\nsuites = []", "run = 'x'", "[images]\ncpu = 1", "[[images]]\nbase = 'x'"):
        assert all(line.startswith("matrix.toml:") for line in messages(source))


@pytest.mark.parametrize(
    ("mount", "says"),
    [
        ('data = "/data"', "'data' is not an absolute path"),
        ('"/data" = "data"', "'data' is not an absolute path"),
        ('"/a/../b" = "/data"', "'/a/../b' is not an absolute path"),
        ('"/data" = "/tmp/x"', "'/tmp/x' is taken"),
        ('"/data" = "/out"', "'/out' is taken"),
        ('"/data" = "/"', "'/' is taken"),
    ],
)
def test_a_mount_has_a_place_of_its_own(mount: str, says: str) -> None:
    assert says in messages(f"{GOOD}\n[images.cpu.container.mounts]\n{mount}\n")[0]
    assert parse_matrix(f'{GOOD}\n[images.cpu.container.mounts]\n"/data" = "/models"\n').images["cpu"].container.mounts == {
        "/data": "/models"
    }


def test_a_users_own_workload_is_a_pattern() -> None:
    matrix = parse_matrix(GOOD.replace('"micro/*"', '"path:model.py:Net"'))
    assert matrix.suites["micro"].workloads == ("path:model.py:Net",)
    assert "path:FILE:CLASS" in messages(GOOD.replace('"micro/*"', '"path:model.py"'))[0]


def test_the_schema_file_is_fresh() -> None:
    assert (SOURCE / "matrix" / "schema.json").read_text() == schema_text(), (
        "run: .nox/host/bin/python -m matrix schema > matrix/schema.json"
    )


def test_a_confirmation_that_could_find_nothing_is_refused() -> None:
    (line,) = messages(GOOD + "\n[gate]\nalpha = 0.01\nlooks = [9]\nconfirm = 5\n")
    assert "confirm (5) is below 7 blocks" in line
