"""From a cell to its backend."""

from __future__ import annotations

from typing import cast

from harness import catalog
from harness.cell import Cell
from harness.protocols import Artifacts, Backend, BackendFactory, Unsupported


def backend_of(cell: Cell, artifact: Artifacts) -> Backend:
    """The backend that a cell asks for. Raises Unsupported for one that the harness, the device or the image does not have, and for its options."""
    try:
        reference = catalog.backend_reference(cell.backend)
    except KeyError:
        raise Unsupported(f"the harness has no backend {cell.backend!r}; it has {', '.join(catalog.BACKENDS)}") from None
    devices = catalog.DEVICES.get(cell.backend, catalog.USUAL_DEVICES)
    if cell.device not in devices:
        there = [name for name, runs_on in catalog.DEVICES.items() if cell.device in runs_on]
        raise Unsupported(
            f"{cell.backend} runs on {' and '.join(devices)}, not on {cell.device}: "
            + (f"choose {', '.join(there)} (--backend)" if cell.device == "xla" else "use an image whose device is xla (matrix.toml)")
        )
    return cast("BackendFactory", catalog.load(reference))(cell, artifact)
