"""The same lock without Docker: a virtual environment, made once per lock and Python."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from images.errors import InstallFailed
from images.recipe import HASH_LENGTH, BuildSettings, Recipe

COMPLETE = "benchmatrix.json"
"""Written last: an environment without it was not finished, and is made again."""
LOG_LINES = 30


@dataclass(frozen=True, kw_only=True)
class Environment:
    python: Path
    digest: str
    """Hash of locks, Python and platform."""
    size_bytes: int
    built: bool


def environment_digest(lock: bytes, *extra_locks: bytes) -> str:
    digest = hashlib.sha256(lock)
    for extra in extra_locks:
        digest.update(extra)
    digest.update(f"{sys.version} {platform.system()} {platform.machine()}".encode())
    return digest.hexdigest()[:HASH_LENGTH]


def install_command(python: Path, lock: Path, settings: BuildSettings) -> list[str]:
    """The argument list that installs a lock. Pure."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    if settings.wheelhouse is not None:
        command += ["--no-index", "--find-links", str(settings.wheelhouse)]
    return [*command, "--requirement", str(lock)]


def install_variables(settings: BuildSettings) -> Mapping[str, str]:
    variables = {}
    if settings.pip_config is not None:
        variables["PIP_CONFIG_FILE"] = str(settings.pip_config)
    if settings.ca_bundle is not None:
        variables["PIP_CERT"] = str(settings.ca_bundle)
    return variables


def ensure_environment(recipe: Recipe, settings: BuildSettings, root: Path, say: Callable[[str], None] = print) -> Environment:
    """The virtual environment of this recipe's lock under ``root``: the one that is there, or a new one.

    Safe against a second command that wants it at the same time. Raises InstallFailed with the end of pip's output, LockMissing.
    """
    digest = environment_digest(recipe.read_lock(), *recipe.read_extra_locks().values())
    folder = root / f"{recipe.name}-{digest}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{folder.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        complete = folder / COMPLETE
        if complete.exists() and python.exists():
            size = json.loads(complete.read_text())["size_bytes"]
            say(f"image {recipe.label}: virtual environment {folder} is there")
            return Environment(python=python, digest=digest, size_bytes=size, built=False)
        shutil.rmtree(folder, ignore_errors=True)
        say(f"image {recipe.label}: installing {recipe.lock} into {folder} (once; some minutes)")
        _run([sys.executable, "-m", "venv", str(folder)], {}, recipe)
        for lock in (recipe.lock, *(extra.lock for extra in recipe.extras)):
            _run(install_command(python, lock, settings), install_variables(settings), recipe)
        size = sum(path.lstat().st_size for path in folder.rglob("*"))
        complete.write_text(json.dumps({"lock": str(recipe.lock), "size_bytes": size}))
        return Environment(python=python, digest=digest, size_bytes=size, built=True)


def _run(command: list[str], variables: Mapping[str, str], recipe: Recipe) -> None:
    done = subprocess.run(command, env={**os.environ, **variables}, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-LOG_LINES:])
        raise InstallFailed(
            f"installing the lock of {recipe.label} failed: {' '.join(command)} (exit code {done.returncode}); the end of its output:\n{tail}\n"
            "  likely: the package index cannot be reached, or has no wheel for this Python and platform\n"
            "  next: try --pip-config FILE, --ca-bundle FILE or --wheelhouse DIR"
        )
