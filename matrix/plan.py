"""From configuration and selection to cells and launches. Pure: nothing is read, nothing is started."""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness import catalog, operator_file
from harness.cell import PATH_SUITE, Cell
from harness.choice import nearest, parse_choice
from matrix import torchbench
from matrix.batch_sizes import FoundBatchSize, require_use, with_batch_size
from matrix.config import MOST_SHOWN, PATH_PREFIX, Image, Matrix
from matrix.errors import SelectionError, of_option
from matrix.rules import is_named, is_of, left_out, matches

DOCKER_PREFIX = "docker://"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What the command line narrows or changes. Empty means: as the configuration says."""

    filter: tuple[str, ...] = ()
    """Regular expressions over cell ids; a cell that matches any is kept."""
    exclude: tuple[str, ...] = ()
    exclude_exact: tuple[str, ...] = ()
    """Workloads by their exact name."""
    only: tuple[str, ...] = ()
    """Workloads by their exact name, or ``path:FILE:CLASS``; they take the place of the suites'."""
    suites: tuple[str, ...] = ()
    """Of the configuration; they take the place of the image's."""
    partition: tuple[int, int] | None = None
    """(I, N): the I-th of N parts, counted from 1."""
    backends: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    found_batch_sizes: tuple[FoundBatchSize, ...] = ()
    """For cells that no batch size is asked for."""
    no_skip: bool = False
    """Run what marks skip, too."""
    fast: bool = False
    """Leave out what marks call slow."""
    launches: int | None = None
    seed: int | None = None

    @property
    def told(self) -> str:
        """What cells are chosen by, for a message, as " with --filter 'sort'"; empty where nothing chooses."""
        options = {
            "filter": self.filter,
            "exclude": self.exclude,
            "exclude-exact": self.exclude_exact,
            "only": self.only,
            "backend": self.backends,
            "mode": self.modes,
            "precision": self.precisions,
            "shapes": self.shapes,
            "batch-size": self.batch_sizes,
            "partition": () if self.partition is None else ("/".join(map(str, self.partition)),),
        }
        words = [f"--{name} {value!r}" for name, values in options.items() for value in values]
        return f" with {', '.join(words)}" if words else ""


@dataclass(frozen=True, kw_only=True)
class PlannedImage:
    """An image to measure: one of the configuration's, in a version, or any reference that borrows one's settings."""

    name: str
    """Of the configuration's image."""
    version: str = ""
    reference: str | None = None
    """Image reference that is measured without a build (``docker://REF``)."""

    @property
    def label(self) -> str:
        """The word for it in rows, tables and pages."""
        if self.reference is not None:
            return f"{DOCKER_PREFIX}{self.reference}"
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True, kw_only=True)
class Excluded:
    image: str
    cell: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Launch:
    index: int
    image: PlannedImage
    cells: tuple[Cell, ...]
    block: int | None = None
    """Of the gate: launches of a block are compared with each other."""
    side: str = ""
    """Of the gate: ``baseline`` or ``candidate``. The label does not say it where an image is compared with itself."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one command measures: launches in the order in which they are started."""

    seed: int
    launches: tuple[Launch, ...]
    excluded: tuple[Excluded, ...] = field(default=())

    @property
    def rows(self) -> int:
        """How many rows the run has when it is done."""
        return sum(len(launch.cells) for launch in self.launches)


def choose_image(text: str, matrix: Matrix, settings_of: str) -> PlannedImage:
    """``NAME`` (its first version, where it has some), ``NAME@VERSION`` or ``docker://REF`` (with the settings of the image ``settings_of``). Raises SelectionError."""
    if text == DOCKER_PREFIX:
        raise SelectionError(f"{DOCKER_PREFIX} names no image\n  next: {DOCKER_PREFIX}REF, as in {DOCKER_PREFIX}pytorch/pytorch:latest")
    if text.startswith(DOCKER_PREFIX):
        return PlannedImage(name=settings_of, reference=text.removeprefix(DOCKER_PREFIX))
    name, at, version = text.partition("@")
    if name not in matrix.images:
        raise SelectionError(
            f"unknown image {name!r}{nearest(name, matrix.images)}\n  next: nox -l, or {DOCKER_PREFIX}REF for any image with Python and torch"
        )
    versions = matrix.images[name].versions
    if at and not version:
        raise SelectionError(f"{text!r} names no version\n  next: {name}, which is its first one, or {name}@VERSION")
    if version and version not in versions:
        raise SelectionError(
            f"the image {name} has no version {version!r}{nearest(version, versions)}\n  next: see [images.{name}.versions]"
        )
    # The default under its own name: it is the same image, and has one label.
    return PlannedImage(name=name, version=version or next(iter(versions), ""))


