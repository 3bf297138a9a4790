"""Settings of torch's compilers by name, for a whole run: ``dynamo.specialize_int``, ``inductor.freezing``, ``functorch.…``, ``fx.…``.

Checked for name and type before anything is loaded, and recorded in the run's manifest; a backend's own options are set beside them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable

import torch

from harness.backends.config_values import checked_values
from harness.catalog import COMPILERS
from harness.choice import Value, nearest
from harness.protocols import Unsupported


def apply(settings: Iterable[tuple[str, Value]]) -> None:
    """For the rest of this process. Raises Unsupported for what this torch does not have, and for values of another type."""
    for name, value in settings:
        part, _, key = name.partition(".")
        if part not in COMPILERS:
            raise Unsupported(f"torch {torch.__version__} has no settings {part!r}{nearest(part, COMPILERS)}")
        module = importlib.import_module(COMPILERS[part])
        # These modules take a dotted key as it is.
        setattr(module, key, checked_values(module, {key: value})[key])
