"""Pages of anything: every status, warning and missing field, hostile text, one row, none, other versions."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cell import Cell
from harness.records import COLUMNS, FLOAT_COLUMNS, INTEGER_COLUMNS, Row, Sample, Status, Warn
from matrix.store import open_run
from reports.load import load
from reports.page.build import UnknownColumn, build
from reports.page.collect import collect
from reports.page.export import as_csv, as_json, as_markdown
from reports.page.model import Page
from reports.page.payload import blocks
from reports.page.summary import summary
from reports.page.tables import tables
from tests.unit.page_runs import NOW, decoded, failed, manifest_of, page_of, row, texts, write_run

STATUSES = [*sorted(Status.CLOSED), "crash:SIGSEGV", "crash:exit3"]
HOSTILE = "</script><script>alert(1)</script><!-- \u2028 \ud800 ' \" ` {{ 7 * 7 }} | \\ $x $(id) \u202e =1+1"


def everything_of(page: Page) -> str:
    """All that is made from a page, as one text: it must at least be possible."""
    made = tables(page)
    texts_ = [block.text for block in blocks(page)] + [as_csv(table) for table in made]
    return "\n".join([*texts_, as_json(page, made), as_markdown(page, made), summary(page)])


def test_every_status_and_warning_is_shown(tmp_path: Path) -> None:
    rows = [failed(f"micro/{number}", status=status) for number, status in enumerate(STATUSES) if status != Status.PASS]
    rows += [row(f"micro/warned_{warn.value}", warnings=warn.value) for warn in Warn]
    page = page_of(write_run(tmp_path / "run", rows))
    assert set(texts(page.matrix.entries.status)) == set(STATUSES)
    assert set(texts(page.matrix.entries.warnings)) == {"", *(warn.value for warn in Warn)}
    assert {failure.status for failure in page.failures} == set(STATUSES) - Status.PASSED
    assert all(failure.reason == f"it ended as {failure.status}" for failure in page.failures)
    everything_of(page)


def whole() -> Row:
    """A row in which every field is."""
    numbers = dict.fromkeys(INTEGER_COLUMNS, 3) | dict.fromkeys(FLOAT_COLUMNS, 1.5)
    names = {name: name for name in COLUMNS if name not in numbers}
    return Row(**{**names, **numbers, "status": Status.PASS, "launch": 0, "attempt": 0, "evidence": "{}"})  # type: ignore[arg-type]


def test_every_field_of_a_row_is_in_its_drawer_or_in_its_place(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", [whole()]))
    drawer = decoded(page)["bm-drawer-0"][0]["rows"]
    elsewhere = {
        "dev",
        "name",
        "run",
        "image",
        "cell",
        "suite",
        "backend",
        "mode",
        "precision",
        "shapes",
        "planned_batch_size",
        "options",
        "abs_latency",
    }
    assert set(COLUMNS) - set(drawer) == elsewhere
    assert drawer["threads"] == [3]
    assert drawer["dynamo_seconds"] == [1.5]
    line, column = page.matrix.lines[0], page.matrix.columns[0]
    assert (line.suite, line.workload, line.batch_size, column.backend, column.options) == ("suite", "name", 3, "backend", "options")


@pytest.mark.parametrize("missing", sorted(set(COLUMNS) - {"name", "status"}))
def test_a_field_that_is_missing_is_missing(tmp_path: Path, missing: str) -> None:
    default: Any = next(field.default for field in dataclasses.fields(Row) if field.name == missing)
    page = page_of(write_run(tmp_path / "run", [dataclasses.replace(whole(), **{missing: default})]))
    rows = page.matrix.rows
    # Host time is in milliseconds too.
    if default is None and missing != "backend_latency_seconds":
        assert missing not in rows.columns
    assert len(page.matrix.entries.line) == 1
    assert "null" not in json.dumps(decoded(page)["bm-drawer-0"][0]["rows"])
    everything_of(page)


def test_nothing_ends_a_script_element_whatever_is_in_a_field(tmp_path: Path) -> None:
    fields = dict.fromkeys((name for name in COLUMNS if name not in INTEGER_COLUMNS | FLOAT_COLUMNS), HOSTILE)
    rows = [dataclasses.replace(whole(), **{**fields, "status": status, "launch": launch}) for launch, status in enumerate(("pass", "OOM"))]  # type: ignore[arg-type]
    hostile = {"command": [HOSTILE], "images": [{"label": HOSTILE, "digest": HOSTILE, "name": HOSTILE}], "seed": HOSTILE, "schema": 1}
    hostile |= {
        "starts": [{"image": HOSTILE, "machine": {HOSTILE: HOSTILE, "cpu": HOSTILE}, "packages": {HOSTILE: HOSTILE}, "started_at": HOSTILE}]
    }
    hostile |= {"excluded": [{"image": HOSTILE, "cell": HOSTILE, "reason": HOSTILE}], "harness_sha256": HOSTILE}
    sample = Sample(
        launch=0, attempt=0, cell=HOSTILE, variant=HOSTILE, clock=HOSTILE, index=0, started_seconds=0, seconds=1, calls=1, mark=HOSTILE
    )
    run = write_run(tmp_path / "run", rows, [sample], hostile)
    with (run / "results.csv").open("a", encoding="utf-8", errors="replace") as file:
        file.write("broken </script>\n")
    page = page_of(run)
    for block in blocks(page):
        assert block.text.isascii()
        assert not set(block.text) & set("<>&")
    about = decoded(page)
    assert about["bm-page"][0]["excluded"][0]["reason"].startswith("</script>")
    assert about["bm-drawer-0"][0]["mark"][0].startswith("</script>")
    assert page.quarantined_count == 1
    assert "<script>" not in as_markdown(page, tables(page))


def test_one_row(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", [row()]))
    assert (len(page.matrix.lines), len(page.matrix.columns), page.comparisons, page.history.steps) == (1, 1, (), ())
    assert summary(page).splitlines()[1].split() == ["micro/softmax", "cpu", "inference", "float32", "small", "2.00x", "1", "ms"]


@pytest.mark.parametrize("content", ["", ",".join(COLUMNS) + "\n", "nonsense\n"])
def test_no_rows(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.csv"
    path.write_text(content)
    page = page_of(path)
    assert summary(page) == "no rows"
    found = decoded(page)
    assert found["bm-matrix"][0]["drawers"] == []
    assert found["bm-page"][0]["totals"] == []
    everything_of(page)


def test_an_empty_folder_and_a_run_that_has_just_begun(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "manifest.json").write_text(json.dumps(manifest_of(["cpu@1"], [], planned_rows=8)))
    page = page_of(tmp_path / "empty", begun)
    assert [source.progress.planned for source in page.sources] == [None, 8]
    assert "not a run" in page.quarantined[0].reason
    everything_of(page)


def test_a_run_of_another_schema_is_readable_and_says_so(tmp_path: Path) -> None:
    """Columns that nobody knows, others that are gone, a manifest with everything elsewhere."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.json").write_text(
        json.dumps({"schema": 7, "images": {"cpu": 1}, "launches": "many", "starts": {"0": []}, "cells": []})
    )
    (run / "results.csv").write_text("name,launch,cell,backend,status,image,speedup,new_column\nmicro/a,0,micro/a x,x,pass,cpu,1.5,new\n")
    page = page_of(run)
    assert page.sources[0].note.startswith("Its manifest is of schema 7, this reads 1")
    assert page.matrix.entries.numbers["speedup"].tolist() == [1.5]
    everything_of(page)


