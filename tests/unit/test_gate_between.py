"""Which images have others in between, and what these are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.errors import LockMissing
from matrix.config import Matrix, parse_matrix
from matrix.errors import SelectionError
from matrix.plan import PlannedImage
from matrix.ready import recipe
from reports.gate.between import Locks, read_locks, with_version
from tests.conftest import SOURCE
from tests.unit.gate_runs import NEW, OLD, TEXT

ONE, OTHER = "abc==1\ntorch==2\n", "abc==1.1\ntorch==3\n"


def configured(folder: Path, old: str, new: str) -> Matrix:
    """The image cpu with these locks."""
    for name, text in (("old", old), ("new", new)):
        (folder / f"{name}.lock").write_text(text)
    return parse_matrix(TEXT.replace("new.lock", str(folder / "new.lock")).replace("old.lock", str(folder / "old.lock")))


@pytest.mark.parametrize(
    ("baseline", "candidate", "says"),
    [
        (PlannedImage(name="cpu", reference="a"), NEW, "docker://a was not built from a lock"),
        (OLD, PlannedImage(name="cpu", reference="a"), "docker://a was not built from a lock"),
        (OLD, PlannedImage(name="other"), "cpu@old and other are two images: their bases may differ"),
        (OLD, OLD, "cpu@old is compared with itself"),
    ],
)
def test_only_versions_of_one_image_have_something_in_between(
    tmp_path: Path, baseline: PlannedImage, candidate: PlannedImage, says: str
) -> None:
    with pytest.raises(SelectionError, match=says) as caught:
        read_locks(baseline, candidate, configured(tmp_path, ONE, OTHER), SOURCE)
    assert "\n  next: " in str(caught.value)


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (f"# made again\n{ONE}", "have the same packages"),
        ("abc==1 \\\n    --hash=sha256:0\ntorch==2\n", r"does not know how to change a line of the lock of cpu@new: 'abc==1 \\\\'"),
        (f"{OTHER}./a.whl\n", "the lock of cpu@new: './a.whl'"),
        (f"{OTHER}-r more.txt\n", "the lock of cpu@new: '-r more.txt'"),
    ],
)
def test_locks_that_cannot_be_walked_are_told(tmp_path: Path, new: str, says: str) -> None:
    with pytest.raises(SelectionError, match=says) as caught:
        read_locks(OLD, NEW, configured(tmp_path, ONE, new), SOURCE)
    assert "\n  next: " in str(caught.value)


def test_a_lock_that_is_not_there_is_told(tmp_path: Path) -> None:
    matrix = configured(tmp_path, ONE, OTHER)
    (tmp_path / "new.lock").unlink()
    with pytest.raises(LockMissing):
        read_locks(OLD, NEW, matrix, SOURCE)


def test_an_image_in_between_is_a_version_like_any_other(tmp_path: Path) -> None:
    matrix = configured(tmp_path, ONE, OTHER)
    locks = read_locks(OLD, NEW, matrix, SOURCE)
    assert locks.names == ("abc", "torch")
    version, lock = locks.between(frozenset({"abc"}))
    assert lock == "abc==1.1\ntorch==2\n"
    assert version.startswith("between-1-of-2-")
    path = tmp_path / "between.lock"
    path.write_text(lock)
    more = with_version(matrix, "cpu", version, path)
    assert recipe(PlannedImage(name="cpu", version=version), more, SOURCE).read_lock().decode() == lock
    assert recipe(NEW, more, SOURCE) == recipe(NEW, matrix, SOURCE)
    assert list(more.images["cpu"].versions)[:2] == list(matrix.images["cpu"].versions)
    # As a manifest has it, and a run is resumed by.
    assert Matrix.model_validate_json(more.model_dump_json(), context={"suites": more.suites, "images": more.images}) == more


def test_images_with_other_packages_have_other_names() -> None:
    locks = Locks(baseline=ONE, candidate=OTHER)
    assert locks.between(frozenset({"abc"}))[0] != locks.between(frozenset({"torch"}))[0]
    assert locks.between(frozenset({"abc"})) == locks.between(frozenset({"abc"}))
