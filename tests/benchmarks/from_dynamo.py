"""Runs every command of docs/from-dynamo.md and writes what it gave into its last column: ``nox -s from-dynamo -- OPTIONS OF bench``."""

from __future__ import annotations

import dataclasses
import datetime
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reports.load import load
from reports.page.build import build
from reports.page.collect import collect
from reports.page.summary import summary
from tests.conftest import SOURCE

DOCUMENT = SOURCE / "docs" / "from-dynamo.md"
NOT_YET = "not yet"


@dataclass(frozen=True, kw_only=True)
class Line:
    """Of the table."""

    options: tuple[str, ...]
    """The ancestor's."""
    here: str
    arguments: str
    """Of ``nox -s bench-cpu --``; empty where there is nothing to run."""
    gave: str
    source: str
    """As the document has it."""

    def __str__(self) -> str:
        options = ", ".join(f"`{option}`" for option in self.options)
        command = f"`{self.arguments}`" if self.arguments else ""
        return f"| {options} | {self.here} | {command} | {self.gave} |"


def lines_of(text: str) -> Iterator[Line]:
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| `-") and len(cells) >= 3:
            options, here, arguments, gave = (*cells, "")[:4]
            yield Line(
                options=tuple(re.findall(r"`(-[^`]*)`", options)),
                here=here,
                arguments=arguments.strip("`"),
                gave=gave.strip(" |"),
                source=line,
            )


def run(line: Line, given: list[str], results: Path) -> str:
    """What the run's table says; or the lines that were printed, where nothing was measured."""
    arguments = shlex.split(line.arguments)
    into = [] if "--results" in arguments else ["--results", str(results)]
    command = [sys.executable, "-m", "matrix", "bench", "cpu", *given, *arguments, *into]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        return f"exit code {done.returncode}: {(done.stderr.strip().splitlines() or [''])[-1]}"
    if "--plan" in arguments:
        cells = re.findall(r"(\d+) cells?", done.stdout)
        return f"{cells[-1]} cells planned" if cells else done.stdout.strip().splitlines()[-1]
    folder = Path(arguments[arguments.index("--results") + 1]) if not into else results
    newest = max(folder.glob("*/manifest.json"), key=lambda path: path.stat().st_mtime).parent
    table = summary(build(collect(load([newest])), datetime.datetime.now(datetime.timezone.utc))).splitlines()
    found = [re.split(r" {2,}", each) for each in table[1:] if each.startswith(("micro/", "path/"))]
    return "; ".join(_short(cells) for cells in found[:4])


def _short(cells: list[str]) -> str:
    name, *values = cells
    return f"{name.split()[0].partition('/')[2]}: {', '.join(values)}".replace("|", "/")


def main(arguments: list[str]) -> int:
    text = DOCUMENT.read_text(encoding="utf-8")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="from-dynamo-") as folder:
        for index, line in enumerate(lines_of(text)):
            if not line.arguments:
                continue
            gave = run(line, arguments, Path(folder) / f"{index:03d}")
            failed += gave.startswith("exit code")
            print(f"{', '.join(line.options)}: {gave}", flush=True)
            text = text.replace(line.source, str(dataclasses.replace(line, gave=gave)))
            DOCUMENT.write_text(text, encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
