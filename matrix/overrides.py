"""The configuration with the command line's changes: what is in force, what the manifest has, and what a resumed run goes by."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness import batch_search, catalog
from matrix.config import Matrix
from matrix.errors import SelectionError
from matrix.plan import Plan
from matrix.toml_files import message_of

QUICK = {"samples": 6, "interval_width": 1.0, "budget_seconds": 0.5, "energy_seconds": 0.0, "warm_compile": False, "ceilings": False}
"""Of ``[run]``, for ``--quick``."""
OF_EXPERIMENTS = ("experiment", "batch_sizes", "dynamic", "first_batch_size")
"""Settings of ``[run]`` whose options have their names; the gate has none of these."""
TREATMENTS = (
    "tag",
    "threads",
    "deterministic",
    "tf32",
    "channels_last",
    "activation_checkpointing",
    "optimizer",
    "distributed",
    "ranks",
    "gpu_memory_fraction",
    "minify",
    "keep_debug",
)
"""The same, of everything that measures."""
OF_ONE_EXPERIMENT = {
    "batch_sizes": ("dynamic-shapes", "recompiles"),
    "dynamic": ("dynamic-shapes",),
    "first_batch_size": (batch_search.EXPERIMENT,),
    "compare": ("baselines",),
    "distributed": (catalog.PERFORMANCE,),
    "minify": (catalog.PERFORMANCE,),
    "memory_snapshot": (catalog.PERFORMANCE,),
    "save_outputs": (catalog.PERFORMANCE,),
    "compare_outputs": (catalog.PERFORMANCE,),
}
"""Options that nothing but these experiments reads."""
OF_OTHER_EXPERIMENTS = {batch_search.EXPERIMENT: ("batch_size", "batch_size_file")}
"""Options that this experiment does not read."""
OF_TRAINING = ("optimizer", "activation_checkpointing", "distributed")
"""Options that nothing but training reads."""
OF_GPUS = ("tf32", "gpu_memory_fraction", "cache")
"""Options that nothing but a cell on a GPU reads; of ``gpus``, what hands one over."""
BASELINES = "baselines"
OF_COMPILERS = ("minify", "torch_config", "keep_caches")
"""Options that nothing but a backend other than eager reads."""
LIMITS = ("memory", "gpus")
"""Options of every image's container."""
OPTION_OF = {"timeout_seconds": "timeout", "baselines": "compare", **dict.fromkeys(QUICK, "quick")}
"""Of settings of ``[run]``, where the option has another name."""
Options = Mapping[tuple[str, ...], str]
"""By the path of a setting, the option that it was given by."""
NO_OPTIONS: Options = {}


def option_of(setting: str) -> str:
    """The option that changes a setting."""
    return f"--{OPTION_OF.get(setting, setting).replace('_', '-')}"


def with_options(matrix: Matrix, options: argparse.Namespace) -> Matrix:
    """Of the options of building and measuring. SelectionError for what the configuration does not allow."""
    changed, named = _with_build_options(matrix, options)
    if options.quick:
        changed["run"] |= QUICK
    given = {
        **{name: getattr(options, name, None) for name in OF_EXPERIMENTS},
        "timeout_seconds": options.timeout,
        "cache": options.cache,
        "memory_snapshot": options.memory_snapshot,
        "save_outputs": getattr(options, "save_outputs", None),
    }
    given |= {name: getattr(options, name) for name in TREATMENTS}
    if options.torch_config:
        given["torch_config"] = {**changed["run"]["torch_config"], **dict(options.torch_config)}
    if (earlier := getattr(options, "compare_outputs", None)) is not None:
        given["compare_outputs"] = str((earlier if earlier.exists() else options.results / earlier).resolve())
    if (kept := getattr(options, "keep_caches", None)) is not None:
        given["keep_caches"] = str(kept.absolute())
    if getattr(options, "compare", None):
        given["baselines"] = options.compare
    given = {name: value for name, value in given.items() if value is not None}
    changed["run"] |= given
    limits = {name: value for name in LIMITS if (value := getattr(options, name)) is not None}
    for image in changed["images"].values():
        image["container"] |= limits
    named |= {("run", name): option_of(name) for name in given}
    named |= {("images", image, "container", name): option_of(name) for image in changed["images"] for name in limits}
    return matrix_of(changed, named)