def make_plan(matrix: Matrix, images: tuple[PlannedImage, ...], selection: Selection) -> Plan:
    """Cells of every image, and its launches interleaved with the others': in every block each image once, in random order.

    Raises SelectionError where nothing is left, or where a name or pattern is wrong.
    """
    seed = matrix.run.seed if selection.seed is None else selection.seed
    launches = matrix.run.launches if selection.launches is None else selection.launches
    excluded: list[Excluded] = []
    cells: dict[str, tuple[Cell, ...]] = {}
    for image in images:
        if image.label in cells:
            raise SelectionError(f"the image {image.label} is named twice\n  next: name it once, with --launches 2 for two launches")
        kept, left_out = cells_of(matrix, image, selection)
        cells[image.label] = kept
        excluded.extend(left_out)
    if not any(cells.values()):
        loosen = "loosen --filter, --exclude, --only or --partition"
        if excluded:
            raise SelectionError(
                f"no cell is left to measure{selection.told}: of {len(excluded)} that are left out, {excluded[0].cell}: {excluded[0].reason}\n"
                f"  next: run what is skipped with --no-skip and what is slow without --fast, or {loosen}"
            )
        raise SelectionError(f"no cell is left to measure{selection.told}\n  next: look at all of them with --plan alone, and {loosen}")
    if selection.found_batch_sizes and (
        asked := "--batch-size" if selection.batch_sizes else "axes.batch_size" if matrix.axes.batch_size else ""
    ):
        raise SelectionError(
            f"--batch-size-file: it is for cells that no batch size is asked for, and {asked} asks for one\n  next: leave one of them out"
        )
    require_use(selection.found_batch_sizes, itertools.chain.from_iterable(cells.values()))
    order = random.Random(seed)
    sequence: list[PlannedImage] = []
    for _ in range(launches):
        block = [image for image in images if cells[image.label]]
        order.shuffle(block)
        sequence.extend(block)
    planned = [Launch(index=index, image=image, cells=cells[image.label]) for index, image in enumerate(sequence)]
    return Plan(seed=seed, launches=tuple(planned), excluded=tuple(excluded))


def cells_of(matrix: Matrix, image: PlannedImage, selection: Selection) -> tuple[tuple[Cell, ...], list[Excluded]]:
    """The cells of one image, and those that a rule leaves out. Raises SelectionError where a name or pattern is wrong."""
    settings = matrix.images[image.name]
    if matrix.run.experiment in catalog.EXPERIMENT_BACKENDS:
        settings, selection = _by_one_backend(settings, selection, matrix.run.experiment)
    product = list(_product(matrix, settings, selection))
    product.extend(_included(matrix, image, settings, selection))
    if matrix.run.experiment != catalog.PERFORMANCE:
        # What an image costs is no matter of how a workload runs.
        product = [cell for cell in product if not _is_of_image(cell.workload)]
    found = dict.fromkeys(with_batch_size(cell, selection.found_batch_sizes) for cell in product)
    _require_one_meaning(found)
    known = {cell.workload for cell in found}
    for name in selection.exclude_exact:
        if name not in known:
            raise SelectionError(f"--exclude-exact: unknown workload {name!r}{nearest(name, sorted(known))}")
    excluded: list[Excluded] = []
    kept: list[Cell] = []
    for cell in found:
        reason = next((rule.reason for rule in matrix.exclude if matches(rule, image.name, cell)), None)
        if reason is None:
            reason = left_out(matrix.mark, image.name, cell, no_skip=selection.no_skip, fast=selection.fast)
        if reason is not None:
            excluded.append(Excluded(image=image.label, cell=cell.id, reason=reason))
        else:
            kept.append(cell)
    kept = _narrow(kept, selection)
    selected = {cell.id for cell in _narrow(list(found), selection)}
    return tuple(partitioned(kept, selection.partition)), [item for item in excluded if item.cell in selected]


