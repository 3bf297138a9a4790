"""matrix.toml, parsed once into frozen models. Every mistake is reported at once, with its line."""

from __future__ import annotations

import fnmatch
import itertools
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from harness import catalog, operator_file
from harness.cell import LARGEST_BATCH, PATH_SUITE, TORCHBENCH_SUITE
from harness.choice import nearest, parse_choice
from harness.records import ENDS, Status
from matrix.gpus import parse_gpus
from matrix.toml_files import check, decode, read_source

FILE_NAME = "matrix.toml"
SUITES = "suites"
"""The folder of what is known of workloads, beside images/."""
EXTRAS = "extras"
"""The folder of what optional layers of images are made from, in images/."""
PATH_PREFIX = f"{PATH_SUITE}:"
SUITES_OF_FILES = (PATH_SUITE, operator_file.SUITE, TORCHBENCH_SUITE)
"""Whose workloads the harness does not have: files of the user's name them."""

LARGEST_SEED = 2**32 - 1
"""What numpy takes."""
LEAST_MEMORY_KIB = 6 << 10
"""Of a container, by Docker."""
MOST_SHOWN = 100
"""Characters of a text that is wrong."""
MOST_LAUNCHES = 10_000
LONGEST_SECONDS = 7 * 24 * 3600.0

TAKEN_PATHS = ("/benchmatrix", "/out", "/tmp", "/proc", "/sys", "/dev")  # noqa: S108  # inside of containers
"""Of every container."""

Mode = Literal["inference", "training"]
Precision = Literal["float32", "float16", "bfloat16", "amp"]
Device = Literal["cpu", "cuda", "xla"]
Shapes = Literal["small", "large"]
Extra = Literal["huggingface", "timm"]
"""Files of images/extras/: NAME.in has what it is made from, NAME.py its smoke test."""


def known_backend(text: str) -> str:
    """The text. ValueError for a backend or an option that the harness does not have, with the nearest that it has."""
    parse_choice(text)
    return text


def known_experiment(name: str) -> str:
    """The name. ValueError for an experiment that the harness does not have, with the nearest that it has."""
    if name not in catalog.EXPERIMENTS:
        raise ValueError(f"unknown experiment {name!r}{nearest(name, catalog.EXPERIMENTS)}")
    return name


def _workload_pattern(pattern: str) -> str:
    """A name or shell pattern of workloads that the harness has, ``path:FILE:CLASS``, or ``operators:FILE``."""
    if pattern.startswith(PATH_PREFIX):
        if len(pattern.split(":")) != 3 or not all(pattern.split(":")):
            raise ValueError(f"{pattern!r}: a workload of one's own is named path:FILE:CLASS")
    elif pattern.startswith(operator_file.PREFIX):
        if pattern == operator_file.PREFIX:
            raise ValueError(f"{pattern!r}: recorded operators are named operators:FILE")
    elif pattern.startswith(f"{TORCHBENCH_SUITE}:"):
        if pattern == f"{TORCHBENCH_SUITE}:":
            raise ValueError(f"{pattern!r}: models of pytorch/benchmark are named torchbench:CHECKOUT or torchbench:CHECKOUT:MODEL")
    elif not fnmatch.filter(catalog.workload_names(), pattern):
        raise ValueError(f"no workload matches {pattern!r}{nearest(pattern, catalog.workload_names())}")
    return pattern


def _cell_pattern(pattern: str) -> str:
    return pattern if pattern.startswith(tuple(f"{suite}/" for suite in SUITES_OF_FILES)) else _workload_pattern(pattern)


def _regular_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise ValueError(f"{name!r}: a name is lower-case letters, digits, '.', '_' and '-'")
    return name


def _size(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,9}[kmg]", text):
        raise ValueError(f"{text[:MOST_SHOWN]!r} is not a size, as in 512m or 8g")
    return text


