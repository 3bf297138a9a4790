"""A table that is only ever appended to, followed: each of its lines is read once, however often it is asked for."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path

from harness.files import is_regular


class Followed:
    """The lines of a CSV file, as text by column. One that does not fit the header is passed over: the report lists it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._header: list[str] | None = None

    def new(self) -> Iterator[dict[str, str]]:
        """Those that are whole by now and were not told before; none where the file is not there or is not a regular one."""
        if not is_regular(self._path):
            return
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read_bytes += len(line)
                with contextlib.suppress(csv.Error):
                    fields = next(csv.reader((line.decode("utf-8", errors="replace").replace("\0", " "),)))
                    if self._header is None:
                        self._header = fields
                    elif len(fields) == len(self._header):
                        yield dict(zip(self._header, fields, strict=True))