def _by_one_backend(settings: Image, selection: Selection, experiment: str) -> tuple[Image, Selection]:
    """For an experiment that has one backend for all. Raises SelectionError where another was asked for."""
    backend = catalog.EXPERIMENT_BACKENDS[experiment]
    for asked in selection.backends:
        if asked != backend and experiment == "baselines":
            raise SelectionError(
                f"the experiment baselines sets several backends beside {backend}\n  next: --compare {asked!r} for one of them"
            )
        if asked != backend:
            raise SelectionError(
                f"the experiment {experiment} runs everything by {backend}: by {asked} it would say the same\n  next: leave --backend out"
            )
    return settings.model_copy(update={"backends": (backend,)}), dataclasses.replace(selection, backends=(backend,))


def selected(matrix: Matrix, cells: Iterable[Cell], selection: Selection) -> list[Cell]:
    """Of cells that are there, those that the command line asks for. Raises SelectionError where a pattern or the name of a suite is wrong."""
    of_suites = _patterns(matrix, selection.suites)
    only: set[str] = set()
    for name in selection.only:
        of_file = _of_file(name)
        only.update([name] if of_file is None else (workload for workload, _ in of_file))
    axes = dataclasses.replace(selection, batch_sizes=())
    asked = [
        cell
        for cell in cells
        if (not only or cell.workload in only)
        and (not of_suites or bool(only) or is_named(cell.workload, of_suites))
        and (not selection.batch_sizes or cell.batch_size in selection.batch_sizes)
        and ((_is_of_image(cell.workload) and not selection.backends) or _chosen(cell, axes))
    ]
    return _narrow(asked, selection)


def _product(matrix: Matrix, settings: Image, selection: Selection) -> Iterator[Cell]:
    axes = matrix.axes
    for workload, path in _workloads(matrix, settings, selection):
        if _is_of_image(workload):
            if not selection.backends:
                yield Cell(workload=workload, backend=catalog.IMAGE_BACKEND, device=settings.device, mode="", precision="", shapes="")
            continue
        yield from _combined(
            workload,
            path,
            settings.device,
            modes=selection.modes or axes.mode,
            precisions=selection.precisions or axes.precision,
            shapes=selection.shapes or axes.shapes,
            sizes=selection.batch_sizes or axes.batch_size or (None,),
            backends=selection.backends or settings.backends,
        )


def _included(matrix: Matrix, image: PlannedImage, settings: Image, selection: Selection) -> Iterator[Cell]:
    """Cells of the include rules: their own values where they have some, the axes' elsewhere."""
    for rule in matrix.include:
        if rule.image and image.name not in rule.image:
            continue
        for workload, path in _workloads(matrix, settings, selection):
            if _is_of_image(workload) or (rule.workload and not is_named(workload, rule.workload)):
                continue
            found = _combined(
                workload,
                path,
                settings.device,
                modes=rule.mode or matrix.axes.mode,
                precisions=rule.precision or matrix.axes.precision,
                shapes=rule.shapes or matrix.axes.shapes,
                sizes=(None,),
                backends=rule.backend or settings.backends,
            )
            yield from (cell for cell in found if _chosen(cell, selection))


def _combined(
    workload: str,
    path: str | None,
    device: str,
    *,
    modes: Iterable[str],
    precisions: Iterable[str],
    shapes: Iterable[str],
    sizes: Iterable[int | None],
    backends: Iterable[str],
) -> Iterator[Cell]:
    """A workload with every combination of the axes' values, the backend's changing fastest."""
    for mode, precision, shape, size, backend in itertools.product(modes, precisions, shapes, sizes, map(parse_choice, backends)):
        yield Cell(
            workload=workload,
            path=path,
            backend=backend.name,
            options=backend.options,
            device=device,
            mode=mode,
            precision=precision,
            shapes=shape,
            batch_size=size,
        )


def _chosen(cell: Cell, selection: Selection) -> bool:
    """Whether the command line's axes allow a cell that an include rule makes."""
    return (
        (not selection.modes or cell.mode in selection.modes)
        and (not selection.precisions or cell.precision in selection.precisions)
        and (not selection.shapes or cell.shapes in selection.shapes)
        and (not selection.backends or is_of(cell, selection.backends))
        and not selection.batch_sizes
    )


def _workloads(matrix: Matrix, settings: Image, selection: Selection) -> list[tuple[str, str | None]]:
    """(workload, file of a user's own), each once, in the order of the suites."""
    patterns: Iterable[str]
    if selection.only:
        patterns = selection.only
    else:
        patterns = _patterns(matrix, selection.suites or settings.suites)
    found: dict[tuple[str, str | None], None] = {}
    with of_option("--only", is_given=bool(selection.only)):
        for pattern in patterns:
            found.update(dict.fromkeys(_named(pattern)))
    return list(found)


