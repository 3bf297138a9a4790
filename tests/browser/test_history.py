"""The chart of the history: steps are marked on their own lines, and what is written in it can be read."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.watched import Watched, made
from tests.unit.page_runs import manifest_of, row, write_run

pytestmark = [pytest.mark.browser]
RUNS = 12
BEFORE = 6
LEVELS = {"inductor": 1.3, "onnxruntime": 0.8, "export": 1.0, "ts": 1.28, "cudagraphs": 1.26}
LONG = "docker://registry.example:5000/a-team-with-a-long-name/images/pytorch:2026.{}-cuda13-ubuntu24.04"
SAID = re.compile("▲ (\\w+: )?\\+\\d+\\.\\d\u202f% slower|▼ (\\w+: )?\u2212\\d+\\.\\d\u202f% faster")
WRITTEN = """() => {
    window.written = [];
    const write = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        // What goes upward beside an axis has room of its own, and other coordinates.
        if (this.getTransform().b) return write.apply(this, arguments);
        const width = this.measureText(text).width;
        const left = { center: x - width / 2, right: x - width, end: x - width }[this.textAlign] ?? x;
        window.written.push({ text, left, right: left + width, y, canvas: this.canvas.width });
        return write.apply(this, arguments);
    };
}"""
RINGS = """() => [...document.querySelectorAll(".step-ring")].map((ring) => {
    const canvas = document.querySelector("#history-chart canvas");
    const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
    copy.getContext("2d", { willReadFrequently: true }).drawImage(canvas, 0, 0);
    const [at, within] = [ring.getBoundingClientRect(), canvas.getBoundingClientRect()];
    const [x, y] = [at.x + at.width / 2, at.y + at.height / 2];
    const place = [x - within.x, y - within.y].map((value) => Math.round(value * devicePixelRatio));
    const [red, green, blue] = copy.getContext("2d").getImageData(...place, 1, 1).data;
    const plot = document.querySelector("#history-chart .u-over").getBoundingClientRect();
    const nearest = [...document.querySelectorAll(".step-text")].find((text) => text.previousElementSibling?.classList.contains("step-lead")
        ? text.previousElementSibling.previousElementSibling === ring : text.previousElementSibling === ring);
    return { x: (x - plot.x) / plot.width, line: `rgb(${red}, ${green}, ${blue})`, stroke: getComputedStyle(ring).stroke, text: nearest?.textContent };
})"""


@dataclass(frozen=True)
class Box:
    left: float
    right: float
    top: float
    bottom: float

    def touches(self, other: Box) -> bool:
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom


@pytest.fixture(scope="module")
def stepped_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _file(tmp_path_factory.mktemp("stepped"), "cpu@2.{}")


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _file(tmp_path_factory.mktemp("long"), LONG)


def _file(folder: Path, name: str) -> Path:
    """A run a day of one cell on several backends; the seventh run brings some of them a step, up or down."""
    runs = []
    for number in range(RUNS):
        label = name.format(number)
        manifest = manifest_of([label], [label], day=number + 1)
        if name == LONG:
            manifest["images"][0]["reference"] = label.removeprefix("docker://")
        rows = [
            row(
                backend=backend,
                image=label,
                backend_latency_seconds=1e-3 * (level if number >= BEFORE else 1.0) * (1 + 0.004 * (-1) ** number),
            )
            for backend, level in LEVELS.items()
        ]
        runs.append(write_run(folder / f"run-{number:02d}", rows, manifest=manifest))
    return made(*runs, output=folder / "report.html")


def test_each_step_is_on_its_own_line_at_the_run_that_brought_it(watched: Watched, stepped_file: Path) -> None:
    page = watched.open(stepped_file, "#history")
    expect(page.locator(".step-ring")).to_have_count(4)
    rings = page.evaluate(RINGS)
    assert len({ring["stroke"] for ring in rings}) == 4
    for ring in rings:
        assert ring["line"] == ring["stroke"], "the ring is around a point of its line"
        assert ring["x"] == pytest.approx((BEFORE + 0.5) / RUNS, abs=0.005)
    watched.assert_quiet()


def test_arrow_sign_and_word_of_a_step_agree_wherever_it_is_named(watched: Watched, stepped_file: Path) -> None:
    page = watched.open(stepped_file, "#history")
    expect(page.locator(".step-text")).to_have_count(4)
    texts = page.locator(".step-text").all_text_contents()
    assert all(SAID.fullmatch(text) for text in texts), texts
    # All four hang on one run, where no reader sees which is whose by place alone.
    assert {text.split()[1].rstrip(":") for text in texts} == {name for name, level in LEVELS.items() if level != 1}
    assert sum("faster" in text for text in texts) == 1
    assert {ring["text"] for ring in page.evaluate(RINGS)} == set(texts)
    page.locator(".values summary").click()
    for place in ("#history-values .mark", "#history td.level .mark"):
        assert page.locator(place).count() == 4
        for mark in page.locator(place).all():
            line = (
                mark.inner_text()
                if "%" in mark.inner_text()
                else f"{mark.locator('xpath=../..').locator('b').last.inner_text()} {mark.inner_text()}"
            )
            arrow = mark.evaluate("mark => getComputedStyle(mark, '::before').content").strip('"')
            assert SAID.fullmatch(f"{arrow} {line}"), (arrow, line)
    watched.assert_quiet()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("file", ["stepped_file", "long_file"])
def test_what_is_written_in_the_chart_is_whole_and_apart(watched: Watched, request: pytest.FixtureRequest, file: str, width: int) -> None:
    watched.page.set_viewport_size({"width": width, "height": 800})
    watched.page.add_init_script(f"({WRITTEN})()")
    page = watched.open(request.getfixturevalue(file), "#history")
    expect(page.locator(".step-text")).to_have_count(4)
    _are_apart(_steps(page))
    _are_apart(_labels(page))
    page.set_viewport_size({"width": width - 60, "height": 800})
    page.wait_for_timeout(300)
    _are_apart(_steps(page))
    watched.assert_quiet()


def _steps(page: Page) -> list[Box]:
    """Of the labels of steps, all within the chart."""
    found = [text.bounding_box() for text in page.locator(".step-text").all()]
    chart = page.locator("#history-chart").bounding_box()
    assert chart
    boxes = [Box(box["x"], box["x"] + box["width"], box["y"], box["y"] + box["height"]) for box in found if box]
    assert len(boxes) == 4
    assert all(box.left >= chart["x"] - 1 and box.right <= chart["x"] + chart["width"] + 1 for box in boxes)
    # A line of text is a little higher than its letters.
    return [Box(box.left, box.right, box.top + 1, box.bottom - 1) for box in boxes]


def _labels(page: Page) -> list[Box]:
    """Of the axes, as they were drawn, all within the canvas."""
    found = [text for text in page.evaluate("window.written") if text["text"]]
    assert any(text["text"].startswith("2026-01-") for text in found), "a run is named with its day"
    assert f"2026-01-{BEFORE + 1:02d}" in {text["text"] for text in found}, "the run of a step is named before others"
    names = {text["text"] for text in found if "@" in text["text"] or "2026.6-" in text["text"]}
    assert any(f".{BEFORE}" in name for name in names), "what tells it from the others is not cut off"
    assert all(text["left"] >= 0 and text["right"] <= text["canvas"] for text in found), found
    return [Box(*place) for place in {(text["left"], text["right"], text["y"], text["y"] + 10) for text in found}]


def _are_apart(boxes: list[Box]) -> None:
    assert boxes
    assert not [(one, other) for one, other in itertools.combinations(boxes, 2) if one.touches(other)]
