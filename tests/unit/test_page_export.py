"""What the page is made into beside itself."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pandas as pd
import pytest

from matrix.errors import INCOMPLETE, SelectionError
from reports.__main__ import main
from reports.page.export import MARKDOWN_ROWS, as_csv, as_json, as_markdown, as_png, export
from reports.page.tables import Table, tables
from tests.benchmarks.page_data import Shape
from tests.benchmarks.page_data import write_run as write_made_up
from tests.unit.page_runs import manifest_of, page_of, row, write_run

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="#d00"/></svg>'


def table(*values: str | float | None) -> Table:
    return Table(name="t", title="T", columns=tuple(f"c{place}" for place in range(len(values))), rows=(values,))


def test_csv_has_the_page_s_numbers_in_full(tmp_path: Path) -> None:
    page = page_of(write_made_up(tmp_path / "run", Shape(cells=20, images=2, launches=2, samples=1, failing=0.2)))
    made = {item.name: item for item in tables(page)}
    path = tmp_path / "matrix.csv"
    path.write_text(as_csv(made["matrix"]))
    found = pd.read_csv(path, keep_default_na=False, na_values={"speedup": [""]})
    assert len(found) == len(page.matrix.entries.line) == 40
    for value, expected in zip(found["speedup"], page.matrix.entries.numbers["speedup"], strict=True):
        assert value == expected or (math.isnan(value) and math.isnan(expected))
    assert set(found["image"]) == {"cpu@2.10", "cpu@2.11"}


def test_every_part_of_the_page_has_its_table(tmp_path: Path) -> None:
    runs = [
        write_made_up(
            tmp_path / f"run-{day}", Shape(cells=8, images=1, samples=1, failing=0.0, growth=0.3, noise=0.001, day=day, versions=day // 4)
        )
        for day in range(8)
    ]
    names = [item.name for item in tables(page_of(*runs))]
    expected = [
        "runs",
        "images",
        "environments",
        "comparison-1",
        "comparison-2",
        "matrix",
        "totals",
        "pass-rates",
        "paybacks",
        "tradeoffs",
        "history",
        "steps",
    ]
    assert names == expected


def test_a_spreadsheet_calculates_nothing() -> None:
    rows = list(csv.reader(as_csv(table("=1+1", "-2", "@x", "a=b", -1.5, None)).splitlines()))
    assert rows[1] == ["'=1+1", "'-2", "'@x", "a=b", "-1.5", ""]


def test_json_has_columns_and_rows(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", [row()]))
    found = json.loads(as_json(page, tables(page)))
    matrix = found["tables"]["matrix"]
    about = dict(zip(matrix["columns"], matrix["rows"][0], strict=True))
    assert (about["speedup"], about["status"], about["joules"]) == (2.0, "pass", None)


def test_markdown_has_no_markup_but_its_own_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    rows = [row(f"micro/{number:04d} | <b>", options="**x**") for number in range(MARKDOWN_ROWS + 5)]
    page = page_of(write_run(tmp_path / "run", rows))
    text = as_markdown(page, tables(page))
    assert "\n5 more left out here: matrix.csv has all.\n" in text
    assert "<b>" not in text
    assert "**x**" not in text


def test_figures_are_pictures(tmp_path: Path) -> None:
    png = as_png(SVG)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20], "big") == 80, "two pixels for one"


def test_all_of_it_is_written(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", [row()], manifest=manifest_of(["cpu@1"], ["cpu@1"])))
    written = export(page, tmp_path / "out" / "deep", {"forest": SVG})
    assert {path.name for path in written} >= {"matrix.csv", "totals.csv", "page.json", "page.md", "forest.svg", "forest.png"}
    assert all(path.stat().st_size for path in written)


def test_a_batch_size_that_only_rows_say_is_in_the_matrix(tmp_path: Path) -> None:
    rows = [row("micro/a", batch_size=16), row("micro/a", launch=1, batch_size=16)]
    rows += [row("micro/b", batch_size=16), row("micro/b", launch=1, batch_size=8), row("micro/c", batch_size=4, planned_batch_size=32)]
    (made,) = (table for table in tables(page_of(write_run(tmp_path / "run", rows))) if table.name == "matrix")
    found = {line[made.columns.index("workload")]: line[made.columns.index("batch_size")] for line in made.rows}
    assert found == {"micro/a": 16, "micro/b": None, "micro/c": 32}


def test_what_cannot_be_written_is_told_by_its_own_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, taken = write_run(tmp_path / "run", [row()]), tmp_path / "taken"
    taken.touch()
    assert main([str(run), "--export", str(taken)]) == INCOMPLETE
    said = capsys.readouterr().err
    assert "the export cannot be written" in said
    assert "--export" in said
    assert "--output" not in said
    assert (run / "report.html").exists()


def test_a_page_that_is_served_exports_nothing_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", [row()])
    assert main([str(run), "--serve", "0", "--export", str(tmp_path / "out")]) == SelectionError.exit_code
    assert "--export without --serve" in capsys.readouterr().err


def test_a_run_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [row()])
    (tmp_path / "link").symlink_to(run)
    page = page_of(run, tmp_path / "link", run)
    assert [source.name for source in page.sources] == ["run"]
    assert page.matrix.entries.launches.tolist() == [1]
    assert [item.reason for item in page.quarantined] == ["given more than once: it counts once"] * 2
