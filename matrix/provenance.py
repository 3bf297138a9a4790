"""Where a run comes from: hashes of configuration and harness, the revision, the plan. What is needed to make it again."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import catalog
from harness.cell import Cell, cell_from_dict
from matrix.config import Matrix
from matrix.engines.engine import Environment
from matrix.errors import RunNotFound, SelectionError
from matrix.plan import Excluded, Launch, Plan, PlannedImage

GATE = "gate"
"""Key of the manifest that only a run of the gate has: what it compares."""
RUNNING, DONE, INTERRUPTED = "running", "done", "interrupted"
"""States of a run, as its manifest has them."""


def harness_digest(source: Path) -> str:
    """SHA-256 over the harness' Python files, by path and content: two runs with the same one were measured alike."""
    digest = hashlib.sha256()
    for path in sorted((source / "harness").rglob("*.py")):
        digest.update(str(path.relative_to(source)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def user_module_digests(plan: Plan) -> dict[str, str]:
    """SHA-256 of the users' own modules, by path. Raises SelectionError for one that is not there."""
    found = {}
    for path in dict.fromkeys(cell.path for launch in plan.launches for cell in launch.cells if cell.path):
        try:
            found[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        except OSError as error:
            raise SelectionError(
                f"there is no file {path} to read ({error.strerror})\n  next: name a workload of your own as path:FILE:CLASS"
            ) from None
    return found


def revision(source: Path) -> str | None:
    """The git revision, with ``-dirty`` where files differ from it; None outside of a checkout."""
    command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def describe_run(
    *,
    command: list[str],
    matrix: Matrix,
    plan: Plan,
    engine: Mapping[str, str],
    environments: Mapping[PlannedImage, Environment],
    source: Path,
) -> dict[str, Any]:
    """The manifest of a new run. The cells of each image are written once; launches refer to them by the image's label."""
    cells = {launch.image.label: [dataclasses.asdict(cell) for cell in launch.cells] for launch in plan.launches}
    return {
        "command": command,
        "seed": plan.seed,
        "engine": dict(engine),
        "matrix": matrix.model_dump(mode="json"),
        "matrix_sha256": hashlib.sha256(matrix.model_dump_json().encode()).hexdigest(),
        "harness_sha256": harness_digest(source),
        "revision": revision(source),
        "images": [
            {
                **dataclasses.asdict(image),
                "label": image.label,
                "digest": environment.digest,
                "size_bytes": environment.size_bytes,
                "layers": list(environment.layers),
                "gpus": environment.passthrough.describe(),
            }
            for image, environment in environments.items()
        ],
        "cells": cells,
        "user_modules": user_module_digests(plan),
        "launches": [_entry(launch, launch.cells) for launch in plan.launches],
        "planned_rows": plan.rows,
        "excluded": [dataclasses.asdict(item) for item in plan.excluded],
        "state": RUNNING,
    }


def experiment_of(manifest: Mapping[str, Any]) -> str:
    """What a run measures. A manifest that does not say it is of a version that had nothing but ``performance``."""
    matrix = manifest.get("matrix")
    run = matrix.get("run") if isinstance(matrix, dict) else None
    return str(run.get("experiment", catalog.PERFORMANCE)) if isinstance(run, dict) else catalog.PERFORMANCE


def plan_further(manifest: dict[str, Any], launches: Sequence[Launch]) -> None:
    """Write launches into the manifest of a run that is planned as it goes, each with those of its image's cells that it measures.

    Those that are there stay as they are.
    """
    known = {item["launch"] for item in manifest["launches"]}
    for launch in launches:
        if launch.index not in known:
            cells = tuple(cell_from_dict(dict(cell)) for cell in manifest["cells"][launch.image.label])
            manifest["launches"].append(_entry(launch, cells))
            manifest["planned_rows"] += len(launch.cells)


def _entry(launch: Launch, cells: tuple[Cell, ...]) -> dict[str, Any]:
    """A launch as the manifest has it. Cells are positions in those of its image, and left out where it measures all of them."""
    entry: dict[str, Any] = {"launch": launch.index, "image": launch.image.label}
    if launch.block is not None:
        entry |= {"block": launch.block, "side": launch.side}
    if launch.cells != cells:
        position = {cell.id: index for index, cell in enumerate(cells)}
        entry["cells"] = [position[cell.id] for cell in launch.cells]
    return entry


def _launch(entry: Mapping[str, Any], image: PlannedImage, cells: tuple[Cell, ...]) -> Launch:
    chosen = tuple(cells[index] for index in entry["cells"]) if "cells" in entry else cells
    return Launch(index=entry["launch"], image=image, cells=chosen, block=entry.get("block"), side=entry.get("side", ""))


def plan_of(manifest: Mapping[str, Any]) -> Plan:
    """The plan that a manifest holds. RunNotFound where it does not hold one."""
    try:
        for key in ("matrix", "harness_sha256", "user_modules"):
            manifest[key]  # needed by whoever goes on with the plan
        manifest["engine"]["name"]
        images = {
            item["label"]: PlannedImage(name=item["name"], version=item["version"], reference=item["reference"])
            for item in manifest["images"]
        }
        cells: dict[str, tuple[Cell, ...]] = {
            label: tuple(cell_from_dict(dict(cell)) for cell in found) for label, found in manifest["cells"].items()
        }
        launches = tuple(_launch(item, images[item["image"]], cells[item["image"]]) for item in manifest["launches"])
        excluded = tuple(Excluded(**item) for item in manifest["excluded"])
        return Plan(seed=manifest["seed"], launches=launches, excluded=excluded)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        run = manifest.get("run") if isinstance(manifest, Mapping) else None
        raise RunNotFound(
            f"the manifest of the run {run or 'without a name'} cannot be read ({type(error).__name__}: {error})\n  next: start a new run"
        ) from None
