"""Figures as files: every cell is in them, nothing runs out of them, and they stand alone."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from reports.gate.outputs.as_json import to_json
from reports.gate.procedure import Verdict
from reports.gate.report import GateReport, Side
from reports.page.export import as_png
from reports.page.figures import ROWS, figures
from reports.page.names import width
from tests.benchmarks.page_data import Shape
from tests.benchmarks.page_data import write_run as write_made_up
from tests.unit.gate_samples import EVERYTHING, SLOWER, UNMEASURED, cell, finding, hostile, large, report
from tests.unit.page_runs import manifest_of, page_of, row, write_run

SVG = "{http://www.w3.org/2000/svg}"
LONG = "registry.example.com/" + "deep/" * 60 + "end"
CHARACTER = 6.7
"""Of 11 pixels, about."""


def forest_of(folder: Path, gate: GateReport) -> str:
    run = write_run(folder, [row(), row(image="cpu@2", launch=1)], manifest=manifest_of(["cpu@1", "cpu@2"], ["cpu@1", "cpu@2"]))
    (run / "gate.json").write_text(to_json(gate))
    return figures(page_of(run))["forest-0"]


def texts(node: xml.Element) -> list[str]:
    """As they are drawn: without titles."""
    return ["".join([text.text or "", *(child.tail or "" for child in text)]).strip() for text in node.iter(f"{SVG}text")]


def rows_of(svg: str) -> list[list[str]]:
    return [texts(group) for group in xml.fromstring(svg).iter(f"{SVG}g") if "row" in group.get("class", "").split()]


def titles(svg: str) -> list[str]:
    return [str(title.text) for title in xml.fromstring(svg).iter(f"{SVG}title")]


def test_a_cell_without_a_ratio_is_in_the_figure_with_a_word_in_its_place(tmp_path: Path) -> None:
    crashed = cell(
        "micro/crashed", Verdict.REGRESSED, finding(Verdict.REGRESSED, metric="status", ratio=None), candidate_status="crash:SIGSEGV"
    )
    unsure = cell("micro/unsure", Verdict.INCONCLUSIVE, finding(Verdict.INCONCLUSIVE, ratio=None, low=None, high=None))
    gone = "micro/gone inductor cpu"
    svg = forest_of(tmp_path / "run", report(SLOWER, crashed, UNMEASURED, unsure, lost_cells=(gone,)))
    found = {name.partition(" ")[0]: (between, said) for name, *between, said in rows_of(svg)}
    assert found == {
        "micro/softmax": ([], "+4.1\u202f% regressed"),
        "micro/crashed": (["pass → crash:SIGSEGV"], "regressed"),
        "micro/add": (["pass → infra_error"], "inconclusive"),
        "micro/unsure": (["no ratio"], "inconclusive"),
        "micro/gone": (["not measured"], "lost"),
    }


def test_a_comparison_without_any_ratio_has_its_figure(tmp_path: Path) -> None:
    assert len(rows_of(forest_of(tmp_path / "run", report(UNMEASURED)))) == 1


def test_what_is_left_out_of_a_figure_is_counted_in_it(tmp_path: Path) -> None:
    svg = forest_of(tmp_path / "run", dataclasses.replace(large(ROWS + 30), lost_cells=()))
    assert len(rows_of(svg)) == ROWS
    assert any(f"The first {ROWS} of {ROWS + 30} cells" in text for text in texts(xml.fromstring(svg)))


def test_long_names_end_in_their_places_and_are_whole_in_a_title(tmp_path: Path) -> None:
    cells = [cell(f"micro/{LONG}{number}", Verdict.REGRESSED, candidate_status=f"crash:{LONG}") for number in range(3)]
    cells += [cell(f"micro/{LONG}-lost", Verdict.REGRESSED, finding(Verdict.REGRESSED, ratio=None), candidate_status=f"crash:{LONG}")]
    gate = report(*cells, baseline=Side(label=f"{LONG}@1"), candidate=Side(label=f"{LONG}@2"))
    svg = forest_of(tmp_path / "run", gate)
    names = [found[0] for found in rows_of(svg)]
    assert len(set(names)) == 4
    assert all("…" in name for name in names)
    for part in xml.fromstring(svg).iter(f"{SVG}svg"):
        if part.get("viewBox") is None:
            bold = 1.45 if "title" in [text.get("class") for text in part] else 1.0
            assert all(width(text) * CHARACTER * bold <= float(part.get("width", 0)) for text in texts(part)), texts(part)
    said = titles(svg)
    assert f"{LONG}@1 to {LONG}@2" in said
    assert any(title.startswith(f"micro/{LONG}0 ") for title in said)
    assert f"pass → crash:{LONG}" in said


@pytest.mark.parametrize("gate", [EVERYTHING, hostile()], ids=["everything", "hostile"])
def test_figures_are_whole_documents_whatever_names_are(tmp_path: Path, gate: GateReport) -> None:
    run = write_made_up(tmp_path / "run", Shape(cells=8, images=2, launches=2, samples=4, failing=0.0))
    (run / "gate.json").write_text(to_json(gate))
    found = figures(page_of(run))
    assert len(found) >= 3
    for svg in found.values():
        xml.fromstring(svg)
        assert as_png(svg).startswith(b"\x89PNG")


def test_a_point_s_name_stays_in_the_drawing_and_is_no_other_s(tmp_path: Path) -> None:
    options = ["x" * 60 + end for end in ("1", "2", "3")]
    rows = [
        row(f"micro/{name}", cell=f"{name} {option}", options=option, compilation_latency=seconds)
        for option, seconds in zip(options, (0.1, 3.0, 90.0), strict=True)
        for name in ("a", "b")
    ]
    figure = xml.fromstring(figures(page_of(write_run(tmp_path / "run", rows)))["pareto-host"])
    named = [text for text in figure.iter(f"{SVG}text") if text.get("class") == "ink"]
    shown = ["".join(child.tail or "" for child in text) for text in named]
    assert len(set(shown)) == len(options)
    assert {str(text[0].text) for text in named} == {f"cpu@1 inductor {option}" for option in options}
    for text, name in zip(named, shown, strict=True):
        begin = float(text.get("x", 0)) - (width(name) * CHARACTER if text.get("text-anchor") == "end" else 0)
        assert begin >= 0
        assert begin + width(name) * CHARACTER <= 640


def test_a_suite_of_any_name_is_a_file_of_its_own(tmp_path: Path) -> None:
    suites = ["../up", "__/up", "UP", "up", "x" * 400]
    rows = [
        row(f"{number}/{name}", suite=suite, cell=f"{number} {name} {option}", options=option, compilation_latency=1.0)
        for number, suite in enumerate(suites)
        for option in ("", "mode=max-autotune")
        for name in ("a", "b")
    ]
    names = [name for name in figures(page_of(write_run(tmp_path / "run", rows))) if name.startswith("pareto-")]
    assert len({name.lower() for name in names}) == len(suites) + 1
    assert all(re.fullmatch(r"[\w.-]{1,120}", name) for name in names)


def test_names_that_are_cut_are_cut_where_they_are_the_same(tmp_path: Path) -> None:
    """What all cells end with is said above them, once."""
    shapes = "large-and-long-shapes-of-which-there-is-much-to-be-said"
    names = [f"a-suite-with-a-long-name/workload-{number}-of-many" for number in range(3)]
    images = ["old", "new"]
    rows = [
        row(name, image=image, launch=launch, shapes=shapes, cell=f"{name} inductor cpu inference float32 {shapes}")
        for name in names
        for launch, image in enumerate(images)
    ]
    figure = xml.fromstring(figures(page_of(write_run(tmp_path / "run", rows)))["forest-0"])
    texts = ["".join(text.itertext()) for text in figure.iter(f"{SVG}text")]
    shown = [str(text.tail or text.text) for text in figure.iter(f"{SVG}text") if text.get("class") == "ink"]
    assert any(f"All are inductor cpu inference float32 {shapes}" in text for text in texts)
    for name in names:
        assert any(name in text for text in [*shown, *texts]), name


def test_labels_of_points_that_are_near_each_other_do_not_touch(tmp_path: Path) -> None:
    rows = [row("micro/a", f"backend-{number}", compilation_latency=1.0 + number / 1e3, speedup=2.0) for number in range(4)]
    rows += [row("micro/a", "slow", compilation_latency=9.0, speedup=0.5)]
    figure = xml.fromstring(figures(page_of(write_run(tmp_path / "run", rows)))["pareto-host"])
    texts = list(figure.iter(f"{SVG}text"))
    heights = [float(str(text.get("y"))) for text in texts if text.get("class") == "ink" and "backend-" in "".join(text.itertext())]
    assert len(heights) == 4
    assert all(abs(one - other) >= 11 for place, one in enumerate(heights) for other in heights[:place])
    said = ["".join(text.itertext()) for text in texts]
    assert "1\u00d7" in said, "where eager is"
    assert "speedup over eager, geometric mean" in said
