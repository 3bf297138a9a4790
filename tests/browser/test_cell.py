"""A cell's view: its numbers have one basis, its rounds add up, and a figure that is saved says what it is."""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
from playwright.sync_api import expect

from harness.records import Sample, Status
from tests.browser.watched import Watched, made
from tests.unit.page_runs import failed, manifest_of, row, write_run

pytestmark = [pytest.mark.browser]
SVG = "{http://www.w3.org/2000/svg}"
CELL = "#cell?w=micro%2Fmarked&d=cpu+inference+float32+small&c=cpu%401+inductor"


def taken(launch: int, variant: str, seconds: list[float], marks: list[str]) -> list[Sample]:
    about = {"launch": launch, "attempt": 0, "cell": "micro/marked inductor", "variant": variant, "clock": "host"}
    return [
        Sample(**about, index=2 * place + (variant == "backend"), started_seconds=0.0, seconds=value, calls=1, mark=mark)  # type: ignore[arg-type]
        for place, (value, mark) in enumerate(zip(seconds, marks, strict=True))
    ]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one cell two launches: of the first one marked rounds, which take twice as long, are left out; of the second, all are marked and count.
    Of another, four launches that fail in three ways, two of them with the same words.
    """
    folder = tmp_path_factory.mktemp("cell")
    rows = [
        row("micro/marked", launch=0, samples=6, samples_marked=20, backend_latency_seconds=194.496e-6, eager_latency_seconds=400e-6),
        row("micro/marked", launch=1, samples=16, samples_marked=16, backend_latency_seconds=194.496e-6, eager_latency_seconds=400e-6),
    ]
    samples = []
    for variant, seconds in (("eager", 400e-6), ("backend", 194.496e-6)):
        samples += taken(0, variant, [seconds] * 6 + [2 * seconds] * 20, [""] * 6 + ["contended"] * 20)
        samples += taken(1, variant, [seconds] * 16, ["contended"] * 16)
    ends = [(Status.TIMEOUT, "it took too long"), (Status.OOM, "it took too long"), (Status.TIMEOUT, "it took too long"), (Status.OOM, "")]
    rows += [failed("micro/failed", status=status, launch=launch, reason=reason) for launch, (status, reason) in enumerate(ends)]
    run = write_run(folder / "run", rows, samples, manifest_of(["cpu@1"], ["cpu@1"] * 4))
    return made(run, output=folder / "report.html")


def test_medians_are_those_of_the_result_and_rounds_add_up(watched: Watched, file: Path) -> None:
    page = watched.open(file, CELL)
    expect(page.locator("#cell .ecdf")).to_be_visible()
    panels = {panel.locator("h2").inner_text(): panel for panel in page.locator("#cell .panel").all()}
    result = panels["Result"].locator("dd", has_text="194")
    assert result.inner_text().split("\n")[0] == "194\u202f\u00b5s", "194.496, rounded once"
    assert "42 rounds" in panels["Samples by launch"].inner_text()
    said = panels["Distribution"].inner_text()
    assert "Of the 22 rounds that count" in said
    assert "eager 400\u202f\u00b5s, backend 194\u202f\u00b5s" in said
    rounds = [re.search(r"\d+ of \d+, \d+ marked", text) for text in panels["Launches"].locator("tbody tr").all_inner_texts()]
    assert [found and found[0] for found in rounds] == ["6 of 26, 20 marked", "16 of 16, 16 marked"]
    assert panels["Launches"].locator("tbody td:first-child").all_inner_texts() == ["1", "2"], "as on the terminal"
    watched.assert_quiet()


def test_each_way_of_failing_is_told_with_its_launches(watched: Watched, file: Path) -> None:
    page = watched.open(file, CELL.replace("marked", "failed"))
    said = [" ".join(text.split()) for text in page.locator("#cell .reason").all_inner_texts()]
    assert said == ["timeout 2 of 4 launches: it took too long", "OOM 1 of 4 launches: it took too long", "OOM 1 of 4 launches"]
    watched.assert_quiet()


def test_a_saved_figure_says_what_it_is(watched: Watched, file: Path) -> None:
    page = watched.open(file, CELL)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save samples-host as SVG").click()
    assert download.value.suggested_filename.startswith("micro_marked-cpu_inference_float32_small_cpu_1_inductor-samples-host")
    figure = xml.fromstring(Path(download.value.path()).read_text())
    texts = ["".join(text.itertext()) for text in figure.iter(f"{SVG}text")]
    for words in ("Samples by launch", "micro/marked", "cpu@1 inductor", "eager", "backend"):
        assert any(words in text for text in texts), words
    assert len(figure.findall(f"{SVG}svg")) == 2, "the signs of both lines"
    ground = figure.find(f"{SVG}rect")
    assert ground is not None
    box = str(figure.get("viewBox")).split()
    assert [ground.get(name) for name in ("x", "y", "width", "height")] == box
    assert [figure.get("width"), figure.get("height")] == box[2:]
    with page.expect_download() as download:
        page.get_by_role("button", name="Save samples-host as PNG").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    assert watched.messages == []


def test_the_largest_batch_that_fits_is_told(watched: Watched, tmp_path: Path) -> None:
    """That fits in every launch."""
    found = [
        row(
            "micro/marked",
            backend="eager",
            experiment="largest-batch",
            launch=launch,
            largest_batch_size=size,
            eager_peak_beyond_bytes=peak,
        )
        for launch, (size, peak) in enumerate([(384, 3 << 30), (512, 4 << 30)])
    ]
    page = watched.open(made(write_run(tmp_path / "run", found), output=tmp_path / "report.html"), "#matrix")
    page.locator(".tabulator-row a.entry").click()
    expect(page.locator("#cell .panel", has_text="Experiment")).to_contain_text(
        re.compile(r"largest batch that fits\s*384\s*3\.00.GiB beyond")
    )
    watched.assert_quiet()
