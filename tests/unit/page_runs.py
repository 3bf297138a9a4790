"""Runs on disk for the tests of the page, and the page of them."""

from __future__ import annotations

import base64
import datetime
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.files import append_rows, append_samples
from harness.records import Row, Sample, Status
from matrix.store import MANIFEST, RESULTS, SAMPLES
from reports.load import load
from reports.page.build import build
from reports.page.collect import collect
from reports.page.model import Page, Words
from reports.page.payload import GZIP, blocks

NOW = datetime.datetime(2026, 1, 5, 7, tzinfo=datetime.timezone.utc)
MACHINE = {"cpu": "AMD EPYC", "cores": 2, "memory_bytes": 8 << 30, "kernel": "6.1"}


def row(name: str = "micro/softmax", backend: str = "inductor", image: str = "cpu@1", **changes: object) -> Row:
    """One that passed; host times from ``speedup`` and ``seconds``."""
    base = Row(
        dev="cpu",
        name=name,
        image=image,
        cell=f"{name} {backend}",
        suite=name.partition("/")[0],
        backend=backend,
        mode="inference",
        precision="float32",
        shapes="small",
        status=Status.PASS,
        speedup=2.0,
        backend_latency_seconds=1e-3,
        eager_latency_seconds=2e-3,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def failed(name: str = "micro/softmax", backend: str = "inductor", status: str = Status.TIMEOUT, **changes: object) -> Row:
    values = {"speedup": None, "backend_latency_seconds": None, "eager_latency_seconds": None, "reason": f"it ended as {status}"}
    return replace(row(name, backend), **{"status": status, **values, **changes})  # type: ignore[arg-type]


def manifest_of(images: Sequence[str], launches: Sequence[str], *, day: int = 1, **changes: object) -> dict[str, Any]:
    """Of a run without cells. launches: the image of each, in the order in which they are started."""
    return {
        "schema": 1,
        "images": [
            {"label": label, "name": label.partition("@")[0], "version": label.partition("@")[2], "reference": None} for label in images
        ],
        "launches": [{"launch": number, "image": label} for number, label in enumerate(launches)],
        "starts": [
            {
                "launch": number,
                "image": label,
                "started_at": f"2026-01-{day:02d}T06:00:{number:02d}+00:00",
                "machine": MACHINE,
                "packages": {"torch": label},
            }
            for number, label in enumerate(launches)
        ],
        "harness_sha256": "f" * 64,
        "state": "done",
        **changes,
    }


def write_run(directory: Path, rows: Sequence[Row], samples: Sequence[Sample] = (), manifest: Mapping[str, Any] | None = None) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    append_rows(directory / RESULTS, rows)
    if samples:
        append_samples(directory / SAMPLES, samples)
    if manifest is not None:
        (directory / MANIFEST).write_text(json.dumps(manifest))
    return directory


def page_of(*paths: Path, reference: str = "") -> Page:
    return build(collect(load(paths)), NOW, reference)


def texts(column: Words) -> list[str]:
    return [column.words[code] for code in column.codes.tolist()]


def decoded(page: Page) -> dict[str, tuple[Any, NDArray[np.int16]]]:
    """What a browser finds in the blocks: JSON and, of drawers, samples; by the block's id."""
    found = {}
    for block in blocks(page):
        if block.type != GZIP:
            found[block.id] = json.loads(block.text), np.zeros(0, dtype=np.int16)
            continue
        data = gzip.decompress(base64.b64decode(block.text))
        length = int.from_bytes(data[:4], "little")
        found[block.id] = json.loads(data[4 : 4 + length]), np.frombuffer(data[4 + length + length % 2 :], dtype="<i2")
    return found
