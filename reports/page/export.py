"""The page's tables as CSV, JSON and Markdown, and its figures as SVG and PNG."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import resvg_py

from matrix.store import write_text
from reports.gate.outputs.escape import prose
from reports.page.model import Page
from reports.page.tables import Table, Value, tables

SCHEMA = 1
MARKDOWN_ROWS = 100
"""Of a table; the CSV file has all."""
PNG_SCALE = 2
"""Pixels for a pixel of the figure: what is pasted into a text is looked at closely."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a text a formula to a spreadsheet. Source: OWASP, CSV Injection."""


def export(page: Page, directory: Path, figures: Mapping[str, str]) -> list[Path]:
    """Write all of it; which files. figures: SVG by name. OSError for the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    made = tables(page)
    texts = {f"{table.name}.csv": as_csv(table) for table in made}
    texts |= {"page.json": as_json(page, made), "page.md": as_markdown(page, made)}
    texts |= {f"{name}.svg": svg for name, svg in figures.items()}
    for name, text in texts.items():
        write_text(directory / name, text)
    for name, svg in figures.items():
        (directory / f"{name}.png").write_bytes(as_png(svg))
    return [directory / name for name in (*texts, *(f"{name}.png" for name in figures))]


def as_csv(table: Table) -> str:
    """What was not measured is an empty field. A text that a spreadsheet would calculate begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_field(value) for value in row] for row in table.rows)
    return _whole(text.getvalue())


def _field(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        flat = value.replace("\0", " ")
        return f"'{flat}" if flat.startswith(_FORMULA) else flat
    return repr(value)


def as_json(page: Page, made: tuple[Table, ...]) -> str:
    """Tables by name: ``columns`` and ``rows``; null for what was not measured. ASCII."""
    found = {table.name: {"title": table.title, "columns": table.columns, "rows": table.rows} for table in made}
    return json.dumps({"schema": SCHEMA, "title": _whole(page.title), "made_at": page.made_at, "tables": found}, allow_nan=False) + "\n"


def as_markdown(page: Page, made: tuple[Table, ...]) -> str:
    """All tables, the long ones cut: each says how much of it is left out."""
    parts = [f"# {prose(page.title)}\n\nmade {prose(page.made_at)}\n"]
    for table in made:
        lines = [_row(table.columns), _row(["---"] * len(table.columns))]
        lines += [_row([prose(_shown(value)) for value in row]) for row in table.rows[:MARKDOWN_ROWS]]
        left = len(table.rows) - MARKDOWN_ROWS
        more = f"\n{left} more left out here: {table.name}.csv has all.\n" if left > 0 else ""
        parts.append(f"## {prose(table.title)}\n\n{''.join(lines)}{more}")
    return _whole("\n".join(parts))


def _row(fields: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(fields)} |\n"


def _shown(value: Value) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _whole(text: str) -> str:
    """Without halves of characters, which no file can have."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def as_png(svg: str) -> bytes:
    """svg: a figure that stands alone: literal colours, no style sheet of the page's. Text is drawn with the system's fonts."""
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=PNG_SCALE))
