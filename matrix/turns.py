"""The host's end of the turns that launches take with each other: says whose it is.

One launch works at a time. Whoever is furthest behind has the next turn: so all begin a cell before one takes samples of it, their samples
come slice by slice, and a launch that fails in a cell lets the others go on. Between equals chance decides, by the run's seed.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.turns import BEGINNING, MESSAGE_BYTES, SOCKET, Place, parse, short_path


@dataclass(kw_only=True)
class _Seat:
    """One launch, as it is seen from here."""

    listener: socket.socket
    connection: socket.socket | None = None
    serial: int = 0
    place: Place | None = None
    """Where it waits; None: it works, or has not come yet."""
    gone: bool = False
    parted: bool = False
    """Whether it was sent away before its next cell, since one of the others has died."""

    @property
    def channel(self) -> socket.socket:
        return self.listener if self.connection is None else self.connection


class Turns:
    """Of the launches of one block. A context: on leaving it the lines are closed, which ends launches that are still there."""

    def __init__(self, directories: Sequence[Path], seed: str) -> None:
        """directories: the output folders of the launches, which have to be there. OSError where nothing can listen in them."""
        self._seats = [_Seat(listener=_listen(directory)) for directory in directories]
        self._seed = seed
        self._lock = threading.Condition()
        self._begun = False
        self._parting = False
        # Written to when something changes that is not on the lines.
        self._ear, self._mouth = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Turns:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._thread.join()

    def close(self) -> None:
        """End all launches that are still there: each sees that its line is closed."""
        with contextlib.suppress(OSError):
            self._mouth.close()

    def wait_for(self, index: int) -> None:
        """Until a launch has come to its first cell, or is gone."""
        seat = self._seats[index]
        with self._lock:
            self._lock.wait_for(lambda: seat.place is not None or seat.gone)

    def begin(self) -> None:
        """All are there: give the first turn."""
        self._begun = True
        self._wake()

    def part(self, index: int) -> None:
        """A launch has died among its cells: the others end before their next one, for all to be started together again.

        One that has not come to its first cell leaves nothing to be measured together.
        """
        with self._lock:
            self._parting |= self._seats[index].connection is not None

    def has_parted(self, index: int) -> bool:
        """Whether a launch was ended for another that has died."""
        return self._seats[index].parted

    def leave(self, index: int) -> None:
        """A launch has ended, however it did."""
        with self._lock:
            self._seats[index].gone = True
            self._lock.notify_all()
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._mouth.send(b"x")

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector, self._ear:
            selector.register(self._ear, selectors.EVENT_READ)
            for seat in self._seats:
                selector.register(seat.listener, selectors.EVENT_READ, seat)
            try:
                while True:
                    for key, _ in selector.select():
                        if key.fileobj is self._ear:
                            if not self._ear.recv(MESSAGE_BYTES):
                                return
                        else:
                            self._hear(key.data, selector)
                    self._send_away(selector)
                    self._give()
            finally:
                for seat in self._seats:
                    seat.listener.close()
                    if seat.connection is not None:
                        seat.connection.close()
                with self._lock:
                    for seat in self._seats:
                        seat.gone = True
                    self._lock.notify_all()

    def _hear(self, seat: _Seat, selector: selectors.BaseSelector) -> None:
        """A launch comes, waits, or goes."""
        if seat.connection is None:
            selector.unregister(seat.listener)
            seat.connection, _ = seat.listener.accept()
            selector.register(seat.connection, selectors.EVENT_READ, seat)
            return
        try:
            serial, place = parse(seat.connection.recv(MESSAGE_BYTES))
        except (OSError, ValueError):
            # It has ended; or something in the image writes on its line, and nobody knows whose turn it is there.
            self._end(seat, selector)
            return
        with self._lock:
            seat.serial, seat.place = serial, place
            self._lock.notify_all()

    def _end(self, seat: _Seat, selector: selectors.BaseSelector) -> None:
        """Close a launch's line, which ends it where it is still there."""
        assert seat.connection is not None  # it has come
        selector.unregister(seat.connection)
        seat.connection.close()
        with self._lock:
            seat.gone = True
            self._lock.notify_all()

    def _send_away(self, selector: selectors.BaseSelector) -> None:
        """Those that wait for the beginning of a cell, where one has died."""
        for seat in self._seats:
            if self._parting and not seat.gone and seat.place is not None and seat.place.slice == BEGINNING:
                seat.parted = True
                self._end(seat, selector)

    def _give(self) -> None:
        """The next turn, where nobody has one."""
        there = [seat for seat in self._seats if not seat.gone]
        if not self._begun or not there or any(seat.place is None for seat in there):
            return
        place = min(seat.place for seat in there if seat.place is not None)
        equals = [seat for seat in there if seat.place == place]
        seat = random.Random(f"{self._seed} {place.cell} {place.slice} {len(equals)}").choice(equals)
        assert seat.connection is not None  # it has said where it waits
        seat.place = None
        with contextlib.suppress(OSError):
            # One that cannot hear any more is heard to go.
            seat.connection.send(b"%d" % seat.serial)


def _listen(directory: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with short_path(directory / SOCKET) as path:
        listener.bind(path)
    listener.listen(1)
    return listener
