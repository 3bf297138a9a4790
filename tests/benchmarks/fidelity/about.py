"""The line before a study's tables: what it was measured on, with which torch, and how."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from typing import Any

NOT_PARAMETERS = frozenset({"study", "module", "check", "out", "python", "rendered", "launches_from"})
"""Options that change nothing in the numbers."""


def summary(facts: Mapping[str, Any]) -> dict[str, str]:
    """What of a launch's facts (``launch.json``) goes into the line."""
    machine = facts.get("machine", {})
    gpus = [str(gpu.get("name", "a GPU")) for gpu in facts.get("gpus", ())]
    processor = f"{machine.get('cpu') or 'processor without a name'}, {machine.get('cores', '?')} cores"
    return {
        "machine": " + ".join([*gpus, processor]) + (f" ({machine['hypervisor']} hypervisor)" if "hypervisor" in machine else ""),
        "torch": str(facts.get("torch", "?")),
        "container": str(machine.get("container", "none")),
    }


def line(summaries: Mapping[str, Mapping[str, str]], parameters: str) -> str:
    """summaries: by image."""
    if not summaries:
        return f"Machine: not known; {parameters}"
    machines = " / ".join(dict.fromkeys(each["machine"] for each in summaries.values()))
    versions = {image: f"torch {each['torch']}" for image, each in summaries.items()}
    if len(set(versions.values())) == 1:
        torch = next(iter(versions.values()))
    else:
        torch = ", ".join(f"{image}: {version}" for image, version in versions.items())
    return f"Machine: {machines}; {torch}; {parameters}"


def parameters(options: argparse.Namespace) -> str:
    """The options in force, as they would be written."""
    # What is made in parts has its number of launches in its tables.
    hidden = NOT_PARAMETERS | ({"launches"} if hasattr(options, "launches_from") else frozenset())
    given = {name: value for name, value in vars(options).items() if name not in hidden and value not in (None, False)}
    return f"{options.study}: " + ", ".join(f"{name.replace('_', '-')} {_text(value)}".rstrip() for name, value in given.items())


def _text(value: object) -> str:
    if value is True:
        return ""
    if isinstance(value, tuple | list):
        words = [str(each) for each in value]
        return f"{len(words)} ({' '.join(words)})" if len(words) > 3 else shlex.join(words)
    return str(value)
