"""Parts of a run's manifest, as ``json`` reads it. Nothing of it is trusted to be there, or to be of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.gate.wording import counted


def mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Empty where there is none."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def entries(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Those items of a list that are mappings."""
    value = data.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def processor_of(start: Mapping[str, Any]) -> str:
    """Of a launch's start, as "AMD EPYC, 2 cores"; empty where it does not say where it ran."""
    about = mapping(start, "machine")
    cores = about.get("cores")
    return (
        f"{about.get('cpu') or 'a processor without a name'}, {counted(cores, 'core') if type(cores) is int else '? cores'}"
        if about
        else ""
    )


def cards_of(start: Mapping[str, Any]) -> str:
    """As "NVIDIA H200 (driver 570.1)", for each GPU that it saw."""
    return ", ".join(f"{gpu.get('name', 'a GPU')} (driver {gpu.get('driver', '?')})" for gpu in entries(start, "gpus"))
