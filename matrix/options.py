"""The command line: every option once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from harness import catalog
from harness.cell import LARGEST_BATCH, TORCHBENCH_SUITE
from harness.choice import Value, parse_value
from harness.records import ENDS
from matrix.batch_sizes import FoundBatchSize, read_batch_sizes
from matrix.config import LARGEST_SEED, LONGEST_SECONDS, MOST_LAUNCHES, known_backend, known_debug_status, known_experiment, known_gpus
from matrix.errors import of_option
from matrix.parser import Parser
from matrix.plan import Selection

T = TypeVar("T")
_KINDS = {bool: "true|false", int: "NUMBER", float: "NUMBER", str: "WORD"}


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m matrix",
        description="Measures a matrix of workloads and backends inside container images.",
        epilog="Exit codes: 0 every planned cell has its row; 2 usage or configuration; 4 cells that the engine kept from being "
        "measured; 10-29 what the message says; 130 interrupted.",
    )
    parser.add_argument("--config", type=Path, default=Path("matrix.toml"), help="the configuration (default: %(default)s)")
    parser.add_argument(
        "--end-with-parent", action="store_true", help="end in order when the process that started this one is killed (Linux)"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _bench(verbs.add_parser("bench", help="measure an image"))
    image = verbs.add_parser("image", help="build an image, unless it is there")
    image.add_argument("image", help="NAME or NAME@VERSION of matrix.toml")
    add_building(image)
    lock = verbs.add_parser("lock", help="make the locks anew from their requirements.in")
    lock.add_argument("names", nargs="*", help="images, or host and dev; all where absent")
    lock.add_argument("--find-links", type=Path, help="folder of wheels that takes the place of the images' extra indexes")
    verbs.add_parser("doctor", help="check this host")
    verbs.add_parser("schema", help="print the JSON schema of matrix.toml")
    return parser


def _bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", help="the session's image: NAME of matrix.toml")
    what = parser.add_argument_group("what to measure")
    what.add_argument(
        "--image",
        dest="images",
        action="append",
        default=[],
        metavar="IMAGE",
        help="measure this instead (repeatable): NAME, NAME@VERSION, or docker://REF for any image with Python and torch",
    )
    what.add_argument(
        "--experiment",
        type=_experiment,
        metavar="NAME",
        help=f"what to measure of every cell: {', '.join(catalog.EXPERIMENTS)} (default: the configuration's)",
    )
    add_selection(what)
    of_experiments = parser.add_argument_group("of one experiment")
    of_experiments.add_argument(
        "--batch-sizes", type=_sizes, metavar="N,N,...", help="dynamic-shapes, recompiles: sizes that a workload meets after its own"
    )
    of_experiments.add_argument(
        "--dynamic",
        choices=("batch", "unbacked", "whole"),
        help="dynamic-shapes: dimensions that are symbols: the batch's, the same without a value, or all",
    )
    of_experiments.add_argument(
        "--compare", action="append", metavar="BACKEND", help="baselines: a backend to compare (repeatable; default: the image's)"
    )
    of_experiments.add_argument("--first-batch-size", type=_batch_size, metavar="N", help="largest-batch: where the search begins")
    what.add_argument("--launches", type=_launches, help="starts of each image; several images are interleaved in random order")
    how = parser.add_argument_group("how")
    add_measuring(how)
    how.add_argument(
        "--save-outputs",
        action="store_true",
        default=None,
        help="keep the outputs, in training the gradients too, of every row (artifacts/)",
    )
    how.add_argument(
        "--keep-caches",
        type=Path,
        metavar="DIR",
        help="keep compile caches there for later runs: what is compiled from them has no cold compile time",
    )
    how.add_argument(
        "--compare-outputs",
        type=Path,
        metavar="RUN",
        help="how far outputs are from those that an earlier run has kept: of another image, machine or torch; of the same seed",
    )
    add_building(parser)


def add_selection(what: argparse._ArgumentGroup) -> None:
    """Options that ``selection_of`` reads: the same of every command that measures."""
    what.add_argument("--filter", "-k", action="append", default=[], metavar="REGEX", help="keep cells whose id matches (repeatable: any)")
    what.add_argument("--exclude", "-x", action="append", default=[], metavar="REGEX", help="leave out cells whose id matches")
    what.add_argument("--exclude-exact", action="append", default=[], metavar="WORKLOAD", help="leave out a workload by its exact name")
    what.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WORKLOAD",
        help="only this workload (repeatable), by its exact name, or path:FILE:CLASS for an nn.Module of yours with get_example_inputs(), or "
        "operators:FILE for operators that --experiment operators has recorded",
    )
    what.add_argument(
        "--torchbench",
        dest="only",
        action="append",
        type=_torchbench,
        metavar="CHECKOUT",
        help="only the models of a checkout of pytorch/benchmark, by their own loader (as --only torchbench:CHECKOUT, which a suite may name too)",
    )
    what.add_argument(
        "--suite",
        action="append",
        default=[],
        metavar="NAME",
        help="the workloads of this suite, instead of the image's suites (repeatable)",
    )
    what.add_argument("--partition", type=_partition, metavar="I/N", help="the I-th of N parts of the cells, counted from 1")
    what.add_argument(
        "--backend",
        action="append",
        default=[],
        type=_backend,
        help=_backends(),
    )
    what.add_argument(
        "--mode", action="append", default=[], choices=("inference", "training"), help="instead of the configuration's (repeatable)"
    )
    what.add_argument(
        "--precision",
        action="append",
        default=[],
        choices=("float32", "float16", "bfloat16", "amp"),
        help="instead of the configuration's (repeatable)",
    )
    what.add_argument(
        "--shapes", "--size", action="append", default=[], choices=("small", "large"), help="instead of the configuration's (repeatable)"
    )
    what.add_argument("--batch-size", action="append", default=[], type=_batch_size, help="instead of what the shapes name (repeatable)")
    what.add_argument(
        "--batch-size-file",
        type=Path,
        metavar="FILE",
        help="sizes that fit, where none is asked for: a run of --experiment largest-batch, or lines NAME,SIZE",
    )
    what.add_argument("--fast", action="store_true", help="leave out what suites/*.toml call slow")
    _add_inputs(what)


def _add_inputs(what: argparse._ArgumentGroup) -> None:
    """What a cell that is chosen by its name is measured by, all the same."""
    what.add_argument("--no-skip", action="store_true", help="run what suites/*.toml skip, too")
    what.add_argument("--seed", type=_seed, help="of inputs and of the order of launches")


def add_measuring(how: argparse._ArgumentGroup) -> None:
    """Options of the engine and of how cells are measured."""
    how.add_argument(
        "--engine",
        choices=("auto", "docker", "local"),
        default="auto",
        help="auto takes Docker where an engine answers and may be used, else a virtual environment on this host; it says which and why",
    )
    how.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="time for one cell")
    how.add_argument("--memory", metavar="SIZE", help="memory limit of a container, as in 8g")
    how.add_argument(
        "--gpus",
        type=_gpus,
        metavar="HOW",
        help="how a container of a cuda image gets its GPU: nvidia (the NVIDIA runtime; nvidia:UUID,... for some), cdi "
        "(cdi:VENDOR/CLASS=NAME,... for some), devices (plain device nodes and the driver's libraries), none; auto takes the first of "
        "these that the host offers, and says which",
    )
    how.add_argument(
        "--quick",
        action="store_true",
        help="few samples, one compilation, no ceilings: to see that all works, not how fast it is",
    )
    how.add_argument("--tag", metavar="TEXT", help="a word of yours for the run, in every row")
    how.add_argument("--threads", type=_positive, metavar="N", help="threads inside an operator")
    how.add_argument("--deterministic", action="store_true", default=None, help="only deterministic algorithms")
    how.add_argument("--tf32", action="store_true", default=None, help="float32 products in TF32, on GPUs that have it")
    how.add_argument(
        "--channels-last", action="store_true", default=None, help="weights and inputs of four dimensions with the channels last"
    )
    how.add_argument(
        "--activation-checkpointing",
        action="store_true",
        default=None,
        help="in training, compute activations again in place of keeping them",
    )
    how.add_argument("--optimizer", choices=("sgd", "adam"), help="of training, instead of the workload's own")
    how.add_argument(
        "--torch-config",
        action="append",
        type=_setting,
        metavar="KEY=VALUE",
        help="a setting of torch's compilers (repeatable): dynamo.KEY, inductor.KEY, functorch.KEY, fx.KEY",
    )
    how.add_argument("--distributed", choices=("ddp", "fsdp"), help="spread training over ranks: replicated or sharded")
    how.add_argument("--ranks", type=_positive, metavar="N", help="processes of a cell that is spread; each has a GPU of its own")
    how.add_argument("--gpu-memory-fraction", type=_share, metavar="SHARE", help="of a GPU's memory, what torch may take: 0.5 is half")
    how.add_argument("--cache", choices=("cold", "hot"), help="a GPU's last-level cache before a call: flushed, or as it is")
    how.add_argument(
        "--minify", action="store_true", default=None, help="of a wrong result, keep a small program that shows it (artifacts/)"
    )
    how.add_argument(
        "--memory-snapshot", action="store_true", default=None, help="keep the history of the GPU's allocator over one call (artifacts/)"
    )
    how.add_argument(
        "--keep-debug",
        type=_statuses,
        metavar="STATUS[,STATUS]",
        help="run a cell that ends in one of these once more, and keep what torch's compilers write about it (artifacts/): "
        f"{', '.join(ENDS)} (any), crash:SIGNAL",
    )
    how.add_argument("--results", type=_folder, default=Path("results"), help="where run directories are made (default: %(default)s)")
    how.add_argument(
        "--environments", type=Path, metavar="DIR", help="where the local engine keeps virtual environments (default: .nox/images)"
    )
    how.add_argument(
        "--resume", type=Path, metavar="RUN", help="measure what this run has no rows for yet; everything else comes from the run"
    )
    how.add_argument("--plan", action="store_true", help="print what would run, and run nothing")


def _sizes(text: str) -> list[int]:
    return [_batch_size(each.strip()) for each in text.split(",")]


def _statuses(text: str) -> list[str]:
    return [_known(known_debug_status, each.strip()) for each in text.split(",")]


def _setting(text: str) -> tuple[str, Value]:
    name, equals, value = text.partition("=")
    if not equals or not value or not all(part.strip() for part in name.partition(".")):
        raise argparse.ArgumentTypeError(f"{text!r} is not PART.KEY=VALUE, as in dynamo.specialize_int=true")
    return name.strip(), parse_value(value.strip())


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: more than 0, and 1 at most")
    return share


def _backends() -> str:
    """What can be asked for, from the tables."""
    families = ", ".join(f"{family}:NAME for any backend that torch lists" for family in catalog.BACKEND_FAMILIES)
    options = "; ".join(f"{name}: {', '.join(map(_option, known.items()))}" for name, known in catalog.OPTIONS.items())
    return (
        f"instead of the image's (repeatable): {', '.join(catalog.BACKENDS)}, {families}; with options as in "
        f"'inductor(mode=max-autotune, epilogue_fusion=false)'. Options of {options}. "
        f"Any key of torch._inductor.config is an option of {', '.join(sorted(catalog.OPEN))}"
    )


def _option(option: tuple[str, type | tuple[str, ...]]) -> str:
    name, values = option
    return f"{name}={'|'.join(values) if isinstance(values, tuple) else _KINDS[values]}"


def add_building(parser: argparse.ArgumentParser) -> None:
    build = parser.add_argument_group("building on this host (instead of [build] in matrix.toml)")
    build.add_argument("--base", metavar="REF", help="image reference to build on, instead of the image's base")
    build.add_argument("--build-network", choices=("default", "host", "none"), help="network of the build's steps")
    build.add_argument("--ca-bundle", type=Path, metavar="FILE", help="certificates to trust while installing")
    build.add_argument("--pip-config", type=Path, metavar="FILE", help="pip.conf with index settings; never kept in the image")
    build.add_argument("--wheelhouse", type=Path, metavar="DIR", help="folder of wheels that holds the whole lock; no index is asked")


NOT_ABOUT_NUMBERS = frozenset({"tag", "minify", "memory_snapshot", "keep_debug", "results", "resume", "plan"})
"""Options of everything that measures by which nothing is measured otherwise."""


def measuring_words(options: argparse.Namespace) -> list[str]:
    """The options that decide how a cell is measured, as they were given and as a command line has them again.

    They are what the parser knows: one that is added is among them unless ``NOT_ABOUT_NUMBERS`` names it.
    """
    parser = argparse.ArgumentParser(add_help=False)
    add_measuring(parser.add_argument_group())
    add_building(parser)
    _add_inputs(parser.add_argument_group())
    words: list[str] = []
    for action in parser._actions:  # noqa: SLF001  # argparse has no public list of its options
        value = getattr(options, action.dest)
        if action.dest in NOT_ABOUT_NUMBERS or value in (None, False, action.default):
            continue
        name = action.option_strings[0]
        if value is True:
            words.append(name)
        else:
            words += [word for each in (value if isinstance(value, list) else [value]) for word in (name, _word(each))]
    return words


def _word(value: object) -> str:
    """Inverse of ``_setting`` for a setting; all else is written as it is read."""
    if isinstance(value, tuple):
        name, setting = value
        return f"{name}={str(setting).lower() if isinstance(setting, bool) else setting}"
    return str(value).removesuffix(".0")


def selection_of(options: argparse.Namespace) -> Selection:
    return Selection(
        filter=tuple(options.filter),
        exclude=tuple(options.exclude),
        exclude_exact=tuple(options.exclude_exact),
        only=tuple(options.only),
        suites=tuple(options.suite),
        partition=options.partition,
        backends=tuple(options.backend),
        modes=tuple(options.mode),
        precisions=tuple(options.precision),
        shapes=tuple(options.shapes),
        batch_sizes=tuple(options.batch_size),
        found_batch_sizes=_found_batch_sizes(options.batch_size_file),
        no_skip=options.no_skip,
        fast=options.fast,
        launches=options.launches,
        seed=options.seed,
    )


def _found_batch_sizes(path: Path | None) -> tuple[FoundBatchSize, ...]:
    if path is None:
        return ()
    with of_option("--batch-size-file"):
        return read_batch_sizes(path)


def _number(text: str, kind: Callable[[str], T], what: str) -> T:
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
    if not value > 0:  # type: ignore[operator]  # int and float both compare
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def _positive(text: str) -> int:
    return _number(text, int, "a number above 0")


def _batch_size(text: str) -> int:
    return _at_most(_positive(text), LARGEST_BATCH)


def _seconds(text: str) -> float:
    seconds = _number(text, float, "a number of seconds above 0")
    if seconds > LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is more than a week")
    return seconds


def _launches(text: str) -> int:
    return _at_most(_positive(text), MOST_LAUNCHES)


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > len(str(LARGEST_SEED)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {LARGEST_SEED}")
    return _at_most(int(text), LARGEST_SEED)


def _gpus(text: str) -> str:
    return _known(known_gpus, text)


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it is empty: it names no folder")
    return Path(text)


def _backend(text: str) -> str:
    return _known(known_backend, text)


def _torchbench(text: str) -> str:
    return f"{TORCHBENCH_SUITE}:{text}"


def _experiment(text: str) -> str:
    return _known(known_experiment, text)


def _known(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _at_most(value: int, most: int) -> int:
    if value > most:
        raise argparse.ArgumentTypeError(f"{value} is more than {most}")
    return value


def _partition(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    if not slash or not part.isdecimal() or not parts.isdecimal() or not 1 <= int(part) <= int(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N with I from 1 to N")
    return int(part), int(parts)
