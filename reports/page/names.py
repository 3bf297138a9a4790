"""Names that are longer than where they are shown: cut in the middle, since two versions of one thing differ at their ends. Pure."""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Container, Mapping, Sequence

CUT = "\N{HORIZONTAL ELLIPSIS}"
WORD = 8
"""Characters of what is the same that are kept beside what differs, where a word or a number ends there: 2.10 and 2.11, not 0 and 1."""
BETWEEN_WORDS = " /:@_-()"


def width(text: str) -> int:
    """In characters of the usual width. Source: Unicode Standard Annex 11."""
    return sum(_wide(character) for character in text)


def _wide(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def middle(text: str, most: int) -> str:
    """At most so wide: where it is longer, its begin and its end."""
    if width(text) <= most:
        return text
    room = most - width(CUT)
    end = _begin(text[::-1], room // 2)[::-1]
    return f"{_begin(text, room - room // 2)}{CUT}{end}"


def _begin(text: str, room: int) -> str:
    used = 0
    for place, character in enumerate(text):
        used += _wide(character)
        if used > room:
            return text[:place]
    return text


def heads(names: Sequence[str], most: int) -> tuple[str, ...]:
    """Of each name what tells it from the others, at most so wide (wider only by a number). Equal names have equal heads, and no others."""
    short = {name: middle(name, most) for name in names}
    for alike in _alike(short):
        short |= _differing(alike, most)
    for alike in _alike(short):
        for name in alike[1:]:
            short[name] = _numbered(short[name], set(short.values()))
    return tuple(short[name] for name in names)


def _alike(short: Mapping[str, str]) -> list[list[str]]:
    often = Counter(short.values())
    return [[name for name in short if short[name] == text] for text in often if often[text] > 1]


def _numbered(text: str, taken: Container[str]) -> str:
    return next(found for number in itertools.count(2) if (found := f"{text} ({number})") not in taken)


def _differing(names: Sequence[str], most: int) -> dict[str, str]:
    """Without what they all begin and end with, but for some of the beginning."""
    begin = _shared(names)
    rest = [name[begin:] for name in names]
    end = min(_shared([text[::-1] for text in rest]), *map(len, rest))
    begin -= _of_a_word(names[0][:begin][::-1])
    end -= _of_a_word(names[0][len(names[0]) - end :])
    before = names[0][:begin]
    lead = before if width(before) <= most // 3 else f"{_begin(before, most // 3)}{CUT}"
    after = CUT if end else ""
    room = most - width(lead) - width(after)
    return {name: _joined(lead, middle(name[begin : len(name) - end], room), after) for name in names}


def _shared(texts: Sequence[str]) -> int:
    """Characters that they all begin with."""
    return sum(1 for _ in itertools.takewhile(lambda characters: len(set(characters)) == 1, zip(*texts, strict=False)))


def _joined(lead: str, differing: str, after: str) -> str:
    return f"{lead}{differing}{after}" if differing else f"{lead.removesuffix(CUT)}{CUT}"


def _of_a_word(text: str) -> int:
    """How many characters of a text's beginning belong to what is before it; 0 where that would be too long."""
    found = next((place for place, character in enumerate(text) if character in BETWEEN_WORDS), len(text))
    return found if found <= WORD else 0
