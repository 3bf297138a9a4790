"""Packages that an image may lack."""

from __future__ import annotations

import importlib
from typing import Any

from harness.protocols import Unsupported


def need(name: str) -> Any:
    """The module of that name. Raises Unsupported where the image does not have it, or cannot load it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        what = "is not in this image" if isinstance(error, ModuleNotFoundError) and error.name == package else "cannot be imported here"
        raise Unsupported(f"the package {package} {what}: {error}") from None
