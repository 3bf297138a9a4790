"""The run directory: the record of everything one command measured.

``manifest.json``, ``results.csv``, ``samples.csv``, ``logs/``, ``artifacts/``. A launch writes into ``incoming/<launch>/``, the only
place it may write to; when it has ended, what it left is collected: appended here, made durable, and only then removed there.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from harness import files, output
from harness.files import is_regular, row_from_fields, sample_from_fields
from harness.records import Row, Sample
from matrix.errors import RunBusy, RunNotFound
from matrix.followed import Followed

MANIFEST, RESULTS, SAMPLES, LOGS, ARTIFACTS, INCOMING, LOCK = (
    "manifest.json",
    "results.csv",
    "samples.csv",
    "logs",
    "artifacts",
    "incoming",
    ".lock",
)
MANIFEST_SCHEMA = 1
Key = tuple[int, str]
"""(launch, cell)."""


class Run:
    """An open run directory; one command at a time has it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._rows: list[Row] = []
        self._results = Followed(directory / RESULTS)
        self._sampled: set[tuple[int, int, str]] = set()
        """(launch, attempt, cell)."""
        self._samples = Followed(directory / SAMPLES)

    @property
    def name(self) -> str:
        return self.directory.name

    def manifest(self) -> dict[str, Any]:
        """RunNotFound where it does not read, or is of another schema."""
        try:
            found: dict[str, Any] = files.read_json((self.directory / MANIFEST).read_text(encoding="utf-8"))
            schema = found.get("schema")
        except (ValueError, AttributeError) as error:
            raise RunNotFound(
                f"{self.directory / MANIFEST} does not read: {error}\n  next: start a new run; nox -s report still shows its rows"
            ) from None
        if schema != MANIFEST_SCHEMA:
            raise RunNotFound(f"{self.directory / MANIFEST} is of schema {schema}, this is {MANIFEST_SCHEMA}\n  next: start a new run")
        return found

    def update_manifest(self, change: Callable[[dict[str, Any]], None]) -> None:
        manifest = self.manifest()
        change(manifest)
        write_json(self.directory / MANIFEST, manifest)

    def rows(self) -> list[Row]:
        """The rows that are collected and whole."""
        for fields in self._results.new():
            with contextlib.suppress(ValueError):
                self._rows.append(row_from_fields(fields))
        return [*self._rows]

    def finished(self) -> set[Key]:
        return {(row.launch, row.cell) for row in self.rows()}

    def add(self, rows: list[Row]) -> None:
        """Append rows of cells that have none; a cell has one row per launch."""
        finished = self.finished()
        new = [row for row in rows if (row.launch, row.cell) not in finished]
        files.append_rows(self.directory / RESULTS, new)

    def incoming(self, launch: int, attempt: int) -> Path:
        """A fresh directory for one start of a launch to write into."""
        directory = self.directory / INCOMING / _start_name(launch, attempt)
        directory.mkdir(parents=True)
        return directory

    def log(self, launch: int, attempt: int) -> Path:
        """Where the host keeps what a start printed: outside of what the launch itself can write to."""
        path = self.directory / LOGS / _start_name(launch, attempt) / "launch.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def attempts(self, launch: int) -> int:
        """How many starts this launch has had."""
        return sum(1 for start in self.manifest()["starts"] if start["launch"] == launch)

    def collect(self) -> None:
        """Take over what launches left in ``incoming``: only for launches that have ended. Safe to repeat after a kill at any point."""
        for directory in sorted((self.directory / INCOMING).glob("*-*")):
            self._collect(directory)

    def _collect(self, directory: Path) -> None:
        """One start's files. Written by anybody's code: only regular files, only rows of this start, each cell once."""
        launch, attempt = _start_of(directory)
        finished = self.finished()
        rows: dict[str, Row] = {}
        for fields in _fields(directory / output.ROWS):
            with contextlib.suppress(ValueError):
                row = row_from_fields(fields)
                if (row.launch, row.attempt) == (launch, attempt) and (launch, row.cell) not in finished:
                    log = f"{LOGS}/{directory.name}/{Path(row.log).name}" if row.log else ""
                    artifacts = f"{ARTIFACTS}/{directory.name}/{Path(row.artifacts).name}" if row.artifacts else ""
                    rows.setdefault(row.cell, dataclasses.replace(row, log=log, artifacts=artifacts))
        self._take_samples(directory, launch, attempt, rows.keys())
        files.append_rows(self.directory / RESULTS, rows.values())
        for name in (LOGS, ARTIFACTS):
            _move(directory / name, self.directory / name / directory.name)
        self._take_facts(directory, launch, attempt)
        shutil.rmtree(directory)

    def _take_samples(self, directory: Path, launch: int, attempt: int, cells: Set[str]) -> None:
        """Samples before rows, as in the launch: a row says that its cell is done. Samples that have no row yet are those of a
        collection that was killed in between; they are replaced.
        """
        target = self.directory / SAMPLES
        ours = {(launch, attempt, cell) for cell in cells}

        def is_ours(sample: Sample) -> bool:
            return (sample.launch, sample.attempt, sample.cell) in ours

        for fields in self._samples.new():
            with contextlib.suppress(ValueError, KeyError):
                self._sampled.add((int(fields["launch"]), int(fields["attempt"]), fields["cell"]))
        if self._sampled & ours:
            temporary = _fresh(target)
            files.append_samples(temporary, (sample for sample in _samples(target) if not is_ours(sample)))
            temporary.replace(target)
            self._sampled, self._samples = set(), Followed(target)
        files.append_samples(target, filter(is_ours, _samples(directory / output.SAMPLES)))

    def _take_facts(self, directory: Path, launch: int, attempt: int) -> None:
        path = directory / output.FACTS
        if not is_regular(path):
            return
        try:
            about = files.read_json(path.read_text(encoding="utf-8"))
        except ValueError:
            return

        def change(manifest: dict[str, Any]) -> None:
            for start in manifest["starts"]:
                if isinstance(about, dict) and (start["launch"], start["attempt"]) == (launch, attempt):
                    start.update({name: value for name, value in about.items() if name not in start})

        self.update_manifest(change)

    def kept(self) -> int:
        """How many cells have a row: collected ones, and those that a launch has left, which the next start takes over."""
        left = {key for directory in (self.directory / INCOMING).glob("*-*") for key in _left(directory)}
        return len(self.finished() | left)

    def forget(self, status: str) -> int:
        """Drop the rows of a status, so that their cells are measured again; how many they were. Atomic."""
        rows = self.rows()
        kept = [row for row in rows if row.status != status]
        if len(kept) != len(rows):
            target = self.directory / RESULTS
            temporary = _fresh(target)
            files.append_rows(temporary, kept)
            temporary.replace(target)
            self._rows, self._results = [], Followed(target)
        return len(rows) - len(kept)