ANCESTOR = """dev,name,batch_size,speedup,abs_latency,compilation_latency,compression_ratio,eager_peak_mem,dynamo_peak_mem,calls_captured
cuda,BertForMaskedLM,16,1.934000,29.105000,26.600000,1.010000,6.340000,6.270000,400
cuda,Broken,0,0.000000,0.000000,0,0,0,0,0
"""


def test_the_ancestor_s_files_are_pages(tmp_path: Path) -> None:
    for suite in ("huggingface", "timm"):
        (tmp_path / f"inductor_{suite}_amp_training_cuda_performance.csv").write_text(ANCESTOR)
    page = page_of(*sorted(tmp_path.glob("*.csv")))
    assert {line.suite for line in page.matrix.lines} == {"huggingface"}, "both files name the same workloads: a line has one suite"
    assert page.matrix.entries.numbers["speedup"][0] == 1.934
    assert page.matrix.entries.numbers["host_seconds"][0] == pytest.approx(0.029105)
    assert "nothing says that both were measured on one machine" in page.comparisons[0].capped
    assert page.sources[0].note.startswith("A file")
    everything_of(page)


def test_lines_and_columns_that_read_the_same_are_told_apart(tmp_path: Path) -> None:
    rows = [row(mode="a b", precision=""), row(mode="a", precision="b", cell="2")]
    rows += [row(image="x y", backend="z", cell="3"), row(image="x", backend="y z", cell="4")]
    page = page_of(write_run(tmp_path / "run", rows))
    assert len({(line.workload, line.detail) for line in page.matrix.lines}) == len(page.matrix.lines)
    assert len({column.label for column in page.matrix.columns}) == len(page.matrix.columns)


