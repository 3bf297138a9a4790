"""Reports: right numbers, nothing silently left out, and no file that crashes them."""

from __future__ import annotations

import base64
import csv
import datetime
import gzip
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.files import append_rows
from harness.records import COLUMNS, Row, Status
from reports.__main__ import main
from reports.format import duration, ratio, size
from reports.load import Loaded, load
from reports.page.build import UnknownColumn, build
from reports.page.collect import collect
from reports.page.model import Page
from reports.page.render import render
from reports.page.summary import summary

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
NUL = "a\0b"
SCRIPT = "<script>alert(1)</script>"


def row(name: str = "micro/softmax", backend: str = "inductor", **changes: object) -> Row:
    base = Row(
        dev="cpu",
        name=name,
        image="cpu",
        cell=f"{name} {backend}",
        backend=backend,
        mode="inference",
        precision="float32",
        shapes="small",
        status=Status.PASS,
        speedup=2.0,
        abs_latency=1.5,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def write(path: Path, *rows: Row) -> Path:
    append_rows(path, rows)
    return path


def built(loaded: Loaded, reference: str = "") -> Page:
    return build(collect(loaded), NOW, reference)


def page(loaded: Loaded) -> str:
    return "".join(render(built(loaded)))


def unpacked(text: str) -> str:
    """What a page's packed blocks say."""
    packed = re.findall(r'<script type="application/gzip[+]base64" id="[^"]+">([^<]*)</script>', text)
    return "".join(gzip.decompress(base64.b64decode(block)).decode("latin-1") for block in packed)


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)


def test_runs_with_the_same_image_are_told_apart(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.csv", row()), write(tmp_path / "b.csv", row(speedup=1.0))
    found = built(load([first, second]))
    assert [column.label for column in found.matrix.columns] == ["a.csv: cpu inductor", "b.csv: cpu inductor"]
    assert len(found.matrix.lines) == 1
    assert "a.csv: cpu inductor" in summary(found)


HEADER = ",".join(COLUMNS)
GOOD_LINE = "cpu,micro/softmax,4,2.0,1.5" + "," * (len(COLUMNS) - 5)


def line(**fields: str) -> str:
    values = {"dev": "cpu", "name": "micro/x", "launch": "0", "cell": "c", "backend": "inductor", "status": "pass", "speedup": "2.0"}
    values |= fields
    return ",".join(values.get(column, "") for column in COLUMNS)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", "neither ours nor the ancestor's"),
        (f"{HEADER},{HEADER}\n", "neither ours nor the ancestor's"),
        (f"{HEADER}\n1,2\n", "2 fields where the header has"),
        (f"{HEADER}\n{line(speedup='nan')}\n", "speedup: nan is not a measurement"),
        (f"{HEADER}\n{line(speedup='inf')}\n", "speedup: inf is not a measurement"),
        (f"{HEADER}\n{line(speedup='0')}\n", "not above 0"),
        (f"{HEADER}\n{line(speedup='fast')}\n", "speedup: not a number"),
        (f"{HEADER}\n{line(status='fine')}\n", "unknown status 'fine'"),
        (f"{HEADER}\n{line(name='')}\n", "names no workload"),
        (f"{HEADER}\n{line()}", "has no end"),
        (f"{HEADER}\n{line()}\n{line()}\n", "a second row of c"),
        (f'{HEADER}\n"unclosed,{line()}\n', "not CSV"),
        (f"{HEADER}\n{line(name=NUL)}\n", "NUL"),
        (f"{HEADER}\n{line(reason='x' * 10_000_000)}\n", "a line of 10000"),
        ("\x89PNG\r\n\x1a\n\0\0\0", "neither ours"),
    ],
    ids=lambda value: value[:24] if len(value) < 60 else None,
)
def test_what_does_not_read_is_quarantined_with_its_reason(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="latin-1")
    loaded = load([path])
    assert len(loaded.quarantined) == 1
    assert reason in loaded.quarantined[0].reason
    text = page(loaded)
    assert "Quarantined" in text
    assert len(text) < len(page(load([write(tmp_path / "good.csv", row())]))) + 10_000


