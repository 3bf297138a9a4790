"""What the matrix writes over its columns and beside its colours: no two columns alike, and the words of each metric."""

from __future__ import annotations

from pathlib import Path

from reports.page.metrics import METRICS
from reports.page.model import Page
from tests.unit.page_runs import decoded, page_of, row, write_run

LONG = "registry.example.com/team/project/pytorch-and-everything-else-that-was-asked-for@"
TAIL = "-cuda12.8-ubuntu22.04-devel-with-all-that-anybody-ever-wanted"


def heads_of(page: Page) -> list[tuple[str, str]]:
    """By column: of its image and of itself, as a browser reads them."""
    about = decoded(page)["bm-page"][0]
    return [
        (about["heads"]["images"][column["image"]], head) for column, head in zip(about["columns"], about["heads"]["columns"], strict=True)
    ]


def test_columns_that_differ_have_heads_that_differ(tmp_path: Path) -> None:
    options = ["", *(f"{'mode=max-autotune,' * 5}dynamic={value}{',fullgraph=true' * 4}" for value in ("on", "off"))]
    images = [f"{LONG}2.10{TAIL}", f"{LONG}2.11{TAIL}", "cpu@1"]
    rows = [row(image=image, launch=launch, cell=option, options=option) for launch, image in enumerate(images) for option in options]
    found = heads_of(page_of(write_run(tmp_path / "run", rows)))
    assert len(set(found)) == len(found) == 9
    assert all(len(text) <= 36 for pair in found for text in pair)
    first, second, short = found[0][0], found[3][0], found[6][0]
    assert ("2.10" in first, "2.11" in second, short) == (True, True, "cpu@1")
    assert [head for _, head in found[:3]] == [head for _, head in found[3:6]], "one backend has one head"


def test_one_image_in_two_runs_has_two_heads(tmp_path: Path) -> None:
    name = "a-run-of-a-night-with-a-name-that-is-far-longer-than-any-column-of-it-"
    runs = [write_run(tmp_path / f"{name}{number}", [row()]) for number in (1, 2)]
    (one, _), (other, _) = heads_of(page_of(*runs))
    assert one != other


def test_every_metric_has_words_of_its_own_kind() -> None:
    for metric in METRICS:
        worse, better = metric.words
        assert worse != better
        of_time = metric.unit in {"seconds", "per_second"} or "speedup" in metric.name
        assert ("slower" in worse, "faster" in better) == (of_time, of_time), metric.name
    good = {metric.name: metric.better for metric in METRICS}
    assert (good["error"], good["peak_bytes"], good["joules"], good["limit_share"]) == ("lower", "lower", "lower", "higher")
