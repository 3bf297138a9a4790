"""What the page says, as somebody reads it: numbers agree with their words, nothing is said twice, and nothing that is not known."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from reports.__main__ import main
from reports.page.model import Page
from reports.page.numbers import THIN, counted
from reports.page.render import render
from reports.page.summary import summary
from tests.unit.page_runs import failed, manifest_of, page_of, row, write_run

COUNTED = "blocks|cells|columns|files|launches|lines|ones|packages|ratios|rows|runs|samples|were|are"
DISAGREES = re.compile(rf"\b1 (?:more |common )?(?:{COUNTED})\b|\b1 lines? or files?\b.{{0,40}}\bare\b")


def said(page: Page) -> str:
    """The text of a page, without its scripts, styles and licences."""
    text = "".join(render(page))
    text = re.sub(r"<(script|style|pre)\b.*?</\1>", " ", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)).replace(THIN, " "))


def page_of_ones(folder: Path) -> Page:
    """One row of one cell in each of two runs, one package, one line that does not read, one row that is missing."""
    for number in (1, 2):
        label = f"cpu@{number}"
        run = write_run(folder / f"run-{number}", [row(image=label)], manifest=manifest_of([label], [label], day=number, planned_rows=2))
        if number == 2:
            with (run / "results.csv").open("a") as file:
                file.write("broken\n")
    return page_of(folder / "run-1", folder / "run-2")


def test_one_of_anything_is_one(tmp_path: Path) -> None:
    text = said(page_of_ones(tmp_path))
    for phrase in (
        "1 row",
        "1 package",
        "geometric mean of 1 ratio of time",
        "over 1 common line,",
        "1 line or file could not be read and is",
    ):
        assert phrase in text
    assert DISAGREES.findall(text) == []
    assert DISAGREES.findall(summary(page_of_ones(tmp_path / "again"))) == []


def test_the_command_counts_like_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", [row()])
    with (run / "results.csv").open("a") as file:
        file.write("broken\n")
    assert main([str(run)]) == 0
    out = capsys.readouterr().out
    assert "1 line or file is quarantined: the page says which" in out
    assert DISAGREES.findall(out) == []


def test_numbers_are_in_groups_and_have_their_word() -> None:
    assert [counted(number, "row") for number in (0, 1, 2, 12345)] == ["0 rows", "1 row", "2 rows", f"12{THIN}345 rows"]
    assert counted(1, "launch", "launches") == "1 launch"


def test_a_file_s_note_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("name,launch,cell,backend,status\nmicro/a,0,c,inductor,pass\n")
    assert said(page_of(path)).count("it says nothing of machine and image") == 1


def test_environments_are_the_same_only_where_both_are_known(tmp_path: Path) -> None:
    files = []
    for name in "ab":
        files.append(tmp_path / f"{name}.csv")
        files[-1].write_text("name,launch,cell,backend,status,image,speedup\nmicro/a,0,c,inductor,pass,x,2.0\n")
    unknown = page_of(*files)
    assert unknown.comparisons[0].difference.same == ()
    assert "Nothing is known of both environments." in said(unknown)
    manifest = manifest_of(["cpu@1", "cpu@2"], ["cpu@1", "cpu@2"])
    for start in manifest["starts"]:
        start["packages"] = {"torch": "2.13"}
    found = page_of(write_run(tmp_path / "run", [row(image="cpu@1"), row(image="cpu@2", launch=1)], manifest=manifest))
    assert found.comparisons[0].difference.same == ("packages", "machine", "harness")
    assert "Known of both, and the same: packages, machine, harness." in said(found)


def test_what_has_no_interval_is_not_said_to_be_not_compared(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, [row(image=name), failed("micro/b", image=name)]) for name in "ab"]
    found = page_of(*runs).comparisons[0]
    assert found.cells[0].report.findings[0].ratio is not None or found.cells[1].report.findings[0].ratio is not None
    assert found.capped.endswith("ratios of their times have no interval")
    assert "not judged" not in found.why, "the banner says it already"
    assert found.why == "2 cells in both images", "why there is no interval is said once"