def require_effect(matrix: Matrix, plan: Plan, options: argparse.Namespace) -> None:
    """Raises SelectionError for an option that nothing of the run would read: who gave it expects something of it."""
    for name, experiments in OF_ONE_EXPERIMENT.items():
        if getattr(options, name, None) is not None and matrix.run.experiment not in experiments:
            raise SelectionError(
                f"{option_of(name)} is of {', '.join(experiments)}, and the experiment is {matrix.run.experiment}\n"
                f"  next: --experiment {experiments[0]}, or leave it out"
            )
    for name in OF_OTHER_EXPERIMENTS.get(matrix.run.experiment, ()):
        if getattr(options, name):
            raise SelectionError(
                f"{option_of(name)}: {matrix.run.experiment} tries sizes of its own\n  next: --first-batch-size N, or leave it out"
            )
    if options.ranks is not None and matrix.run.distributed is None:
        raise SelectionError("--ranks: nothing is spread over ranks\n  next: --distributed ddp or fsdp, or leave it out")
    cells = [cell for launch in plan.launches for cell in launch.cells]
    if not any(cell.mode == "training" for cell in cells):
        _refuse(options, OF_TRAINING, "is of training, and no cell trains\n  next: --mode training, or leave it out")
    if not any(cell.device == "cuda" for cell in cells):
        handed_over = ("gpus",) if options.gpus not in ("auto", "none") else ()
        why = "is of GPUs, and no cell is on one\n  next: the session of an image for a GPU (nox -l), or leave it out"
        _refuse(options, (*OF_GPUS, *handed_over), why)
    if matrix.run.experiment != BASELINES and all(cell.backend in (catalog.EAGER, catalog.IMAGE_BACKEND) for cell in cells):
        _refuse(options, OF_COMPILERS, "is of compilers, and every cell is eager\n  next: --backend inductor, or leave it out")


def _refuse(options: argparse.Namespace, names: Iterable[str], why: str) -> None:
    for name in names:
        if getattr(options, name, None) is not None:
            raise SelectionError(f"{option_of(name)} {why}")


def for_gate(matrix: Matrix) -> Matrix:
    """The time for samples as the gate wants it: all of it is spent, since what is compared are levels of launches."""
    changed: dict[str, Any] = matrix.model_dump(mode="json")
    seconds = matrix.gate.sample_seconds
    # A gate compares its images itself, and how long they take to compile.
    changed["run"] |= {"least_seconds": seconds, "budget_seconds": seconds, "compare_outputs": None, "keep_caches": None}
    return matrix_of(changed)


def with_build_options(matrix: Matrix, options: argparse.Namespace) -> Matrix:
    """SelectionError for what the configuration does not allow."""
    return matrix_of(*_with_build_options(matrix, options))


def _with_build_options(matrix: Matrix, options: argparse.Namespace) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """The configuration as JSON has it, and the options that it was changed by."""
    changed: dict[str, Any] = matrix.model_dump(mode="json")
    named: dict[tuple[str, ...], str] = {}
    if options.build_network is not None:
        changed["build"]["network"] = options.build_network
        named["build", "network"] = "--build-network"
    for name in ("ca_bundle", "pip_config", "wheelhouse"):
        path: Path | None = getattr(options, name)
        if path is not None:
            changed["build"][name] = str(path.absolute())
            named["build", name] = option_of(name)
    if options.base is not None:
        for name, image in changed["images"].items():
            image["base"] = options.base
            named["images", name, "base"] = "--base"
    return changed, named


def matrix_of(changed: Mapping[str, Any], options: Options = NO_OPTIONS) -> Matrix:
    """The configuration that JSON holds, as in a manifest. SelectionError where it is none."""
    try:
        return Matrix.model_validate_json(json.dumps(changed), context=changed)
    except ValidationError as error:
        # What an option says of every image is one mistake.
        raise SelectionError("\n".join(dict.fromkeys(_text(e["loc"], e, options) for e in error.errors()))) from None


def _text(path: tuple[str | int, ...], error: Mapping[str, Any], options: Options) -> str:
    """One mistake, and where it is: at an option, or at a setting."""
    keys = tuple(map(str, path))
    option = next((option for setting, option in options.items() if keys[: len(setting)] == setting), None)
    if option is None:
        return f"{'.'.join(keys)}: {message_of(error)}"
    value = error["input"]
    return f"{option}{f' {value!r}' if isinstance(value, str | int | float) else ''}: {message_of(error)}"
