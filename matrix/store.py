"""The run directory: the record of everything one command measured.

``manifest.json``, ``results.csv``, ``samples.csv``, ``logs/``, ``artifacts/``. A launch writes into ``incoming/<launch>/``, the only
place it may write to; when it has ended, what it left is collected: appended here, made durable, and only then removed there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness import output, records
from harness.records import Row, row_from_fields
from matrix.errors import RunBusy, RunNotFound

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

    def __init__(self, directory: Path, guard: Any) -> None:
        self.directory = directory
        self._guard = guard

    @property
    def name(self) -> str:
        return self.directory.name

    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / MANIFEST).read_text(encoding="utf-8"))
        return found

    def update_manifest(self, change: Callable[[dict[str, Any]], None]) -> None:
        manifest = self.manifest()
        change(manifest)
        write_json(self.directory / MANIFEST, manifest)

    def rows(self) -> list[Row]:
        """The rows that are collected and whole."""
        found = []
        for fields in records.read_fields(self.directory / RESULTS):
            with contextlib.suppress(ValueError):
                found.append(row_from_fields(fields))
        return found

    def finished(self) -> set[Key]:
        return {(row.launch, row.cell) for row in self.rows()}

    def add(self, rows: list[Row]) -> None:
        """Append rows of cells that have none; a cell has one row per launch."""
        finished = self.finished()
        new = [row for row in rows if (row.launch, row.cell) not in finished]
        records.append_rows(self.directory / RESULTS, new)

    def incoming(self, launch: int, attempt: int) -> Path:
        """A fresh directory for one start of a launch to write into."""
        directory = self.directory / INCOMING / f"{launch:03d}-{attempt}"
        directory.mkdir(parents=True)
        return directory

    def attempts(self, launch: int) -> int:
        """How many starts this launch has had."""
        return sum(1 for start in self.manifest()["starts"] if start["launch"] == launch)

    def collect(self) -> None:
        """Take over what launches left in ``incoming``: only for launches that have ended. Safe to repeat after a kill at any point."""
        for directory in sorted((self.directory / INCOMING).glob("*-*")):
            self._collect(directory)

    def _collect(self, directory: Path) -> None:
        finished = self.finished()
        rows = []
        for fields in records.read_fields(directory / output.ROWS):
            try:
                row = row_from_fields(fields)
            except ValueError:
                continue
            if (row.launch, row.cell) not in finished:
                rows.append(dataclasses.replace(row, log=f"{LOGS}/{directory.name}/{Path(row.log).name}" if row.log else ""))
        self._take_samples(directory, {row.cell for row in rows})
        records.append_rows(self.directory / RESULTS, rows)
        for name in (LOGS, ARTIFACTS):
            _move(directory / name, self.directory / name / directory.name)
        _move(directory / "launch.log", self.directory / LOGS / directory.name / "launch.log")
        facts = directory / output.FACTS
        if facts.exists():
            about = json.loads(facts.read_text(encoding="utf-8"))
            launch, attempt = (int(part) for part in directory.name.split("-"))

            def change(manifest: dict[str, Any]) -> None:
                for start in manifest["starts"]:
                    if (start["launch"], start["attempt"]) == (launch, attempt):
                        start.update(about)

            self.update_manifest(change)
        shutil.rmtree(directory)

    def _take_samples(self, directory: Path, cells: set[str]) -> None:
        """Samples before rows, as in the launch: a row says that its cell is done. Samples that have no row yet are those of a
        collection that was killed in between; they are replaced.
        """
        launch, attempt = directory.name.split("-")
        target = self.directory / SAMPLES

        def is_half(fields: Mapping[str, str]) -> bool:
            return int(fields["launch"]) == int(launch) and fields["attempt"] == attempt and fields["cell"] in cells

        known = list(records.read_fields(target))
        if any(map(is_half, known)):
            _replace(target, [fields for fields in known if not is_half(fields)])
        new = (fields for fields in records.read_fields(directory / output.SAMPLES) if fields["cell"] in cells)
        records.append_samples(target, map(_sample, new))

    def forget(self, status: str) -> int:
        """Drop the rows of a status, so that their cells are measured again; how many they were. Atomic."""
        rows = self.rows()
        kept = [row for row in rows if row.status != status]
        if len(kept) != len(rows):
            target = self.directory / RESULTS
            temporary = _fresh(target)
            records.append_rows(temporary, kept)
            temporary.replace(target)
        return len(rows) - len(kept)

    def close(self) -> None:
        self._guard.close()


def _replace(target: Path, kept: list[dict[str, str]]) -> None:
    temporary = _fresh(target)
    records.append_samples(temporary, map(_sample, kept))
    temporary.replace(target)


def _fresh(target: Path) -> Path:
    """The name of a file that is to take the target's place."""
    temporary = target.with_name(f"{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    return temporary


def _sample(fields: Mapping[str, str]) -> records.Sample:
    return records.Sample(
        launch=int(fields["launch"]),
        attempt=int(fields["attempt"]),
        cell=fields["cell"],
        variant=fields["variant"],
        index=int(fields["index"]),
        seconds=float(fields["seconds"]),
        calls=int(fields["calls"]),
    )


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
        yield Run(directory, guard)


def is_abandoned(directory: Path) -> bool:
    """Whether no command has this run open: what still runs in its name is an orphan."""
    try:
        with (directory / LOCK).open("r+") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
    """Replace a file as a whole: a reader sees the old one or the new one."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _move(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for item in source.iterdir():
            _move(item, target / item.name)
        source.rmdir()
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
