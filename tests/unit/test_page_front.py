"""What the page is put together from: libraries as they are published, one scope for each module, axes, numbers, what Compare lists."""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
import re
from pathlib import Path

import pytest

from reports import format as formats
from reports.page import numbers
from reports.page.assets import MODULES, STATIC, VENDOR, assets, joined, libraries
from reports.page.render import render
from reports.page.scale import of_amounts, of_ratios
from reports.page.ticks import labelled
from tests.unit.page_runs import page_of, row, write_run


def test_libraries_are_as_they_were_published() -> None:
    for library in libraries():
        for file, expected in library.files.items():
            assert hashlib.sha256((VENDOR / file).read_bytes()).hexdigest() == expected, file
        assert "Permission is hereby granted" in (VENDOR / library.license_file).read_text()


def test_every_vendored_file_is_listed() -> None:
    listed = (
        {"vendor.toml"} | {library.license_file for library in libraries()} | {file for library in libraries() for file in library.files}
    )
    assert {path.name for path in VENDOR.iterdir()} == listed


def test_the_script_comes_before_the_drawers_and_does_not_wait_for_them(tmp_path: Path) -> None:
    """They are nearly all of a large file, and the first view needs none of them."""
    text = "".join(render(page_of(write_run(tmp_path / "run", [row()]))))
    script = text.index('<script type="module" async>')
    for block in ("bm-page", "bm-matrix", "bm-compare", "bm-history"):
        assert text.index(f'id="{block}"') < script, block
    assert script < text.index('id="bm-drawer-0"')


def test_every_script_and_style_of_ours_is_in_the_page() -> None:
    files = {path.name for path in STATIC.glob("*.js")} - {"early.js", "live.js"}
    assert files == set(MODULES)


def test_the_policy_lets_run_what_is_in_the_page_and_nothing_else() -> None:
    found = assets()
    for text in (found.early, *found.scripts, found.module, found.style):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in found.policy
    assert found.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in found.policy
    assert "</script" not in "".join((found.early, *found.scripts, found.module))
    assert "</style" not in found.style


def test_modules_become_one_in_which_names_do_not_meet() -> None:
    one = "export const a = 1;\nexport function f() {}\n"
    two = 'import { a as first, f } from "./one.js";\nconst a = first;\n'
    text = joined({"one.js": one, "two.js": two})
    assert 'const { a: first, f } = modules["one.js"];' in text
    assert "return { a, f };" in text
    assert "export" not in text
    assert "import" not in text
    with pytest.raises(ValueError, match="which does not come before it"):
        joined({"two.js": two, "one.js": one})


def test_nothing_of_ours_makes_markup_of_text_or_code() -> None:
    for path in STATIC.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", path.read_text()), path.name


def test_templates_switch_escaping_off_for_nothing_but_what_is_ours() -> None:
    safe = [
        match
        for path in (Path(STATIC).parent / "templates").glob("*.j2")
        for match in re.findall(r"\{\{ ?([^}]*?)\| ?safe ?\}\}", path.read_text())
    ]
    assert {text.strip() for text in safe} == {"assets.style", "early", "script", "assets.module", "block.text", "style"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.00\u00d7"),
        (0.954, "0.95\u00d7"),
        (9.999, "10.0\u00d7"),
        (123.4, "123\u00d7"),
        (0.0541, "0.054\u00d7"),
        (0.00113, "0.0011\u00d7"),
        (0.000076, "7.6e\u22125\u00d7"),
        (0.0, "0.00\u00d7"),
        (None, ""),
        (math.nan, ""),
    ],
)
def test_ratios(value: float | None, text: str) -> None:
    assert numbers.ratio(value) == text
    if text and value and value < 9.995:
        # On a terminal, in ASCII.
        assert formats.ratio(value) == text.replace("\u00d7", "x").replace("\u22125", "-05")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.031, "+3.1\u202f%"), (0.95, "\u22125.0\u202f%"), (1.0, "0.00\u202f%"), (1.00049, "+0.05\u202f%"), (12.0, "12.0\u00d7")],
)
def test_changes_have_a_sign(value: float, text: str) -> None:
    assert numbers.change(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0\u202fs"),
        (9.996e-4, "1.00\u202fms"),
        (46.71e-6, "46.7\u202f\u00b5s"),
        (3e-12, "0.00\u202fns"),
        (150.0, "2\u202fmin"),
        (1.2345, "1.23\u202fs"),
    ],
)
def test_durations_have_three_digits_and_the_unit_that_fits(value: float, text: str) -> None:
    assert numbers.duration(value) == text


