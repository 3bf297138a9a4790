"""Parts of a run's manifest, as ``json`` reads it. Nothing of it is trusted to be there, or to be of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Empty where there is none."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def entries(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Those items of a list that are mappings."""
    value = data.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
