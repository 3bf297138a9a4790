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
    open_brackets = 0
    for number, line in enumerate(source.splitlines(), start=1):
        if open_brackets > 0:
            open_brackets += _bracket_balance(line)
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
            open_brackets = max(0, _bracket_balance(line[match.end() :]))
    return lines


def line_of(path: Path, lines: dict[Path, int]) -> int:
    """The line of a path, or of its nearest parent that has one; 1 for the document."""
    for depth in range(len(path), 0, -1):
        if path[:depth] in lines:
            return lines[path[:depth]]
    return 1


def _parts(name: str) -> Path:
    return tuple(double or single or bare for double, single, bare in _PART.findall(name))


def _bracket_balance(text: str) -> int:
    bare = _STRING.sub("", text)
    return sum(bare.count(bracket) for bracket in "[{") - sum(bare.count(bracket) for bracket in "]}")
