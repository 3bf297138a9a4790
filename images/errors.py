"""Errors of images, one class per cause. Each text says what happened, the likely cause and the next command."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can mend: shown without a traceback, and ends the command with ``exit_code``."""

    exit_code = 2


class BuilderMissing(UserError):
    """No Docker client here can build with BuildKit."""

    exit_code = 12


class BuildFailed(UserError):
    """The engine answers, and building the image failed."""

    exit_code = 13


class PullFailed(UserError):
    """The engine answers, and an image could not be pulled."""

    exit_code = 14


class InstallFailed(UserError):
    """A lock could not be installed into a virtual environment."""

    exit_code = 15


class LockMissing(UserError):
    """An image's lock file is not there."""

    exit_code = 16