def test_runs_of_the_same_image_are_told_apart(tmp_path: Path) -> None:
    page = page_of(*(write_run(tmp_path / name, [row()]) for name in "ab"))
    assert [column.label for column in page.matrix.columns] == ["a: cpu@1 inductor", "b: cpu@1 inductor"]
    assert len(page.matrix.lines) == 1


def test_the_log_s_end_is_kept_of_what_did_not_pass(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run", [failed("micro/a", log="logs/a.log"), row("micro/b", log="logs/a.log"), failed("micro/c", log="../secret")]
    )
    (run / "logs").mkdir()
    (run / "logs" / "a.log").write_text("begin\n" + "x" * 5000 + "\nSegmentation fault <core>\n")
    (tmp_path / "secret").write_text("no log of this run")
    tails = texts(page_of(run).matrix.rows.log_tail)
    assert tails == ["Segmentation fault <core>", "", ""]


def test_a_replay_measures_exactly_this_cell(tmp_path: Path) -> None:
    cells = [
        Cell(workload="micro/sort", backend="inductor", batch_size=4),
        Cell(workload="image/size", backend="python", mode="", shapes="", precision=""),
    ]
    manifest = manifest_of(["cpu@1"], ["cpu@1"], cells={"cpu@1": [dataclasses.asdict(cell) for cell in cells]})
    rows = [row(cell.workload, cell=cell.id) for cell in cells] + [row("micro/unknown")]
    replay = page_of(write_run(tmp_path / "run", rows, manifest=manifest)).matrix.replay
    assert replay[0] == (
        "nox -s bench-cpu -- --image cpu@1 --only micro/sort --backend inductor --mode inference --precision float32 --shapes small --batch-size 4 --launches 5"
    )
    assert sorted(replay)[:2] == ["", "nox -s bench-cpu -- --image cpu@1 --only image/size --launches 5"]


def test_progress_and_time_left(tmp_path: Path) -> None:
    manifest = manifest_of(["cpu@1"], ["cpu@1"], day=5, planned_rows=4, state="running")
    run = write_run(tmp_path / "run", [row()], manifest=manifest)
    (run / ".lock").touch()
    with open_run(run):
        page = page_of(run)
    assert (page.sources[0].progress.state, page.sources[0].progress.rows, page.sources[0].progress.planned) == ("running", 1, 4)
    begun = datetime.datetime(2026, 1, 5, 6, tzinfo=datetime.timezone.utc)
    assert page.sources[0].progress.seconds_left == pytest.approx((NOW - begun).total_seconds() * 3)
    assert page_of(run).sources[0].progress.state == "interrupted", "nobody has it open any more"