def _named(pattern: str) -> list[tuple[str, str | None]]:
    if (of_file := _of_file(pattern)) is not None:
        return [*of_file]
    names = fnmatch.filter(catalog.workload_names(), pattern)
    if not names:
        raise SelectionError(f"unknown workload {pattern!r}{nearest(pattern, catalog.workload_names())}\n  next: see them all with --plan")
    return [(name, None) for name in names]


def _patterns(matrix: Matrix, suites: tuple[str, ...]) -> tuple[str, ...]:
    for suite in suites:
        if suite not in matrix.suites:
            raise SelectionError(f"--suite: unknown suite {suite!r}{nearest(suite, matrix.suites)}\n  next: see [suites] in matrix.toml")
    return tuple(itertools.chain.from_iterable(matrix.suites[suite].workloads for suite in suites))


def user_workload(text: str) -> tuple[str, str]:
    """``path:FILE:CLASS`` -> (workload, absolute file). Raises SelectionError for another form; whether the file is there is not looked at."""
    parts = text.split(":")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise SelectionError(f"{text!r}: a workload of one's own is named path:FILE:CLASS")
    if not text.isprintable():
        raise SelectionError(f"{text!r}: the name of a workload is printable text\n  next: give the file another name")
    path = Path(parts[1]).expanduser().resolve()
    return f"{PATH_SUITE}/{path.stem}:{parts[2]}", str(path)


def _of_file(pattern: str) -> list[tuple[str, str]] | None:
    """(workload, file) of those that a user's file has; None where the pattern names the harness' own."""
    if pattern.startswith(PATH_PREFIX):
        return [user_workload(pattern)]
    if pattern.startswith(torchbench.PREFIX):
        return torchbench.torchbench_models(pattern)
    return recorded_operators(pattern) if pattern.startswith(operator_file.PREFIX) else None


def recorded_operators(text: str) -> list[tuple[str, str]]:
    """``operators:FILE`` -> (workload, absolute file) of each that there is something to measure of. Raises SelectionError for a file that is none."""
    path = Path(text.removeprefix(operator_file.PREFIX)).expanduser().resolve()
    try:
        recording = operator_file.read(path)
    except (OSError, ValueError) as error:
        raise SelectionError(f"{text!r}: {error}\n  next: record one with --experiment operators") from None
    stem = path.name.partition(".")[0]
    found = [(f"{operator_file.SUITE}/{stem}:{recording.name(index)}", str(path)) for index in operator_file.measurable(recording)]
    if not found:
        raise SelectionError(
            f"{text!r}: no operator of it can be measured: what was recorded only views tensors, or reads none\n  next: record another workload with --experiment operators"
        )
    return found


def _require_one_meaning(cells: Iterable[Cell]) -> None:
    meanings: dict[str, Cell] = {}
    for cell in cells:
        if cell.id in meanings:
            raise SelectionError(
                f"two cells are named {cell.id!r}: {meanings[cell.id].path} and {cell.path}\n  next: give one of the files another name"
            )
        meanings[cell.id] = cell


def _is_of_image(workload: str) -> bool:
    return workload.partition("/")[0] == catalog.IMAGE_SUITE


def _narrow(cells: list[Cell], selection: Selection) -> list[Cell]:
    filters = [_regex(text, "--filter") for text in selection.filter]
    excludes = [_regex(text, "--exclude") for text in selection.exclude]
    return [
        cell
        for cell in cells
        if (not filters or any(pattern.search(cell.id) for pattern in filters))
        and not any(pattern.search(cell.id) for pattern in excludes)
        and cell.workload not in selection.exclude_exact
    ]


def _regex(text: str, option: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise SelectionError(f"{option} {text[:MOST_SHOWN]!r} is not a regular expression: {error}") from None


def partitioned(cells: list[Cell], partition: tuple[int, int] | None) -> list[Cell]:
    """The I-th of N parts whose sizes differ by one at most; the N parts together are all cells."""
    if partition is None:
        return cells
    part, parts = partition
    if not 1 <= part <= parts:
        raise SelectionError(f"--partition {part}/{parts}: parts are counted from 1 to {parts}")
    return cells[(part - 1) * len(cells) // parts : part * len(cells) // parts]