def test_a_broken_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"{HEADER}\n{line(cell='1')}\nbroken\n{line(cell='2')}\n")
    loaded = load([path])
    assert len(loaded.table) == 2
    assert [(item.line, item.file) for item in loaded.quarantined] == [(3, "r.csv")]


@given(st.binary(max_size=400) | st.text(alphabet='",\n\r\0<>&ab1', max_size=400).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_no_bytes_crash_the_report(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzz.csv"
    for data in (content, HEADER.encode() + b"\n" + content, b"dev,name,batch_size,speedup\n" + content):
        path.write_bytes(data)
        page(load([path]))


@given(
    st.lists(st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=30) | st.integers().map(str) | st.floats().map(repr)), max_size=4)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_no_fields_crash_the_report(tmp_path: Path, lines: list[dict[str, str]]) -> None:
    path = tmp_path / "fuzz.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for fields in lines:
            values = {"name": "n", "status": "pass", "launch": "0"} | fields
            writer.writerow([values.get(column, "") for column in COLUMNS])
    summary(built(load([path])))
    page(load([path]))


@pytest.mark.parametrize(
    "manifest",
    ['{"planned_rows": "many", "images": 3, "starts": [1], "engine": [], "excluded": {}}', "[]", "3", '{"images": [{"size_bytes": "x"}]}'],
)
def test_no_manifest_crashes_the_report(tmp_path: Path, manifest: str) -> None:
    write(tmp_path / "results.csv", row())
    (tmp_path / "manifest.json").write_text(manifest)
    assert "micro/softmax" in unpacked(page(load([tmp_path])))


def test_nothing_reaches_the_page_unescaped(tmp_path: Path) -> None:
    fields = dict.fromkeys(("name", "image", "backend", "mode", "precision", "shapes", "options", "dev"), SCRIPT)
    rows = [row(**fields), row(cell="other", status=Status.FAIL_TO_RUN, reason=SCRIPT, warnings=SCRIPT, launch=1, **fields)]
    path = write(tmp_path / "results.csv", *rows)
    with path.open("a") as file:
        file.write(SCRIPT + "\n")
    hostile = {
        "command": [SCRIPT],
        "images": [{"label": SCRIPT, "digest": SCRIPT}],
        "starts": [{"image": SCRIPT, "machine": {SCRIPT: SCRIPT}}],
    }
    (tmp_path / "manifest.json").write_text(pd.Series(hostile).to_json())
    text = page(load([tmp_path]))
    harmless = Tags(page(load([write(tmp_path / "harmless.csv", row())]))).found

    assert "img" not in Tags(text).found
    assert Tags(text).found.count("script") == harmless.count("script"), "what a record says has made an element"
    assert "&lt;script&gt;" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


ANCESTOR = """dev,name,batch_size,speedup,abs_latency,compilation_latency,compression_ratio,eager_peak_mem,dynamo_peak_mem,calls_captured
cuda,BertForMaskedLM,16,1.934000,29.105000,26.600000,1.010000,6.340000,6.270000,400
cuda,Broken,0,0.000000,0.000000,0,0,0,0,0
"""


def test_the_ancestors_files_are_read_and_its_padding_is_not_a_measurement(tmp_path: Path) -> None:
    path = tmp_path / "inductor_huggingface_amp_training_cuda_performance.csv"
    path.write_text(ANCESTOR)
    loaded = load([path])
    assert not loaded.quarantined
    assert list(loaded.table["status"]) == ["pass", "fail_to_run"]
    assert loaded.table["speedup"][0] == 1.934
    assert math.isnan(loaded.table["speedup"][1])
    assert set(loaded.table["precision"]) == {"amp"}
    assert set(loaded.table["mode"]) == {"training"}
    assert "BertForMaskedLM" in unpacked(page(loaded))


def test_the_ancestors_accuracy_files_have_their_words(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.csv"
    path.write_text("dev,name,batch_size,accuracy\ncpu,A,1,pass\ncpu,B,1,eager_1st_run_OOM\ncpu,C,1,fail_accuracy\ncpu,D,1,dunno\n")
    loaded = load([path])
    assert list(loaded.table["status"]) == ["pass", "OOM", "fail_accuracy"]
    assert "unknown status 'dunno'" in loaded.quarantined[0].reason


def test_rows_that_a_killed_command_left_are_read_and_missing_ones_counted(tmp_path: Path) -> None:
    write(tmp_path / "results.csv", row(cell="1"))
    incoming = tmp_path / "incoming" / "000-1"
    incoming.mkdir(parents=True)
    write(incoming / "results.csv", row(cell="2", name="micro/sort"))
    (tmp_path / "manifest.json").write_text('{"planned_rows": 5, "state": "running"}')
    loaded = load([tmp_path])
    assert len(loaded.table) == 2
    assert loaded.sources[0].missing == 3
    assert "has 2 of 5 rows" in page(loaded)


def test_a_manifest_that_does_not_read_is_quarantined(tmp_path: Path) -> None:
    write(tmp_path / "results.csv", row())
    (tmp_path / "manifest.json").write_text("{half")
    assert load([tmp_path]).quarantined[0].file.endswith("manifest.json")


def test_the_command_names_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nothing")]) == 18
    assert "next:" in capsys.readouterr().err


def test_the_command_writes_the_page_beside_the_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "results.csv", row())
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "report.html").exists()
    assert "2.00x 1.5 ms" in capsys.readouterr().out


