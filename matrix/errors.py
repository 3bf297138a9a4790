"""Errors of the host, one class per cause, each with its exit code. Each text ends in the next command."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from images.errors import UserError

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM: what was measured is kept."""
OPTIONS = "next: see the options with --help"
INCOMPLETE = 4
"""Exit code of a run with cells that the engine, not the image, kept from being measured."""


class ConfigError(UserError):
    """matrix.toml, or a file beside it, has mistakes; the text has a line for each."""

    exit_code = 2


class SelectionError(UserError):
    """The options select nothing, or name what does not exist."""

    exit_code = 2

    def __str__(self) -> str:
        text = super().__str__()
        return text if "next: " in text else f"{text}\n  {OPTIONS}"


@contextlib.contextmanager
def of_option(option: str, *, is_given: bool = True) -> Iterator[None]:
    """A mistake that is found in what this option says begins with its name, where it was given: else it is the configuration that says it."""
    try:
        yield
    except SelectionError as error:
        if not is_given:
            raise
        raise SelectionError(f"{option}: {error}") from None


class EngineMissing(UserError):
    """No Docker engine answers."""

    exit_code = 10


class EngineForbidden(UserError):
    """A Docker engine is there and may not be used."""

    exit_code = 11


class EngineLost(UserError):
    """The engine stopped answering in the middle of a run."""

    exit_code = 4


class ImageMissing(UserError):
    """An image that was there is gone."""

    exit_code = 14


class GpuMissing(UserError):
    """An image is for a GPU, and this host has none that a driver drives."""

    exit_code = 20


class GpuRuntimeMissing(UserError):
    """The host has a GPU, and the engine no way to hand it over, or not the one that was asked for."""

    exit_code = 21


class DriverTooOld(UserError):
    """The host's driver cannot run the CUDA that an image brings."""

    exit_code = 22


class RunNotFound(UserError):
    """There is no such run directory."""

    exit_code = 18


class RunBusy(UserError):
    """Another command is writing this run."""

    exit_code = 19