def test_other_numbers() -> None:
    assert numbers.size(1023) == "1023\u202fB"
    assert numbers.size(1536) == "1.50\u202fKiB"
    assert numbers.error(1.23e-7) == "1.2e\u22127"
    assert numbers.error(3.0) == "3.0"
    assert numbers.count(1234567) == "1\u202f234\u202f567"
    assert numbers.share(0.1234) == "12.3\u202f%"


def test_an_axis_of_ratios_is_symmetric_and_bounded() -> None:
    axis = of_ratios([1.2, 0.9, None, math.inf], 0.0, 100.0)
    assert axis.place(1.0) == 50.0
    assert axis.place(axis.high) == 100.0
    assert axis.place(1.1) - 50 == pytest.approx(50 - axis.place(1 / 1.1), abs=0.11)
    assert axis.place(1e9) == 100.0
    assert axis.holds(1.2)
    assert not axis.holds(5.0)
    assert 1.0 in axis.named
    assert of_ratios([], 0.0, 1.0).high > 1
    assert of_ratios([1e6], 0.0, 1.0).high == pytest.approx(100)
    assert of_ratios([1e308, 1e-308], 0.0, 1.0).high == pytest.approx(100), "however absurd"


@pytest.mark.parametrize("values", [[], [3.0], [1e-6, 1e6], [1.1, 1.3], [2.0, 90.0]])
def test_an_axis_of_amounts_has_ticks_and_holds_all(values: list[float]) -> None:
    axis = of_amounts(values, 10.0, 110.0)
    assert all(axis.holds(value) for value in values)
    assert 2 <= len(axis.named) <= 8
    assert all(10 <= axis.place(tick) <= 110 for tick in axis.named)


@pytest.mark.parametrize("farthest", [1.0, 1.004, 1.03, 1.07, 1.12, 1.5, 2.4, 7.0, 30.0, 1e9])
def test_no_two_ticks_of_ratios_read_the_same_or_run_into_each_other(farthest: float) -> None:
    axis = of_ratios([farthest], 0.0, 260.0)
    found = labelled(axis.named)
    texts = [text for _, text in found]
    assert len(set(texts)) == len(texts) >= 3
    assert "1" in texts
    assert all(float(text) == pytest.approx(tick, rel=0.02) for tick, text in found)
    places = [axis.place(tick) for tick in axis.named]
    assert all(after - before > 28 for before, after in itertools.pairwise(places)), "of about five characters"


@pytest.mark.parametrize("unit", ["ratio", "seconds"])
@pytest.mark.parametrize(
    "values", [[1.0], [1.0, 1.001], [0.11, 0.12], [130.0, 149.0], [118.0, 125.0], [7100.0, 7300.0], [3e-9, 3.01e-9], [1e-6, 1e6]]
)
def test_no_two_ticks_of_amounts_read_the_same(values: list[float], unit: str) -> None:
    texts = [text for _, text in labelled(of_amounts(values, 0.0, 438.0).named, unit)]
    assert len(set(texts)) == len(texts)


def test_the_digits_of_a_tick_are_those_that_tell_it_from_the_next() -> None:
    def texts(*ticks: float, unit: str = "number") -> list[str]:
        return [text for _, text in labelled(ticks, unit)]

    assert texts(1 / 1.01, 1 / 1.005, 1.0, 1.005, 1.01) == ["0.99", "0.995", "1", "1.005", "1.01"]
    assert texts(0.5, 1.0, 100.0, unit="ratio") == ["0.5\u00d7", "1\u00d7", "100\u00d7"]
    assert texts(110.0, 130.0, 140.0, unit="seconds") == ["110\u202fs", "2.2\u202fmin", "2.3\u202fmin"]
    assert texts(1.5e-3, 2e-3, 1.0, unit="seconds") == ["1.5\u202fms", "2\u202fms", "1\u202fs"]
    assert texts(3.0) == ["3"]
