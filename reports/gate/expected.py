"""Expected failures: cells that may fail for a known reason, until a date. A file beside matrix.toml; what it says is judged purely.

    [[expected]]
    workload = ["micro/conv2d"]
    backend = ["inductor"]
    status = ["crash:SIGSEGV"]
    reason = "https://github.com/pytorch/pytorch/issues/1234"
    expires = 2026-12-31

What an entry leaves out matches all; it excuses nothing that is not one of its statuses, and nothing after its last day.
"""

from __future__ import annotations

import datetime
import enum
import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from harness.cell import Cell
from harness.choice import nearest
from harness.records import Status
from matrix.config import Model, NotEmpty, Rule
from matrix.errors import ConfigError
from matrix.rules import matches
from matrix.toml_files import check, decode, read_source

NOT_FAILURES = Status.PASSED | {Status.INFRA_ERROR}
"""Nobody may expect these: they are none, or say nothing of the image."""
FAILURES = tuple(sorted(Status.CLOSED - NOT_FAILURES))
ANY_CRASH = Status.crash("*")


def _failure(text: str) -> str:
    if text not in (*FAILURES, ANY_CRASH) and not (text.startswith(Status.CRASH_PREFIX) and Status.is_known(text)):
        raise ValueError(f"{text!r} is no status of a failure{nearest(text, [*FAILURES, ANY_CRASH])}")
    return text


Failure = Annotated[str, AfterValidator(_failure)]


class Expected(Rule):
    """Cells by pattern that may end in one of these statuses; what is left out matches all."""

    status: Annotated[tuple[Failure, ...], NotEmpty] = Field(description="statuses of the record, or crash:* for any crash")
    expires: datetime.date = Field(description="the last day on which it excuses anything")


class File(Model):
    """The whole file."""

    expected: tuple[Expected, ...] = ()


class Standing(enum.StrEnum):
    """Of a cell's status before what was expected."""

    NONE = "none"
    """Nothing was said of it."""
    EXCUSED = "excused"
    """It failed as expected."""
    EXPIRED = "expired"
    """It failed as was expected until a day that is over: nothing excuses it any more."""
    UNEXPECTED_PASS = "unexpected_pass"  # noqa: S105  # it opens nothing
    """It passes although it is expected to fail: the entry can go."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    standing: Standing
    reason: str = ""
    """Of the entry that it goes by."""
    expires: datetime.date | None = None


def load_expected(path: Path, images: Iterable[str], *, required: bool = False) -> tuple[Expected, ...]:
    """Read the file; none where there is none, since without it nothing is excused. images: names that matrix.toml has; required:
    the configuration names the file.

    ConfigError has a line ``FILE:LINE: path: what is wrong`` for each mistake.
    """
    if required and not path.exists():
        raise ConfigError(f"there is no {path}, which [gate] names as expected_failures\n  next: write it, or leave expected_failures out")
    return parse_expected(read_source(path), path.name, images) if path.exists() else ()


def parse_expected(source: str, name: str, images: Iterable[str]) -> tuple[Expected, ...]:
    """The same from text. Pure."""
    return check(File, decode(source, name), source=source, name=name, context={"images": tuple(images)}).expected


def judge(expected: Sequence[Expected], cell: Cell, image: str, status: str, today: datetime.date) -> Judgement:
    """How a status stands before what was expected. image: its name in matrix.toml; status: the worst of the cell's launches.

    An entry that still holds goes before one that has expired. A passing cell is told of either: both can go.
    """
    about = [entry for entry in expected if matches(entry, image, cell)]
    if status not in Status.PASSED:
        about = [entry for entry in about if _names(entry, status)]
    if not about:
        return Judgement(standing=Standing.NONE)
    entry = max(about, key=lambda entry: entry.expires)
    if status in Status.PASSED:
        standing = Standing.UNEXPECTED_PASS
    else:
        standing = Standing.EXCUSED if today <= entry.expires else Standing.EXPIRED
    return Judgement(standing=standing, reason=entry.reason, expires=entry.expires)


def _names(entry: Expected, status: str) -> bool:
    return any(fnmatch.fnmatchcase(status, pattern) for pattern in entry.status)
