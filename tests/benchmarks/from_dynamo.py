"""Runs every command of docs/from-dynamo.md and writes what it gave into its column: ``nox -s from-dynamo -- OPTIONS OF bench``.

A line may have several commands, with ``&&`` between them: what the last one gave is told. One that does not begin with ``nox`` is of the session's.
``*`` stands for what the commands before it have made, as the name of a run.
``--session inductor-cuda`` runs them in an image for a GPU, and writes the last column in place of the one before it; ``--jobs N`` runs several at a
time, for times that nobody compares.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import re
import shlex
import shutil
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
OWN_RESULTS = Path("results/from-dynamo")
"""Where lines have their results that name a place for them; made anew each time."""
NEEDS_GPU = "needs a GPU"
BENCH = "bench-"
SHOWN = 4
"""Values of a row's backends, each once."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Of the table."""

    options: tuple[str, ...]
    """The ancestor's."""
    here: str
    arguments: str
    """Commands, as ``commands_of`` reads them; empty where there is nothing to run."""
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


@dataclass(frozen=True, kw_only=True)
class Command:
    """``nox -s SESSION -- ARGUMENTS``."""

    session: str
    arguments: tuple[str, ...]

    @property
    def image(self) -> str:
        """Empty for a session that measures none."""
        return self.session.removeprefix(BENCH) if self.session.startswith(BENCH) else ""


def commands_of(line: Line, image: str = "cpu") -> list[Command]:
    """Of a line. image: whose session is meant where no other is named."""
    commands = []
    for text in filter(None, line.arguments.split(" && ")):
        words = shlex.split(text)
        if words[:2] == ["nox", "-s"] and words[3:4] == ["--"]:
            commands.append(Command(session=words[2], arguments=tuple(words[4:])))
        else:
            commands.append(Command(session=f"{BENCH}{image}", arguments=tuple(words)))
    return commands


def run(line: Line, given: list[str], results: Path, image: str = "cpu") -> str:
    """What the table of the last command says; or the end of what it printed, where it makes none."""
    for folder in set(re.findall(rf"{OWN_RESULTS}/[\w-]+", line.arguments)):
        shutil.rmtree(SOURCE / folder, ignore_errors=True)
    gave = ""
    for command in commands_of(line, image):
        gave = _run(command, given, results)
        if gave.startswith("exit code"):
            return NEEDS_GPU if "is of GPUs" in gave else gave
    return gave


def _run(command: Command, given: list[str], results: Path) -> str:
    words = [word for each in command.arguments for word in (_made(each) if "*" in each else [each])]
    folder = Path(words[words.index("--results") + 1]) if "--results" in words else results
    if command.image:
        # A wheelhouse is of one image's lock.
        own = given if command.image == "cpu" else without(given, "--wheelhouse")
        program = ["-m", "matrix", "bench", command.image, *own, *words, *([] if "--results" in words else ["--results", str(results)])]
    else:
        program = {"report": ["-m", "reports"], "tests": ["-m", "pytest", "-q"]}[command.session] + words
    done = subprocess.run([sys.executable, *program], cwd=SOURCE, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        return f"exit code {done.returncode}: {' '.join(done.stderr.split())[-300:]}"
    if command.session == "tests" or "--plan" in words:
        return done.stdout.strip().splitlines()[-1]
    runs = [Path(word) for word in words if (Path(word) / "manifest.json").exists()] if command.session == "report" else [newest(folder)]
    table = summary(build(collect(load(runs)), datetime.datetime.now(datetime.timezone.utc))).splitlines()
    found = [re.split(r" {2,}", each) for each in table[1:] if re.match(r"(micro|path|llm|huggingface|operators)/", each)]
    return "; ".join(_short(cells) for cells in found[:4])


def _made(word: str) -> list[str]:
    """The word for each path of the checkout that its pattern matches: all of it, or what follows a scheme."""
    scheme, colon, pattern = word.rpartition(":")
    return [f"{scheme}{colon}{path.relative_to(SOURCE)}" for path in sorted(SOURCE.glob(pattern))]


def newest(folder: Path) -> Path:
    return max((SOURCE / folder).glob("*/manifest.json"), key=lambda path: path.stat().st_mtime).parent


def without(words: list[str], option: str) -> list[str]:
    """The words but that option and its value."""
    return [word for before, word in zip(["", *words], words, strict=False) if option not in (before, word)]


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
