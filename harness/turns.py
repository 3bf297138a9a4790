"""Turns: of several launches that measure the same cells, one works at a time.

They take their samples in slices of some hundredths of a second, one launch after the other, so that whatever the machine does meanwhile hits
all alike and is not in their ratio. (Duet benchmarking, Bulej et al. 2020, lets them run in parallel; in turns they also share no processor, no
cache and no memory bus.) Whose turn it is, the host says: ``matrix.turns``. Standard library only.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

from harness.process import Stopped

SOCKET = "turns.sock"
"""In the launch's output folder."""
MESSAGE_BYTES = 64
BEGINNING = 0
"""The slice of a cell that comes before its first one: everything until its samples."""
_SHARED = struct.Struct("=ddq")
"""Seconds waited, since when a wait is going on (0: none), serial number of the last wait."""


class Place(NamedTuple):
    """How far a launch is: who is furthest behind has the next turn."""

    cell: int
    """In the order that the launches share."""
    slice: int


class Turns:
    """A launch's end of the line. Used by its own process and by that of a cell, never by both at once."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._owner = os.getpid()
        # Of both processes: the launch must not count a cell's waiting as its time.
        self._shared = mmap.mmap(-1, _SHARED.size)

    def fileno(self) -> int:
        """Its other end is closed when the host goes away."""
        return self._connection.fileno()

    def wait(self, place: Place) -> None:
        """Give up the turn; return when it is this launch's again. Raises Stopped where the host is gone."""
        waited, _, serial = _SHARED.unpack(self._shared)
        # A process that died while it waited has left its wait behind.
        serial += 1
        began = time.monotonic()
        _SHARED.pack_into(self._shared, 0, waited, began, serial)
        try:
            self._say(message(serial, place))
            while self._hear() != serial:
                # The answer to a wait of a process that has died since.
                pass
        finally:
            _SHARED.pack_into(self._shared, 0, waited + time.monotonic() - began, 0.0, serial)

    def waited_seconds(self) -> float:
        """In all waits until now, one that is going on included."""
        waited, since, _ = _SHARED.unpack(self._shared)
        return float(waited + (time.monotonic() - since if since else 0.0))

    def close(self) -> None:
        """Leave for good: who waits for this launch waits no longer."""
        self._connection.close()

    def _say(self, text: bytes) -> None:
        try:
            self._connection.send(text)
        except ConnectionError:
            self._stop()

    def _hear(self) -> int:
        try:
            answer = self._connection.recv(MESSAGE_BYTES)
        except ConnectionError:
            answer = b""
        if not answer:
            self._stop()
        return int(answer)

    def _stop(self) -> NoReturn:
        if os.getpid() != self._owner:
            # The launch sees it too, and ends this process: whatever this one said would be taken for a result.
            signal.pause()
        raise Stopped("the host went away")


class Slices:
    """The turns of one cell's samples."""

    def __init__(self, turns: Turns, cell: int, seconds: float) -> None:
        """cell: its place; seconds: how long a slice takes."""
        self.seconds = seconds
        self._turns = turns
        self._cell = cell
        self._slice = BEGINNING

    def next(self) -> None:
        """Give up the turn, and wait for the next slice."""
        self._slice += 1
        self._turns.wait(Place(self._cell, self._slice))

    def now(self) -> float:
        """``time.monotonic`` of a clock that stands still while others have their turn."""
        return time.monotonic() - self._turns.waited_seconds()


def message(serial: int, place: Place) -> bytes:
    return b"%d %d %d" % (serial, place.cell, place.slice)


def parse(text: bytes) -> tuple[int, Place]:
    """Inverse of ``message``. ValueError for anything else."""
    serial, cell, which = (int(number) for number in text.split(b" "))
    return serial, Place(cell, which)


def connect(directory: Path) -> Turns:
    """To the host that listens in a launch's output folder. OSError where none does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with short_path(directory / SOCKET) as path:
        connection.connect(path)
    return Turns(connection)


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """The same place by a name that a socket's address has room for (108 bytes): a run may lie deep in a file system."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