def test_an_empty_report_says_so(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text(HEADER + "\n")
    loaded = load([path])
    assert "There are no rows" in page(loaded)
    assert summary(built(loaded)) == "no rows"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (1.5, "1.5 s"),
        (0.00123, "1.23 ms"),
        (4.56e-6, "4.56 us"),
        (7e-9, "7 ns"),
        (1234.5, "1234 s"),
        (0.9996, "1 s"),
        (0.9994, "999 ms"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_absent_numbers_are_shown_as_nothing() -> None:
    assert (ratio(None), size(None)) == ("", "")
    assert (ratio(0.5), size(1536), size(3)) == ("0.50x", "1.5 KiB", "3 B")


def test_device_time_and_intervals_are_shown_beside_host_time(tmp_path: Path) -> None:
    timed = row(speedup=1.28, speedup_low=1.2, speedup_high=1.3, device_speedup=1.95)
    loaded = load([write(tmp_path / "results.csv", timed)])
    assert "1.28x (device 1.95x)" in summary(built(loaded))


def test_columns_are_set_beside_a_reference_by_one_clock(tmp_path: Path) -> None:
    rows = [
        row("micro/a", "eager", speedup=1.0, abs_latency=4.0),
        row("micro/a", "onnxruntime", image="ort", speedup=None, abs_latency=2.0),
        row("micro/b", "eager", speedup=1.0, abs_latency=4.0, backend_device_seconds=2e-3),
        row("micro/b", "onnxruntime", image="ort", speedup=None, abs_latency=1.0, backend_device_seconds=4e-3),
        row("micro/c", "eager", speedup=1.0, abs_latency=4.0, backend_device_seconds=2e-3),
        row("micro/c", "onnxruntime", image="ort", speedup=None, abs_latency=1.0),
        row("micro/d", "onnxruntime", image="ort", speedup=None, abs_latency=1.0),
        row("micro/d", "eager", image="ort", speedup=1.0, abs_latency=1.0),
    ]
    loaded = load([write(tmp_path / "r.csv", *rows)])
    found = built(loaded, "cpu eager")
    assert found.reference == 0
    assert "2.00x the reference" in summary(found)
    with pytest.raises(UnknownColumn, match="no column is"):
        built(loaded, "nothing")
    with pytest.raises(UnknownColumn, match="more than one column ends with"):
        built(loaded, "eager")


def test_an_image_has_a_size(tmp_path: Path) -> None:
    sized = row("image/size", "python", speedup=None, abs_latency=None, image_bytes=2 << 30, image_compressed_bytes=1 << 30)
    loaded = load([write(tmp_path / "r.csv", sized)])
    assert "2.0 GiB, compressed 1.0 GiB" in summary(built(loaded))
