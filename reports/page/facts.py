"""Where numbers are from: runs, images, machines, and what differs between them. Pure. Nothing of a manifest is trusted to be there."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from matrix.provenance import GATE, INTERRUPTED, RUNNING
from matrix.store import MANIFEST_SCHEMA
from reports.ancestor import Part
from reports.gate.differences import differences, side_of
from reports.gate.report import Change, Side
from reports.load import SOURCE, Source
from reports.manifest import cards_of, entries, mapping, processor_of
from reports.page.layout import Layout
from reports.page.model import Difference, ExcludedCell, ImageFacts, Machine, Progress, SourceFacts
from reports.page.pace import seconds_left

SAME_MACHINE = ("cpu", "cores", "sockets", "physical_cores", "architecture", "system")
"""Facts by which two machines are the same, beside their memory (in GiB: a kernel takes some of it) and their GPUs' names."""
GIBIBYTE = 1 << 30
MOST_FACTS = 200
"""Of a machine, that anybody is shown."""

Facts = tuple[tuple[str, str], ...]


def source_facts(source: Source, rows: pd.DataFrame, made_at: datetime.datetime, *, abandoned: bool) -> SourceFacts:
    """rows: of this source; abandoned: whether no command has the run open."""
    manifest = source.manifest
    planned = manifest.get("planned_rows")
    started = _started_at(manifest)
    state = _text(manifest.get("state"))
    if state == RUNNING and abandoned:
        state = INTERRUPTED
    left = seconds_left(source, rows, made_at) if state == RUNNING else None
    return SourceFacts(
        name=source.name,
        started_at=started,
        progress=Progress(state=state, rows=len(rows), planned=planned if type(planned) is int else None, seconds_left=left),
        facts=tuple(_of_run(manifest)),
        note=_note(source),
    )


def _started_at(manifest: Mapping[str, Any]) -> str:
    """Of the first launch; empty where nothing says."""
    return min((text for start in entries(manifest, "starts") if (text := _text(start.get("started_at")))), default="")


