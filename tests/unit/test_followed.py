"""A table that grows is read on from where it was."""

from __future__ import annotations

from pathlib import Path

from matrix.followed import Followed


def told(followed: Followed) -> list[str]:
    return [fields["cell"] for fields in followed.new()]


def test_a_line_is_told_once_and_not_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    followed = Followed(path)
    assert told(followed) == []
    with path.open("w") as file:
        for text, cells in (
            ("launch,cell\n", []),
            ('0,a\n0,"b, with é"\n0,c', ["a", "b, with é"]),
            ("", []),
            ("c\n", ["cc"]),
            ("0\n0,d,e\n\n0,f\0\n", ["f "]),
        ):
            file.write(text)
            file.flush()
            assert told(followed) == cells, text
    assert told(Followed(path)) == ["a", "b, with é", "cc", "f "]


def test_what_a_link_points_to_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("cell\na\n")
    (tmp_path / "rows.csv").symlink_to(tmp_path / "secret")
    assert told(Followed(tmp_path / "rows.csv")) == []
