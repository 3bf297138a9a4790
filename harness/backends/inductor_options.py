"""Keys of ``torch._inductor.config`` as options of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from harness.backends.config_values import checked_values
from harness.choice import Value
from harness.protocols import Unsupported


def mode_options(mode: str) -> dict[str, object]:
    """What a mode of ``torch.compile`` sets, so that options can be set beside it: torch itself takes only one of both."""
    from torch._inductor import list_mode_options

    modes = {"default": {}, **list_mode_options()}
    if mode not in modes:
        raise Unsupported(f"torch {torch.__version__} has no mode {mode!r} of inductor; it has {', '.join(modes)}")
    return dict(modes[mode])


def checked_options(options: Mapping[str, Value], *, own: Iterable[str] = ()) -> dict[str, Value]:
    """The options in the types that inductor wants; see ``checked_values``."""
    from torch._inductor import config

    return checked_values(config, options, own=own)
