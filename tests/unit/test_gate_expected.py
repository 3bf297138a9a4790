"""Expected failures: strict about what is written, and about what it excuses."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from harness.cell import Cell
from harness.records import Status
from matrix.errors import ConfigError
from reports.gate.expected import Expected, Judgement, Standing, judge, load_expected, parse_expected

IMAGES = ("cpu", "inductor-cuda")
TODAY = datetime.date(2026, 6, 30)
CELL = Cell(workload="micro/conv2d", backend="inductor", options=(("mode", "max-autotune"),))

GOOD = """\
[[expected]]
workload = ["micro/conv*"]
backend = ["inductor"]
image = ["cpu"]
status = ["crash:SIGSEGV", "timeout"]
reason = "issue 7"
expires = 2026-06-30

[[expected]]
status = ["crash:*"]
reason = "anything"
expires = 2026-01-01
"""

MISTAKES = """\
[[expected]]
workload = [
  "micro/softmax",
  "micro/sofmax",
]
status = ["crash", "pass", "infra_error"]
expires = 2026-06-30

[[expected]]
status = []
reason = ""
expires = "2026-06-30"
image = ["gpu"]
workloads = ["micro/*"]

[[expected]]
status = ["OOM"]
reason = "x"
expires = 2026-06-30T00:00:00
backend = ["inducter"]
"""


def good() -> tuple[Expected, ...]:
    return parse_expected(GOOD, "expected_failures.toml", IMAGES)


def verdict(status: str, cell: Cell = CELL, image: str = "cpu", today: datetime.date = TODAY) -> Standing:
    return judge(good(), cell, image, status, today).standing


def test_every_mistake_is_reported_with_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_expected(MISTAKES, "e.toml", IMAGES)
    *found, following = str(caught.value).splitlines()
    assert following.startswith("  next: ")
    expected = [
        "e.toml:1: expected.0.reason: missing",
        "e.toml:4: expected.0.workload.1: no workload matches 'micro/sofmax'; did you mean 'micro/softmax'?",
        "e.toml:6: expected.0.status.0: 'crash' is no status of a failure; did you mean 'crash:*'?",
        "e.toml:6: expected.0.status.1: 'pass' is no status of a failure",
        "e.toml:6: expected.0.status.2: 'infra_error' is no status of a failure",
        "e.toml:10: expected.1.status: names nothing",
        "e.toml:11: expected.1.reason: string should have at least 1 character",
        "e.toml:12: expected.1.expires: input should be a valid date",
        "e.toml:13: expected.1.image: unknown image 'gpu'",
        "e.toml:14: expected.1.workloads: unknown key; did you mean 'workload'?",
        "e.toml:19: expected.2.expires: input should be a valid date",
        "e.toml:20: expected.2.backend.0: unknown backend 'inducter'; did you mean 'inductor'?",
    ]
    assert len(found) == len(expected)
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(beginning)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("[[expected]\n", "e.toml:1: not TOML"),
        ("expected = 3\n", "e.toml:1: expected: "),
        ("[expected]\nx = 1\n", "e.toml:1: expected: "),
        ("[[expectd]]\n", "e.toml:1: expectd: unknown key; did you mean 'expected'?"),
    ],
)
def test_what_is_no_such_file_is_located(source: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_expected(source, "e.toml", IMAGES)
    assert str(caught.value).startswith(says)


def test_a_file_that_is_not_there_expects_nothing_and_one_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "expected_failures.toml"
    assert load_expected(path, IMAGES) == ()
    path.write_text(GOOD)
    assert load_expected(path, IMAGES) == good()
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"expected_failures\.toml:1: cannot be read"):
        load_expected(path, IMAGES)


def test_an_empty_file_expects_nothing() -> None:
    assert parse_expected("", "e.toml", IMAGES) == ()
    assert judge((), CELL, "cpu", Status.OOM, TODAY) == Judgement(standing=Standing.NONE)


def test_a_failure_is_excused_up_to_its_last_day() -> None:
    assert judge(good(), CELL, "cpu", "crash:SIGSEGV", TODAY) == Judgement(standing=Standing.EXCUSED, reason="issue 7", expires=TODAY)
    assert verdict(Status.TIMEOUT, today=TODAY + datetime.timedelta(days=1)) == Standing.EXPIRED


def test_an_entry_that_holds_goes_before_one_that_has_expired() -> None:
    """Both entries name a crash of conv2d."""
    assert verdict("crash:SIGSEGV") == Standing.EXCUSED
    assert judge(good()[::-1], CELL, "cpu", "crash:SIGSEGV", TODAY).standing == Standing.EXCUSED
    assert verdict("crash:SIGABRT") == Standing.EXPIRED


@pytest.mark.parametrize(
    ("cell", "image", "status"),
    [
        (CELL, "cpu", Status.OOM),
        (CELL, "cpu", Status.FAIL_ACCURACY),
        (CELL, "cpu", Status.INFRA_ERROR),
        (CELL, "inductor-cuda", Status.TIMEOUT),
        (Cell(workload="micro/softmax", backend="inductor"), "cpu", Status.TIMEOUT),
        (Cell(workload="micro/conv2d", backend="eager"), "cpu", Status.TIMEOUT),
    ],
)
def test_another_status_cell_or_image_is_excused_by_nothing(cell: Cell, image: str, status: str) -> None:
    assert verdict(status, cell, image) == Standing.NONE


def test_a_pass_of_what_should_fail_is_told_before_and_after_the_last_day() -> None:
    assert verdict(Status.PASS) == Standing.UNEXPECTED_PASS
    assert verdict(Status.PASS, today=datetime.date(2030, 1, 1)) == Standing.UNEXPECTED_PASS
    only_first = good()[:1]
    assert judge(only_first, Cell(workload="micro/softmax", backend="inductor"), "cpu", Status.PASS, TODAY).standing == Standing.NONE
