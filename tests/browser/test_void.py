"""What a gate has set aside, and what compiling never pays for: said in words in the matrix and in the cell's view."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from reports.gate.observe import Voided
from reports.gate.outputs.as_json import to_json
from reports.gate.report import Side
from tests.browser.watched import Watched, made
from tests.unit.gate_samples import report
from tests.unit.page_runs import manifest_of, row, write_run

pytestmark = [pytest.mark.browser]
OLD, NEW = "cpu@1", "cpu@2"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images, two launches each: all of the baseline's of one cell are void; another cell is slower than eager, whatever one launch says."""
    folder = tmp_path_factory.mktemp("void")
    manifest = manifest_of([OLD, NEW], [OLD, NEW] * 2)
    for number, launch in enumerate(manifest["launches"]):
        launch |= {"block": number // 2, "side": ("baseline", "candidate")[number % 2]}
    about = [(image, launch) for launch, image in enumerate([OLD, NEW] * 2)]
    rows = [row("micro/void", image=image, launch=launch, speedup=38.5) for image, launch in about]
    rows += [
        row("micro/slow", image=image, launch=launch, compilation_latency=1.0, speedup=1.01 if launch < 2 else 0.9, break_even_calls=70.0)
        for image, launch in about
    ]
    voided = tuple(Voided(block=block, image="baseline", cell=rows[0].cell, reason="throttled: 30 %, over 5 %") for block in range(2))
    found = report(voided=voided, baseline=Side(label=OLD), candidate=Side(label=NEW))
    run = write_run(folder / "run", rows, manifest=manifest)
    (run / "gate.json").write_text(to_json(found))
    return made(run, output=folder / "report.html")


def test_a_cell_that_is_void_has_no_ratio_and_no_colour(watched: Watched, file: Path) -> None:
    page = watched.open(file, "#matrix?q=void")
    void, good = page.locator(".tabulator-row a.entry").all()
    assert "38.5" not in void.inner_text()
    assert "void" in void.inner_text()
    assert "up" not in str(void.get_attribute("class"))
    assert "set all its launches aside" in str(void.get_attribute("title"))
    assert "38.5" in good.inner_text()
    page.select_option("#filter-status", "void")
    expect(page.locator(".tabulator-row")).to_have_count(1)
    void.click()
    expect(page.locator("#cell .reason")).to_contain_text("The gate set 2 launches aside: throttled: 30 %, over 5 %")
    expect(page.locator("#cell .table .mark.void")).to_have_count(2)
    expect(page.get_by_role("heading", name="Result")).to_have_count(0)
    watched.assert_quiet()


def test_what_is_slower_than_eager_never_pays(watched: Watched, file: Path) -> None:
    page = watched.open(file, "#matrix?q=slow&metric=break_even_calls")
    expect(page.locator(".tabulator-row a.entry b")).to_have_text(["never", "never"])
    page.locator(".tabulator-row a.entry").first.click()
    expect(page.locator("#cell .facts > div", has_text="calls until it pays").locator("dd")).to_have_text("never")
    watched.assert_quiet()
