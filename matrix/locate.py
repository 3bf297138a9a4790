"""Where in a TOML file a key is: a small scan of the source, since tomllib keeps no positions."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_TABLE = re.compile(r"^\s*\[([^\[\]]+)\]\s*(#.*)?$")
_ARRAY_TABLE = re.compile(r"^\s*\[\[([^\[\]]+)\]\]\s*(#.*)?$")
_KEY = re.compile(r"^\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+)")
_STRING = re.compile(r"\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\])*\"|'[^']*'|#.*")


def line_numbers(source: str) -> dict[Path, int]:
    """Line (from 1) of every table, array-of-tables element and key of a TOML document, by its path."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    inside: _Value | None = None
    for number, line in enumerate(source.splitlines(), start=1):
        if inside is not None and inside.depth > 0:
            inside.read(line, number)
            continue
        if match := _ARRAY_TABLE.match(line):
            name = _parts(match[1])
            index = counts.get(name, 0)
            counts[name] = index + 1
            table = (*name, index)
            lines.setdefault(name, number)
            lines[table] = number
        elif match := _TABLE.match(line):
            table = _parts(match[1])
            for depth in range(1, len(table) + 1):
                lines.setdefault(table[:depth], number)
        elif match := _KEY.match(line):
            parts = _parts(match[1])
            for depth in range(1, len(parts) + 1):
                lines.setdefault((*table, *parts[:depth]), number)
            inside = _Value((*table, *parts), lines)
            inside.read(line[match.end() :], number)
    return lines


def line_of(path: Path, lines: dict[Path, int]) -> int:
    """The line of a path, or of its nearest parent that has one; 1 for the document."""
    for depth in range(len(path), 0, -1):
        if path[:depth] in lines:
            return lines[path[:depth]]
    return 1


def _parts(name: str) -> Path:
    return tuple(double or single or bare for double, single, bare in _PART.findall(name))


class _Value:
    """A key's value, which may go on over several lines: where it ends, and on which lines its items begin."""

    def __init__(self, path: Path, lines: dict[Path, int]) -> None:
        self._path = path
        self._lines = lines
        self._items = 0
        self._between_items = True
        self.depth = 0

    def read(self, text: str, number: int) -> None:
        # Strings become one harmless character, so that what is in them does not count; comments become nothing.
        for character in _STRING.sub(lambda match: "" if match[0].startswith("#") else "s", text):
            if self.depth == 1 and self._between_items and character not in " \t,]}":
                self._lines[(*self._path, self._items)] = number
                self._items += 1
                self._between_items = False
            if character in "[{":
                self.depth += 1
            elif character in "]}":
                self.depth -= 1
            elif character == "," and self.depth == 1:
                self._between_items = True