def test_a_pause_before_a_resume_takes_no_time_of_measuring(tmp_path: Path) -> None:
    """Two rows in ten minutes, nothing for most of an hour, another row in the five minutes since: five minutes for each."""
    manifest = manifest_of(["cpu@1"], ["cpu@1"], day=5, planned_rows=5, state="running")
    manifest["starts"].append({"launch": 0, "attempt": 1, "image": "cpu@1", "started_at": "2026-01-05T06:55:00+00:00"})
    rows = [row("micro/a", started_at="2026-01-05T06:00:00+00:00", wall_seconds=240.0)]
    rows += [row("micro/b", started_at="2026-01-05T06:05:00+00:00", wall_seconds=300.0), row("micro/c", attempt=1)]
    run = write_run(tmp_path / "run", rows, manifest=manifest)
    (run / ".lock").touch()
    with open_run(run):
        assert page_of(run).sources[0].progress.seconds_left == pytest.approx(2 * 300)


def test_starts_that_measure_in_turns_take_their_time_once(tmp_path: Path) -> None:
    manifest = manifest_of(["old", "new"], ["old", "new"], day=5, planned_rows=6, state="running")
    for start in manifest["starts"]:
        start["started_at"] = "2026-01-05T06:00:00+00:00"
    rows = [row(image=image, launch=launch) for launch, image in enumerate(("old", "new"))]
    run = write_run(tmp_path / "run", rows, manifest=manifest)
    (run / ".lock").touch()
    with open_run(run):
        assert page_of(run).sources[0].progress.seconds_left == pytest.approx(2 * 3600)


def test_speedups_are_over_a_reference(tmp_path: Path) -> None:
    rows = [row(backend="eager", speedup=1.0, backend_latency_seconds=4e-3), row(backend="onnxruntime", image="ort", speedup=None)]
    run = write_run(tmp_path / "run", rows)
    page = page_of(run, reference="cpu@1 eager")
    assert page.reference == 0
    assert "4.00x the reference" in summary(page)
    for reference, says in (("nothing", "no column is"), ("e", "more than one column ends with")):
        with pytest.raises(UnknownColumn, match=says):
            page_of(write_run(tmp_path / reference, [row(backend="one"), row(backend="the")]), reference=reference)


@given(
    st.lists(st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=30) | st.integers().map(str) | st.floats().map(repr)), max_size=4)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_no_fields_break_a_page(tmp_path: Path, lines: list[dict[str, str]]) -> None:
    path = tmp_path / "fuzz.csv"
    text = ",".join(COLUMNS) + "\n"
    for fields in lines:
        values = {"name": "n", "status": "pass", "launch": "0"} | fields
        text += ",".join('"' + values.get(column, "").replace('"', '""') + '"' for column in COLUMNS) + "\n"
    path.write_text(text, encoding="utf-8", errors="replace")
    everything_of(build(collect(load([path])), NOW))


@pytest.mark.parametrize(
    "manifest",
    [
        '{"planned_rows": "many", "images": 3, "starts": [1], "engine": [], "excluded": {}, "gate": 3, "launches": {}}',
        '{"launches": [{"launch": "x"}, {"launch": 0, "image": 3, "block": "y", "side": []}], "cells": {"cpu@1": [{"workload": 3}, 7]}}',
        '{"images": [{"label": "cpu@1", "reference": 5, "name": 7}], "starts": [{"image": "cpu@1", "machine": {"memory_bytes": "x"}, "gpus": [1, {}]}]}',
        '{"starts": [{"image": "cpu@1", "started_at": 5, "machine": {"cpu": []}, "variables": []}], "state": [], "command": {}}',
    ],
)
def test_no_manifest_breaks_a_page(tmp_path: Path, manifest: str) -> None:
    run = write_run(tmp_path / "run", [row()])
    (run / "manifest.json").write_text(manifest)
    everything_of(page_of(run, write_run(tmp_path / "other", [row()])))
