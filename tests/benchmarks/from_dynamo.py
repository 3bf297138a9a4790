"""Runs every command of docs/from-dynamo.md and writes what it gave into its column: ``nox -s from-dynamo -- OPTIONS OF bench``.

``--session inductor-cuda`` runs them in an image for a GPU, and writes the last column in place of the one before it; ``--jobs N`` runs several at a
time, for times that nobody compares.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from reports.load import load
from reports.page.build import build
from reports.page.collect import collect
from reports.page.summary import summary
from tests.conftest import SOURCE

DOCUMENT = SOURCE / "docs" / "from-dynamo.md"
NOT_YET = "not yet"
SHOWN = 4
"""Values of a row's backends, each once."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Of the table."""

    options: tuple[str, ...]
    """The ancestor's."""
    here: str
    arguments: str
    """Of ``nox -s bench-cpu --``; empty where there is nothing to run."""
    gave: str
    """On a CPU."""
    gave_on_gpu: str
    source: str
    """As the document has it."""

    def __str__(self) -> str:
        options = ", ".join(f"`{option}`" for option in self.options)
        command = f"`{self.arguments}`" if self.arguments else ""
        return f"| {options} | {self.here} | {command} | {self.gave} | {self.gave_on_gpu} |"


def lines_of(text: str) -> Iterator[Line]:
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| `-") and len(cells) >= 3:
            options, here, arguments, gave, on_gpu = (*cells, "", "")[:5]
            yield Line(
                options=tuple(re.findall(r"`(-[^`]*)`", options)),
                here=here,
                arguments=arguments.strip("`"),
                gave=gave.strip(" |"),
                gave_on_gpu=on_gpu.strip(" |"),
                source=line,
            )


def run(line: Line, given: list[str], results: Path, session: str = "cpu") -> str:
    """What the run's table says; or the lines that were printed, where nothing was measured."""
    arguments = shlex.split(line.arguments)
    into = [] if "--results" in arguments else ["--results", str(results)]
    command = [sys.executable, "-m", "matrix", "bench", session, *given, *arguments, *into]
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
    shown = list(dict.fromkeys(values))[:SHOWN]
    return f"{name.split()[0].partition('/')[2]}: {', '.join(shown)}".replace("|", "/")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="nox -s from-dynamo --", description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--session", default="cpu", help="the image whose session it is (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="commands at a time (default: %(default)s)")
    parser.add_argument(
        "--row", action="append", default=[], metavar="OPTION", help="only the row of this option of the ancestor's (repeatable)"
    )
    options, given = parser.parse_known_args(arguments)
    text = DOCUMENT.read_text(encoding="utf-8")
    lines = [line for line in lines_of(text) if line.arguments and (not options.row or set(options.row) & set(line.options))]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="from-dynamo-") as folder, ThreadPoolExecutor(options.jobs) as pool:
        done = pool.map(lambda line: run(line, given, Path(folder) / str(line.options[0]), options.session), lines)
        for line, gave in zip(lines, done, strict=True):
            failed += gave.startswith("exit code")
            print(f"{', '.join(line.options)}: {gave}", flush=True)
            on_cpu = options.session == "cpu"
            told = dataclasses.replace(line, gave=gave) if on_cpu else dataclasses.replace(line, gave_on_gpu=gave)
            text = text.replace(line.source, str(told))
            DOCUMENT.write_text(text, encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
