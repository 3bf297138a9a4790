"""What an image is made of, and how it is made: the inputs that its tag is the hash of, and the settings that it is not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from images.errors import LockMissing

REPOSITORY = "benchmatrix"
HASH_LENGTH = 16


@dataclass(frozen=True, kw_only=True)
class Extra:
    """An optional layer of an image."""

    name: str
    lock: Path
    """Of what it adds to the image's own lock."""
    smoke: Path
    """A Python program that does one real operation of what it is for."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The inputs of an image."""

    name: str
    version: str
    """Empty where the image has only one."""
    base: str
    """Image reference of the base."""
    lock: Path
    dockerfile: Path
    smoke: Path
    """A Python program that does one real operation of what the image is for; it ends the build."""
    extras: tuple[Extra, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name

    def read_lock(self) -> bytes:
        try:
            return self.lock.read_bytes()
        except OSError as error:
            raise LockMissing(f"the image {self.label} has no lock: {error}\n  next: nox -s lock -- {self.name}") from None

    def read_extra_locks(self) -> dict[str, bytes]:
        """By the name of the extra."""
        found = {}
        for extra in self.extras:
            try:
                found[extra.name] = extra.lock.read_bytes()
            except OSError as error:
                raise LockMissing(
                    f"the extra {extra.name} of the image {self.label} has no lock: {error}\n  next: nox -s lock -- {self.name}/{extra.name}"
                ) from None
        return found


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """How packages reach a build or a virtual environment on this host. None of it is kept in the image, or in its tag."""

    network: str = "default"
    """Network of the build's steps: ``default``, ``host`` or ``none``."""
    ca_bundle: Path | None = None
    """Certificates (PEM) to trust while installing."""
    pip_config: Path | None = None
    """A pip.conf with index settings; credentials in it reach the build as a secret."""
    wheelhouse: Path | None = None
    """Folder of wheels that holds the whole lock: pip then asks no index."""


def _of_extras(recipe: Recipe) -> list[bytes]:
    """Name, lock and smoke test of each; nothing of an image without any."""
    locks = recipe.read_extra_locks()
    return [content for extra in recipe.extras for content in (extra.name.encode(), locks[extra.name], extra.smoke.read_bytes())]


def tag(recipe: Recipe, base_digest: str) -> str:
    """Image reference made of the hash of the inputs: the same inputs have the same tag, on every machine.

    base_digest: identity of the base's content, so that a base that moved under its name is another image.
    """
    digest = hashlib.sha256()
    for content in (
        recipe.dockerfile.read_bytes(),
        recipe.read_lock(),
        recipe.smoke.read_bytes(),
        recipe.base.encode(),
        base_digest.encode(),
        *_of_extras(recipe),
    ):
        digest.update(hashlib.sha256(content).digest())
    version = f"{recipe.version}-" if recipe.version else ""
    return f"{REPOSITORY}/{recipe.name}:{version}{digest.hexdigest()[:HASH_LENGTH]}"
