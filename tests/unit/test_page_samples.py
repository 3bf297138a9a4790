"""Samples: read fast or line by line, and kept as small numbers."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reports.page.rows
from harness.files import append_samples
from harness.records import Sample
from reports.page.rows import FINEST
from reports.samples import READ, load_samples
from tests.unit.page_runs import decoded, page_of, row, texts, write_run

CELL = "micro/softmax inductor"
NOBODY = 65534


def samples_of(seconds: list[float], variant: str = "backend", cell: str = CELL, first: int = 0, **changes: object) -> list[Sample]:
    values = {"launch": 0, "attempt": 0, "clock": "host", "started_seconds": 0.0, "calls": 1, "mark": ""} | changes
    return [
        Sample(cell=cell, variant=variant, index=first + number, seconds=value, **values)  # type: ignore[arg-type]
        for number, value in enumerate(seconds)
    ]


def test_every_sample_is_there_to_within_half_a_step(tmp_path: Path) -> None:
    eager, backend = np.random.default_rng(1).lognormal(-7, 0.1, (2, 30)).tolist()
    taken = [sample for pair in zip(samples_of(eager, "eager"), samples_of(backend, first=100), strict=True) for sample in pair]
    samples = page_of(write_run(tmp_path / "run", [row(cell=CELL)], taken)).matrix.samples
    assert (texts(samples.variant), samples.count.tolist(), samples.row.tolist()) == (["eager", "backend"], [30, 30], [0, 0])
    for series, seconds in enumerate((eager, backend)):
        restored = samples.centre[series] + samples.step[series] * samples.deviations[30 * series : 30 * (series + 1)]
        np.testing.assert_allclose(restored, seconds, atol=samples.step[series] / 2)
        assert samples.centre[series] == pytest.approx(np.median(seconds))


def test_far_outliers_cost_steps_and_not_range(tmp_path: Path) -> None:
    seconds = [1e-3] * 9 + [50.0]
    samples = page_of(write_run(tmp_path / "run", [row(cell=CELL)], samples_of(seconds))).matrix.samples
    assert samples.centre[0] + samples.step[0] * samples.deviations[-1] == pytest.approx(50.0)
    assert samples.step[0] > FINEST * samples.centre[0]


def test_a_browser_finds_a_cell_s_samples_and_their_marks_in_its_drawer(tmp_path: Path) -> None:
    names = [f"micro/w{number:03d}" for number in range(450)]
    rows = [row(name) for name in names]
    taken = []
    for number, name in enumerate(names):
        taken += samples_of([1e-3 + 1e-6 * number] * 3, cell=f"{name} inductor")
        taken += samples_of([2e-3], "eager", cell=f"{name} inductor", first=3, mark="throttled" if number == 300 else "")
    page = page_of(write_run(tmp_path / "run", rows, taken))
    blocks = decoded(page)
    firsts = blocks["bm-matrix"][0]["drawers"]
    assert len(firsts) == 3
    number = sum(first <= 300 for first in firsts) - 1
    drawer, deviations = blocks[f"bm-drawer-{number}"]
    series = drawer["series"]
    place = series["row"].index(300)
    assert (series["variant"][place], series["count"][place], series["centre"][place]) == ("eager", 1, 2e-3)
    assert drawer["mark"] == ["throttled"]
    assert drawer["marked"] == [sum(series["count"][:place])]
    assert sum(series["count"]) == len(deviations)
    assert drawer["rows"]["entry"][300 - drawer["first_row"]] == 300


def test_of_too_many_samples_some_are_kept_and_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.page.rows, "MOST_SAMPLES", 10)
    taken = [*samples_of([float(number) for number in range(1, 8)]), *samples_of([5.0] * 13, "eager", first=50)]
    page = page_of(write_run(tmp_path / "run", [row(cell=CELL)], taken))
    samples = page.matrix.samples
    assert (samples.one_in, samples.count.tolist(), len(samples.deviations)) == (2, [7, 4], 11)
    restored = samples.centre[1] + samples.step[1] * samples.deviations[7:]
    np.testing.assert_allclose(restored, [1, 3, 5, 7], atol=samples.step[1])
    assert decoded(page)["bm-page"][0]["samples_one_in"] == 2


def test_samples_of_another_attempt_or_of_no_row_are_left_out(tmp_path: Path) -> None:
    taken = [*samples_of([1.0], attempt=1), *samples_of([2.0]), *samples_of([3.0], cell="unknown"), *samples_of([4.0], launch=7)]
    samples = page_of(write_run(tmp_path / "run", [row(cell=CELL)], taken)).matrix.samples
    assert samples.centre.tolist() == [2.0]


def test_clocks_are_never_mixed(tmp_path: Path) -> None:
    taken = [*samples_of([1.0, 1.0]), *samples_of([0.5], clock="device", first=2)]
    samples = page_of(write_run(tmp_path / "run", [row(cell=CELL)], taken)).matrix.samples
    assert dict(zip(texts(samples.clock), samples.count.tolist(), strict=True)) == {"host": 2, "device": 1}


@pytest.mark.parametrize(
    "damage",
    [
        "0,0,c,backend,host,9,0.0,1e-3",
        "0,0,c,backend,host,9,0.0,x,1,\n",
        "0,0,c,backend,host,9,0.0,nan,1,\n",
        "0,0,c,backend,host,9,0.0,0.0,1,\n",
        "0,0,c,backend,host,9,0.0,-1e-3,1,\n",
        "0,0,c,backend,host,9,0.0,,1,\n",
        "one,0,c,backend,host,9,0.0,1e-3,1,\n",
        "0,0,c,backend,host,9\n",
        "\0\0\0\n",
        '0,0,"c,backend,host,9,0.0,1e-3,1,\n',
    ],
)
def test_a_line_that_does_not_read_costs_itself(tmp_path: Path, damage: str) -> None:
    good = samples_of([1e-3, 2e-3], cell="c,d \u00e9")
    run = write_run(tmp_path / "run", [row()], good[:1])
    with (run / "samples.csv").open("a", encoding="utf-8") as file:
        file.write(damage)
    found, unread = load_samples(run)
    assert (found["seconds"].tolist(), found["cell"].astype(str).tolist()) == ([1e-3], ["c,d \u00e9"])
    assert [item.reason for item in unread] == ["1 line of it is no sample"]
    assert [item.reason for item in page_of(run).quarantined] == ["1 line of it is no sample"]
    assert tuple(found.columns) == READ


def test_what_a_killed_command_left_is_read_too(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [row()], samples_of([1e-3]))
    left = run / "incoming" / "001-0"
    left.mkdir(parents=True)
    append_samples(left / "samples.csv", samples_of([2e-3], cell="other"))
    found, unread = load_samples(run)
    assert (found["seconds"].tolist(), unread) == ([1e-3, 2e-3], ())
    assert isinstance(found["cell"].dtype, pd.CategoricalDtype)


@pytest.mark.parametrize(
    "make",
    [lambda path: path.symlink_to(path.parent / "results.csv"), lambda path: path.symlink_to("nowhere"), Path.mkdir, os.mkfifo],
    ids=["link", "dangling link", "folder", "pipe"],
)
@pytest.mark.parametrize("folder", ["", "incoming/001-0"])
def test_what_is_no_regular_file_is_not_followed_and_named(tmp_path: Path, folder: str, make: Callable[[Path], None]) -> None:
    run = write_run(tmp_path / "run", [row()])
    (run / folder).mkdir(parents=True, exist_ok=True)
    make(run / folder / "samples.csv")
    assert len(load_samples(run)[0]) == 0
    said = [(item.file, item.line, item.reason) for item in page_of(run).quarantined]
    assert said == [(f"run/{folder}{'/' if folder else ''}samples.csv", 0, "no regular file: its samples are not read")]


def test_a_file_has_no_samples(tmp_path: Path) -> None:
    found, unread = load_samples(write_run(tmp_path / "run", [row()], samples_of([1e-3])) / "results.csv")
    assert (len(found), unread) == (0, ())


def test_samples_that_nobody_may_read_are_named_and_the_rows_are_shown(open_path: Path) -> None:
    run = write_run(open_path / "run", [row()], samples_of([1e-3]))
    (run / "samples.csv").chmod(0)
    with without_rights():
        page = page_of(run)
    assert page.matrix.entries.numbers["speedup"].tolist() == [2.0]
    (said,) = page.quarantined
    assert said.file == "run/samples.csv"
    assert "Permission denied" in said.reason


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own are its user's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.contextmanager
def without_rights() -> Iterator[None]:
    """As a user whom modes of files bind: root reads what it likes."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(mine)