def _start_name(launch: int, attempt: int) -> str:
    """Of a start's folders; ``_start_of`` reads it back."""
    return f"{launch:03d}-{attempt}"


def _fresh(target: Path) -> Path:
    """The name of a file that is to take the target's place."""
    temporary = target.with_name(f"{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    return temporary


def _fields(path: Path) -> Iterator[dict[str, str]]:
    """Lines of a file that a launch left; none where it is not a regular file or stops being CSV."""
    if is_regular(path):
        with contextlib.suppress(csv.Error):
            yield from files.read_fields(path)


def _left(directory: Path) -> Iterator[Key]:
    launch, _ = _start_of(directory)
    for fields in _fields(directory / output.ROWS):
        with contextlib.suppress(ValueError):
            yield launch, row_from_fields(fields).cell


def _start_of(directory: Path) -> tuple[int, int]:
    """(launch, attempt) by the name of a start's folder; see ``_start_name``."""
    launch, attempt = (int(part) for part in directory.name.split("-"))
    return launch, attempt


def rows_left(directory: Path) -> int:
    """How many cells a start has written a row of into its folder."""
    return len({fields.get("cell") for fields in _fields(directory / output.ROWS)})


def _samples(path: Path) -> Iterator[Sample]:
    for fields in _fields(path):
        with contextlib.suppress(ValueError, KeyError):
            yield sample_from_fields(fields)


def new_name(what: str) -> str:
    """Of a run directory: when, what, and something that no other command of this second has."""
    return f"{datetime.datetime.now().astimezone():%Y%m%d-%H%M%S}-{what}-{secrets.token_hex(2)}"


@contextlib.contextmanager
def create_run(results: Path, name: str, manifest: Mapping[str, Any]) -> Iterator[Run]:
    """A new run directory under ``results``."""
    directory = results / name
    directory.mkdir(parents=True)
    for folder in (LOGS, ARTIFACTS, INCOMING):
        (directory / folder).mkdir()
    with _guarded(directory) as run:
        write_json(directory / MANIFEST, {"schema": MANIFEST_SCHEMA, "run": name, **manifest, "starts": []})
        yield run


@contextlib.contextmanager
def open_run(directory: Path) -> Iterator[Run]:
    """An existing run directory. Raises RunNotFound, RunBusy."""
    if not (directory / MANIFEST).exists():
        raise RunNotFound(f"{directory} is not a run: it has no {MANIFEST}\n  next: name one of the directories under results/")
    with _guarded(directory) as run:
        yield run


@contextlib.contextmanager
def _guarded(directory: Path) -> Iterator[Run]:
    # The kernel gives the lock back when its holder dies, however it dies.
    with (directory / LOCK).open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunBusy(f"another command is writing {directory}\n  next: wait for it, or end it") from None
        yield Run(directory)


def is_abandoned(directory: Path) -> bool:
    """Whether no command has this run open: what still runs in its name is an orphan."""
    try:
        with (directory / LOCK).open("r") as guard:
            # Shared: two that ask at once are not each other's command.
            fcntl.flock(guard, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return True
    except OSError:
        return False


def latest_run(results: Path) -> Path:
    """The newest run under ``results``. Raises RunNotFound where there is none."""
    runs = [path.parent for path in results.glob(f"*/{MANIFEST}")]
    if not runs:
        raise RunNotFound(f"there is no run in {results}\n  next: nox -s bench-cpu")
    return max(runs, key=lambda path: (path / MANIFEST).stat().st_mtime)


def write_json(path: Path, content: object) -> None:
    """As ``write_text``."""
    write_text(path, json.dumps(content, indent=1))


def write_text(path: Path, content: str) -> None:
    """Replace a file as a whole: a reader sees the old one or the new one."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _move(source: Path, target: Path) -> None:
    """Move regular files and folders of them; anything else stays where it is removed."""
    if source.is_symlink():
        return
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for item in source.iterdir():
            _move(item, target / item.name)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
