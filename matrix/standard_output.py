"""Standard output that may be closed, full or read by nobody: what a command finds out, and its exit code, do not depend on it."""

from __future__ import annotations

import io
import os
import sys
from typing import BinaryIO, cast


class Lasting(io.TextIOWrapper):
    """Text that goes nowhere from the first failure on, which is told on standard error."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        # In place of the file itself: what is still buffered goes there too, at the latest when Python ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        print(f"standard output cannot be written any more ({error}); the run's directory has what was found", file=sys.stderr)


def make_lasting() -> None:
    """Have ``print`` never fail: a line at a time, any character, and whatever standard output is."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed from the beginning (``>&-``).
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  # as long as the process
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return
    if sys.stdout is not sys.__stdout__:
        # Somebody else's, who looks after it.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
        return
    encoding = sys.stdout.encoding
    sys.stdout = Lasting(cast("BinaryIO", sys.stdout.detach()), encoding=encoding, errors="backslashreplace", line_buffering=True)
