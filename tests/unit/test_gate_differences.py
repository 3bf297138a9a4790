"""What differs between the images: of what is known of both, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from reports.gate.differences import differences, side_of
from reports.gate.report import Change, Side

MANIFEST: dict[str, Any] = {
    "images": [
        {"label": "cpu@1", "digest": "sha256:1", "size_bytes": 1 << 30, "layers": ["a", "b"]},
        {"label": "cpu@2", "digest": "sha256:2", "size_bytes": 3 << 29},
    ],
    "starts": [
        {"image": "cpu@2", "launch": 0, "python": "3.12.1", "packages": {"torch": "2.14"}},
        {"image": "cpu@1", "launch": 1},
        {"image": "cpu@1", "launch": 2, "python": "3.11.7", "packages": {"Typing_Extensions": "4.9", "torch": "2.13"}},
    ],
}


def test_a_side_is_what_the_manifest_says_of_its_image() -> None:
    """The first start of cpu@1 died before it could say anything."""
    assert side_of(MANIFEST, "cpu@1", source="results/run-1") == Side(
        label="cpu@1",
        digest="sha256:1",
        size_bytes=1 << 30,
        packages={"typing-extensions": "4.9", "torch": "2.13"},
        python="3.11.7",
        layers=("a", "b"),
        source="results/run-1",
    )
    assert side_of(MANIFEST, "cpu@2") == Side(
        label="cpu@2", digest="sha256:2", size_bytes=3 << 29, packages={"torch": "2.14"}, python="3.12.1"
    )


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"images": 3, "starts": "x"},
        {
            "images": [1, {"label": "x", "digest": 3, "size_bytes": True, "layers": "ab"}],
            "starts": [{"image": "x", "packages": [1], "python": 3}],
        },
        {"images": [{"label": "x", "size_bytes": -1}], "starts": [{"image": "x", "packages": {}}]},
        {"images": [{"label": "x", "size_bytes": 10**400}, {"label": "y", "digest": "z"}]},
    ],
)
def test_nothing_of_a_manifest_is_trusted(manifest: dict[str, Any]) -> None:
    assert side_of(manifest, "x") == Side(label="x")


def test_every_difference_is_named_and_nothing_that_is_the_same() -> None:
    one = Side(
        label="a", digest="d1", size_bytes=1 << 30, python="3.11", packages={"a": "1", "same": "1", "gone": "2"}, layers=("l1", "l2", "l3")
    )
    other = Side(
        label="b", digest="d2", size_bytes=3 << 29, python="3.12", packages={"a": "1.1", "same": "1", "new": "3"}, layers=("l1", "x", "l3")
    )
    assert differences(one, other) == (
        Change(what="python", baseline="3.11", candidate="3.12"),
        Change(what="a", baseline="1", candidate="1.1"),
        Change(what="gone", baseline="2", candidate=""),
        Change(what="new", baseline="", candidate="3"),
        Change(what="size", baseline="1.0 GiB", candidate="1.5 GiB (+512.0 MiB)"),
        Change(what="layers", baseline="3", candidate="3, of which the first 1 are the same"),
        Change(what="digest", baseline="d1", candidate="d2"),
    )
    assert next(change for change in differences(other, one) if change.what == "size").candidate == "1.0 GiB (-512.0 MiB)"
    assert differences(one, one) == ()


def test_a_layer_more_is_on_top_of_those_that_are_the_same() -> None:
    one, other = Side(label="a", layers=("l1",)), Side(label="b", layers=("l1", "l2"))
    assert differences(one, other) == (Change(what="layers", baseline="1", candidate="2, of which the first 1 are the same"),)


def test_what_is_unknown_of_one_side_is_no_difference() -> None:
    known = Side(label="a", digest="d", size_bytes=0, python="3.11", packages={"a": "1"}, layers=("l",))
    unknown = Side(label="b")
    assert differences(known, unknown) == differences(unknown, known) == ()


def test_an_image_of_no_size_is_known() -> None:
    assert [change.what for change in differences(Side(label="a", size_bytes=0), Side(label="b", size_bytes=5))] == ["size"]