def _memory(text: str) -> str:
    number, unit = int(_size(text)[:-1]), text[-1]
    if number * {"k": 1, "m": 1 << 10, "g": 1 << 20}[unit] < LEAST_MEMORY_KIB:
        raise ValueError(f"{text!r} is less than an engine gives a container: 6m")
    return text


def _processors(text: str) -> str:
    if not re.fullmatch(r"[0-9]+([,-][0-9]+)*", text):
        raise ValueError(f"{text!r} is not a list of processors, as in 0-3 or 0,2")
    return text


def _absolute(text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/"):
        raise ValueError(f"{text!r} is not an absolute path")
    return text


def _own_place(text: str) -> str:
    """Of a mount: what a launch has there already stays."""
    if any(_absolute(text).rstrip("/") == taken or text.startswith(f"{taken}/") for taken in TAKEN_PATHS) or not text.strip("/"):
        raise ValueError(f"{text!r} is taken: a launch has {', '.join(TAKEN_PATHS)} and the root of its own")
    return text


def known_gpus(text: str) -> str:
    """The text. ValueError where it is no way to hand over a GPU."""
    parse_gpus(text)
    return text


def _not_empty(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("names nothing")
    return values


def known_debug_status(text: str) -> str:
    """The text. ValueError for a word that no row ends in."""
    if text not in ENDS and not Status.is_known(text):
        raise ValueError(f"no cell ends as {text!r}{nearest(text, ENDS)}")
    return text


def _of_compilers(settings: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
    """Which keys there are is known to the image's torch alone."""
    for name in settings:
        part, dot, key = name.partition(".")
        if part not in catalog.COMPILERS or not dot or not key:
            raise ValueError(
                f"{name!r} is no setting of torch's compilers{nearest(part, catalog.COMPILERS)}: {', '.join(f'{each}.KEY' for each in catalog.COMPILERS)}"
            )
    return settings


Name = Annotated[str, AfterValidator(_regular_name)]
Backend = Annotated[str, AfterValidator(known_backend)]
Experiment = Annotated[str, AfterValidator(known_experiment)]
WorkloadPattern = Annotated[str, AfterValidator(_workload_pattern)]
CellPattern = Annotated[str, AfterValidator(_cell_pattern)]
Text = Annotated[str, Field(min_length=1)]
Size = Annotated[str, AfterValidator(_size)]
Memory = Annotated[str, AfterValidator(_memory)]
HostPath = Annotated[str, AfterValidator(_absolute)]
ContainerPath = Annotated[str, AfterValidator(_own_place)]
Processors = Annotated[str, AfterValidator(_processors)]
Gpus = Annotated[str, AfterValidator(known_gpus)]
DebugStatus = Annotated[str, AfterValidator(known_debug_status)]
CompilerSettings = Annotated[dict[str, str | int | float | bool], AfterValidator(_of_compilers)]
NotEmpty = AfterValidator(_not_empty)
"""Unlike a minimum length, it says nothing where an item is wrong already."""
BatchSize = Annotated[int, Field(gt=0, le=LARGEST_BATCH)]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Run(Model):
    """How every cell is measured."""

    tag: str = Field(default="", max_length=200, description="a word of yours for the run, in every row")
    experiment: Experiment = Field(
        default=catalog.PERFORMANCE, description=f"what is measured of every cell: {', '.join(catalog.EXPERIMENTS)}"
    )
    batch_sizes: tuple[BatchSize, ...] = Field(
        default=(), description="met after a workload's own, where an experiment changes it; empty: one more, half, twice"
    )
    dynamic: Literal["batch", "unbacked", "whole"] = Field(default="batch", description="dynamic-shapes: dimensions that are symbols")
    baselines: tuple[Backend, ...] = Field(default=(), description="baselines: backends to compare; empty: the image's")
    first_batch_size: BatchSize | None = Field(default=None, description="largest-batch: where the search begins; 1024 where absent")
    launches: int = Field(default=1, ge=1, le=MOST_LAUNCHES, description="starts of each image; the unit of replication")
    seed: int = Field(default=1337, ge=0, le=LARGEST_SEED, description="of inputs, and of the order of launches and samples")
    timeout_seconds: float = Field(default=300.0, gt=0, le=LONGEST_SECONDS, description="time for one cell")
    threads: int | None = Field(default=None, ge=1, le=4096, description="threads inside an operator; torch's choice where absent")
    samples: int = Field(default=30, ge=2, description="rounds of samples (eager and the backend once each) that are taken at least")
    interval_width: float = Field(
        default=0.01, gt=0, le=1, description="sampling ends when the 95 % interval of the ratio is as narrow as this"
    )
    minimum_sample_seconds: float = Field(default=1e-3, gt=0, le=10, description="length of a host sample; shorter calls are batched")
    budget_seconds: float = Field(default=5.0, gt=0, le=LONGEST_SECONDS, description="time for all samples of a cell")
    slice_seconds: float = Field(
        default=0.05, gt=0, le=LONGEST_SECONDS, description="length of a slice, where launches take their samples in turns (the gate's do)"
    )
    least_seconds: float = Field(
        default=0.0, ge=0, le=LONGEST_SECONDS, description="time for samples that is spent at least, however narrow the interval"
    )
    energy_seconds: float = Field(default=1.0, ge=0, le=LONGEST_SECONDS, description="for the energy of a call, where it is told; 0: not")
    cache: Literal["cold", "hot"] = Field(default="cold", description="a GPU's last-level cache before a call: flushed, or as it is")
    warm_compile: bool = Field(default=True, description="compile again in a second process, with the first one's caches")
    keep_caches: HostPath | None = Field(
        default=None, description="folder that keeps compile caches for later runs, which then do not compile from empty ones"
    )
    ceilings: bool = Field(default=True, description="measure what the machine can do, once per run, for the share of it that is reached")
    pin_allocator: bool = Field(default=True, description="keep the C library's allocator from moving its thresholds")
    minify: bool = Field(default=False, description="of a wrong result, keep a small program that shows it")
    memory_snapshot: bool = Field(default=False, description="keep the history of the GPU allocator over one call")
    keep_debug: tuple[DebugStatus, ...] = Field(
        default=(), description="statuses: a cell that ends in one is run once more, and the compilers' debug output of that is kept"
    )
    save_outputs: bool = Field(default=False, description="keep the outputs (and gradients) of every checked call")
    compare_outputs: HostPath | None = Field(default=None, description="directory of an earlier run whose kept outputs are compared with")
    channels_last: bool = Field(default=False, description="weights and inputs of four dimensions with the channels last")
    activation_checkpointing: bool = Field(default=False, description="in training, compute activations again in place of keeping them")
    optimizer: Literal["sgd", "adam"] | None = Field(default=None, description="of training; the workload's own where absent")
    torch_config: CompilerSettings = Field(
        default_factory=dict, description="settings of torch's compilers: dynamo.KEY, inductor.KEY, functorch.KEY, fx.KEY"
    )
    distributed: Literal["ddp", "fsdp"] | None = Field(default=None, description="spread training over ranks: replicated or sharded")
    ranks: int = Field(default=2, ge=2, le=64, description="processes of a cell that is spread; each has a GPU of its own")
    gpu_memory_fraction: float | None = Field(default=None, gt=0, le=1, description="share of a GPU's memory that torch may take")
    tf32: bool = Field(default=False, description="float32 products in TF32, on GPUs that have it")
    cudnn_benchmark: bool = Field(default=False, description="let cuDNN try its algorithms")
    deterministic: bool = Field(default=False, description="only deterministic algorithms")


class Build(Model):
    """How packages reach a build on this host; the command line can say the same."""

    network: Literal["default", "host", "none"] = Field(default="default", description="network of the build's steps")
    ca_bundle: Text | None = Field(default=None, description="file of certificates to trust while installing")
    pip_config: Text | None = Field(default=None, description="pip.conf with index settings; a secret of the build")
    wheelhouse: Text | None = Field(default=None, description="folder of wheels that holds the whole lock")


class Container(Model):
    """Limits of an image's containers."""

    memory: Memory | None = Field(default=None, description="limit, as in 8g; no swap beyond it")
    shm_size: Size = Field(default="1g", description="size of /dev/shm")
    tmp_size: Size = Field(default="8g", description="most that /tmp may hold; it is memory")
    cpus: Processors | None = Field(default=None, description="processors, as in 0-3 (cpuset)")
    gpus: Gpus = Field(
        default="auto", description="how a cuda image gets its GPU: auto, nvidia[:UUID,...], cdi[:VENDOR/CLASS=NAME,...], devices, none"
    )
    network: Literal["none", "bridge", "host"] = Field(default="none", description="network of the container")
    pids: int = Field(default=4096, ge=64, description="most processes and threads")
    mounts: dict[HostPath, ContainerPath] = Field(
        default_factory=dict, description="folder or file of the host -> where containers see it, read-only (data, model weights)"
    )
    ulimits: dict[str, int] = Field(default_factory=dict, description="soft and hard limits by name, as in nofile")
    environment: dict[str, str] = Field(default_factory=dict, description="variables of the launch; recorded")


class Image(Model):
    """An environment to measure, and what to measure in it."""

    description: Text = Field(description="one line, for nox -l")
    base: Text = Field(description="image reference of the base")
    folder: Name | None = Field(
        default=None,
        description="of images/, with its lock and smoke test; the one of its name where absent. Images of one folder share it",
    )
    lock: Text | None = Field(default=None, description="the lock's file, relative to its folder")
    versions: dict[str, Text] = Field(default_factory=dict, description="version -> lock; the first is the default")
    extras: tuple[Extra, ...] = Field(default=(), description="optional layers, each with a lock NAME.lock beside the image's own")
    indexes: tuple[Text, ...] = Field(default=(), description="package indexes beside PyPI; named in the locks")
    device: Device = "cpu"
    backends: Annotated[tuple[Backend, ...], NotEmpty]
    suites: Annotated[tuple[str, ...], NotEmpty]
    container: Container = Container()

    @field_validator("suites")
    @classmethod
    def _suites_exist(cls, suites: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = (info.context or {}).get("suites", ())
        for suite in suites:
            if suite not in known:
                raise ValueError(f"unknown suite {suite!r}{nearest(suite, known)}")
        return suites

    def lock_of(self, version: str) -> str:
        """The lock of a version (empty: the default). KeyError for an unknown one."""
        if version:
            return self.versions[version]
        return self.lock or next(iter(self.versions.values()), "requirements.lock")


class Suite(Model):
    """Workloads that are run together."""

    workloads: Annotated[tuple[WorkloadPattern, ...], NotEmpty] = Field(description="names or patterns as in micro/*, or path:FILE:CLASS")


class Axes(Model):
    """What every workload is run with: the cells are the product of these and of the image's backends."""

    mode: Annotated[tuple[Mode, ...], NotEmpty] = ("inference",)
    precision: Annotated[tuple[Precision, ...], NotEmpty] = ("float32",)
    shapes: Annotated[tuple[Shapes, ...], NotEmpty] = ("small",)
    batch_size: tuple[BatchSize, ...] = Field(default=(), description="empty: what the shapes name")


class Rule(Model):
    """Cells by pattern; what is left out matches all, and an empty list is a mistake."""

    reason: Text
    image: Annotated[tuple[str, ...], NotEmpty] | None = None
    workload: Annotated[tuple[CellPattern, ...], NotEmpty] | None = None
    backend: Annotated[tuple[Backend, ...], NotEmpty] | None = None
    mode: Annotated[tuple[Mode, ...], NotEmpty] | None = None
    precision: Annotated[tuple[Precision, ...], NotEmpty] | None = None
    shapes: Annotated[tuple[Shapes, ...], NotEmpty] | None = None
    device: Annotated[tuple[Device, ...], NotEmpty] | None = None

    @field_validator("image")
    @classmethod
    def _images_exist(cls, images: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        known = (info.context or {}).get("images", ())
        for image in images or ():
            if image not in known:
                raise ValueError(f"unknown image {image!r}{nearest(image, known)}")
        return images


class Mark(Rule):
    """What is known of workloads: why they are not run, or how their results are judged. The last mark that says a thing counts."""

    source: str = Field(default="", description="where the fact is from")
    skip: bool | None = Field(default=None, description="not run, unless --no-skip is given")
    slow: bool | None = Field(default=None, description="not run with --fast")
    nondeterministic: bool | None = Field(default=None, description="two runs of eager differ: values of results are not compared")
    tolerance: float | None = Field(default=None, gt=0, le=1, description="absolute and relative, in place of the precision's")
    cosine: bool | None = Field(
        default=None, description="results are compared by direction and size alone: cosine similarity of at least 0.99, size within 10 %"
    )
    larger_multiplier_for_smaller_tensors: bool | None = Field(
        default=None,
        description="results of at most 500 elements may be 8 times as far from float64 as eager's, of at most 10 elements 10 times",
    )
    optimizer: Literal["sgd", "adam"] | None = Field(default=None, description="of training")
    batch_size: BatchSize | None = Field(default=None, description="in place of what the shapes name")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        facts = [name for name in type(self).model_fields if name not in Rule.model_fields and name != "source"]
        if not self.model_fields_set & set(facts):
            raise ValueError(f"the mark says nothing: {', '.join(facts[:-1])} or {facts[-1]}")
        return self


class Margin(Model):
    """How much of a metric is too much."""

    delta: float = Field(gt=0, le=100, description="the smallest worsening that matters, as a share: 0.02 is 2 %")
    tolerable: float = Field(gt=0, le=100, description="what must not be missed: a cell is equivalent when more than this is ruled out")
    blocks: bool | None = Field(
        default=None, description="whether a regression fails the release, or is a warning; where absent, as the metric does it by default"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.tolerable < self.delta:
            raise ValueError(
                f"tolerable ({self.tolerable}) is below delta ({self.delta}): what matters cannot be more than what must not be missed"
            )
        return self


BLOCKING = frozenset({"latency", "error"})
"""Metrics whose regressions fail a release, unless a margin says otherwise."""


class Margins(Model):
    """By metric: time of a call, its error against float64, and what they cost."""

    latency: Margin = Margin(delta=0.02, tolerable=0.05)
    error: Margin = Margin(delta=1.0, tolerable=1.0)
    peak_memory: Margin = Margin(delta=0.05, tolerable=0.1)
    compile_time: Margin = Margin(delta=0.1, tolerable=0.25)
    graph_breaks: Margin = Margin(delta=0.01, tolerable=0.01)
    image_size: Margin = Margin(delta=0.05, tolerable=0.1)
    image_time: Margin = Margin(delta=0.1, tolerable=0.25)


class MarginRule(Rule):
    """Other margins for some cells; the last rule that names a cell counts."""

    metric: Literal["latency", "error", "peak_memory", "compile_time", "graph_breaks", "image_size", "image_time"] = "latency"
    margin: Margin


def _fewest_blocks(level: float) -> int:
    """Without which no signed-rank test is significant at that level: ``2^-n <= level``."""
    return math.ceil(-math.log2(level))


class Gate(Model):
    """How two images are compared; see docs/gate.md."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="one-sided level of the tests")
    looks: Annotated[tuple[int, ...], NotEmpty] = Field(default=(6, 10, 16), description="blocks after which a cell is looked at")
    confirm: int = Field(default=15, ge=5, le=1000, description="fresh blocks for a cell that was flagged")
    repeats: int = Field(default=2, ge=0, le=100, description="how often a voided block of a cell is measured again")
    sample_seconds: float = Field(
        default=1.0, gt=0, le=LONGEST_SECONDS, description="time for the samples of a cell in one launch; more where the host is not quiet"
    )
    cpu_waiting: float = Field(
        default=0.05, gt=0, le=1, description="share of the time that threads waited for a processor beyond which a row is void"
    )
    cpu_steal: float = Field(default=0.05, gt=0, le=1, description="share of stolen processor time beyond which a row is void")
    expected_failures: Text = Field(
        default="expected_failures.toml", description="file of cells that may fail, with reason and expiry date"
    )
    margins: Margins = Margins()
    margin: tuple[MarginRule, ...] = Field(default=(), description="other margins for some cells, each with its reason")

    @model_validator(mode="after")
    def _blocks_suffice(self) -> Self:
        least = _fewest_blocks(self.alpha)
        if self.confirm < least:
            raise ValueError(
                f"confirm ({self.confirm}) is below {least} blocks: with fewer nothing is slower or faster at alpha = {self.alpha}; "
                "where several cells are flagged it takes more (Holm)"
            )
        # The bound by which a cell is equivalent is one at a third of the level (reports.gate.procedure).
        fewest = _fewest_blocks(self.alpha / 3)
        if self.looks[-1] < fewest:
            raise ValueError(
                f"looks {list(self.looks)} end before {fewest} blocks: with fewer nothing is equivalent at alpha = {self.alpha}"
            )
        return self

    @field_validator("looks")
    @classmethod
    def _looks_rise(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if any(later <= earlier for earlier, later in itertools.pairwise(looks)) or looks[0] < 5 or looks[-1] > 1000:
            raise ValueError(f"{list(looks)}: looks are rising numbers of blocks, from 5 (fewer cannot be significant) to 1000")
        return looks


class Matrix(Model):
    """The whole file."""

    run: Run = Run()
    build: Build = Build()
    gate: Gate = Gate()
    images: dict[Name, Image] = Field(min_length=1)
    suites: dict[Name, Suite] = Field(min_length=1)
    axes: Axes = Axes()
    include: tuple[Rule, ...] = Field(default=(), description="cells beside the product of the axes")
    exclude: tuple[Rule, ...] = Field(default=(), description="cells that are not run")
    mark: tuple[Mark, ...] = Field(default=(), description="what is known of workloads, after what suites/*.toml say")


class SuiteFile(Model):
    """A file of marks: ``suites/SUITE.toml``."""

    mark: tuple[Mark, ...] = ()


def load_matrix(path: Path, suites: Path | None = None) -> Matrix:
    """Read and check matrix.toml, and the files of marks in the folder ``suites``.

    ConfigError has a line ``FILE:LINE: path: what is wrong`` for each mistake.
    """
    matrix = parse_matrix(read_source(path), path.name)
    files = sorted(suites.glob("*.toml")) if suites is not None else []
    known = tuple(mark for file in files for mark in parse_marks(read_source(file), f"suites/{file.name}", matrix.images))
    return matrix.model_copy(update={"mark": (*known, *matrix.mark)})


def parse_marks(source: str, name: str, images: Iterable[str]) -> tuple[Mark, ...]:
    """Of one file. images: names that matrix.toml has. Pure."""
    return check(SuiteFile, decode(source, name), source=source, name=name, context={"images": tuple(images)}).mark


def parse_matrix(source: str, name: str = FILE_NAME) -> Matrix:
    """The same from text. Pure."""
    data = decode(source, name)
    known = {key: tuple(data[key]) if isinstance(data.get(key), dict) else () for key in ("suites", "images")}
    return check(Matrix, data, source=source, name=name, context=known)