def _of_run(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    command = manifest.get("command")
    values = {
        "command": " ".join(map(str, command)) if isinstance(command, list) else command,
        "state": manifest.get("state"),
        "engine": " ".join(str(value) for value in mapping(manifest, "engine").values()),
        "seed": manifest.get("seed"),
        "harness": manifest.get("harness_sha256"),
        "matrix": manifest.get("matrix_sha256"),
        "revision": manifest.get("revision"),
        "gate": " against ".join(str(mapping(manifest, GATE).get(side, "")) for side in ("candidate", "baseline"))
        if mapping(manifest, GATE)
        else "",
    }
    for name, value in values.items():
        if value not in (None, "", [], {}):
            yield name, str(value)


def _note(source: Source) -> str:
    if not source.path.is_dir():
        return _of_files(source.parts)
    if not source.manifest:
        return "Its manifest is not there, or does not read: nothing is known of machine and image."
    schema = source.manifest.get("schema")
    if schema != MANIFEST_SCHEMA:
        return f"Its manifest is of schema {str(schema)[:40]}, this reads {MANIFEST_SCHEMA}: what it does not know is left out."
    return ""


def _of_files(parts: Sequence[Part]) -> str:
    if len(parts) == len(Part):
        return "Two files, of its accuracy and of its performance: they say nothing of machine and image."
    about = {
        Part.ACCURACY: " Of its accuracy alone: nothing was timed.",
        Part.PERFORMANCE: " Of its performance alone: nothing says that what was timed is right.",
    }
    return "A file: it says nothing of machine and image." + "".join(about[part] for part in parts)


def make_images(
    layout: Layout, sources: Sequence[Source], source_names: Sequence[str]
) -> tuple[tuple[ImageFacts, ...], tuple[Machine, ...]]:
    """(images, machines): the machine of an image is that of its first launch which says where it ran."""
    machines: dict[Facts, int] = {}
    texts: list[Machine] = []
    compressed = _compressed(layout.table)
    found = []
    for place, image in enumerate(layout.images):
        manifest = sources[image.source].manifest
        side = side_of(manifest, image.label)
        start = next(
            (start for start in entries(manifest, "starts") if start.get("image") == image.label and mapping(start, "machine")), {}
        )
        key = _machine_key(start)
        if key and key not in machines:
            machines[key] = len(texts)
            texts.append(Machine(text=" + ".join(filter(None, (processor_of(start), cards_of(start)))), facts=key))
        found.append(
            ImageFacts(
                source=image.source,
                label=image.label,
                name=layout.image_names[place],
                digest=side.digest,
                size_bytes=side.size_bytes,
                compressed_bytes=compressed.get((source_names[image.source], image.label)),
                python=side.python,
                packages=side.packages,
                machine=machines.get(key),
                machine_facts=_machine_facts(start),
            )
        )
    return tuple(found), tuple(texts)


def _compressed(table: pd.DataFrame) -> dict[tuple[str, str], int]:
    known = table[[SOURCE, "image", "image_compressed_bytes"]].dropna()
    return {(str(source), str(image)): int(size) for source, image, size in known.itertuples(index=False, name=None)}


def _machine_facts(start: Mapping[str, Any]) -> Facts:
    found = [(str(name), str(value)) for name, value in mapping(start, "machine").items()]
    for place, gpu in enumerate(entries(start, "gpus")):
        found += [(f"GPU {place} {name}", str(value)) for name, value in gpu.items()]
    found += [(name, str(start[name])) for name in ("torch_threads", "cpu_capability", "torch_cuda") if start.get(name) is not None]
    found += [(f"variable {name}", str(value)) for name, value in mapping(start, "variables").items()]
    return tuple(found[:MOST_FACTS])


def _machine_key(start: Mapping[str, Any]) -> Facts:
    about = mapping(start, "machine")
    if not about:
        return ()
    found = [(name, str(about[name])) for name in SAME_MACHINE if name in about]
    memory = about.get("memory_bytes")
    if type(memory) is int:
        found.append(("memory", f"{round(memory / GIBIBYTE)} GiB"))
    found += [(f"GPU {place}", str(gpu.get("name", ""))) for place, gpu in enumerate(entries(start, "gpus"))]
    return tuple(found)


def difference_of(images: Sequence[ImageFacts], harnesses: Sequence[str], baseline: int | None, candidate: int | None) -> Difference:
    """harnesses: hashes of the sources' instruments, empty where unknown."""
    if baseline is None or candidate is None:
        return Difference(baseline=baseline, candidate=candidate, changes=())
    before, after = images[baseline], images[candidate]
    hashes = harnesses[before.source], harnesses[after.source]
    return Difference(
        baseline=baseline,
        candidate=candidate,
        changes=differences(_side(before), _side(after)),
        machine=tuple(_changes(dict(before.machine_facts), dict(after.machine_facts)))
        if before.machine_facts and after.machine_facts
        else (),
        harness=(Change(what="harness", baseline=hashes[0], candidate=hashes[1]),) if all(hashes) and hashes[0] != hashes[1] else (),
        same=tuple(_same(before, after, hashes)),
    )


def _same(before: ImageFacts, after: ImageFacts, hashes: tuple[str, str]) -> Iterator[str]:
    known = {
        "packages": (before.packages, after.packages),
        "Python": (before.python, after.python),
        "machine": (before.machine_facts, after.machine_facts),
        "harness": hashes,
    }
    yield from (name for name, (one, other) in known.items() if one and one == other)


def _side(image: ImageFacts) -> Side:
    return Side(label=image.label, digest=image.digest, size_bytes=image.size_bytes, packages=image.packages, python=image.python)


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield Change(what=name, baseline=before.get(name, ""), candidate=after.get(name, ""))


def harness_of(source: Source) -> str:
    return _text(source.manifest.get("harness_sha256"))


def excluded_cells(sources: Sequence[Source]) -> tuple[ExcludedCell, ...]:
    return tuple(
        ExcludedCell(image=str(item.get("image", "")), cell=str(item.get("cell", "")), reason=str(item.get("reason", "")))
        for source in sources
        for item in entries(source.manifest, "excluded")
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
