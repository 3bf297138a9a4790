"""Anybody's text in GitHub's Markdown: names of workloads and packages, messages of exceptions. Pure.

What could be markup is written as a character reference, which is never read as markup: neither as HTML nor as a cell's end in a table.
Source: CommonMark 0.31, 2.5; GitHub Flavored Markdown, 4.10 and 6.9.
"""

from __future__ import annotations

import re

from reports.gate.wording import plain

_MARKUP = re.compile(
    r"[&<>`*~|\\\[\]$]"
    # Within a word it marks up nothing, and statuses are full of them.
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"
    # What becomes a link by itself.
    r"|:(?=//)|(?<=www)\."
    # At the beginning of a line: a heading, a list, a rule.
    r"|^[-+=#](?=[-+=#\s]|$)|^\d+[.)](?=\s|$)"
)
_MENTION = re.compile(r"(?<!\w)([@#])(?=\w)")
WORD_JOINER = "\N{WORD JOINER}"
"""Seen by nobody; keeps ``@name`` from calling somebody, and ``#12`` from linking to something."""


def prose(text: str, limit: int = 300) -> str:
    """One line of text that is only text: no markup, no link, nobody's name called."""
    return _MARKUP.sub(_reference, _MENTION.sub(rf"\1{WORD_JOINER}", plain(text, limit)))


def code(text: str, limit: int = 300) -> str:
    """A name, as it is: in a ``code`` element, where nobody's name is called and nothing is added to it. Empty for nothing."""
    shown = _MARKUP.sub(_reference, plain(text, limit))
    return f"<code>{shown}</code>" if shown else ""


def block(text: str, limit: int = 2000) -> str:
    """One line to copy, in a fence that is longer than any in it."""
    shown = plain(text, limit)
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shown}\n{fence}"


def _reference(match: re.Match[str]) -> str:
    return "".join(f"&#{ord(character)};" for character in match[0])
