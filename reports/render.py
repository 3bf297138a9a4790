"""From a comparison to one self-contained HTML file. Jinja escapes every value; the page may load and run nothing."""

from __future__ import annotations

import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports import format as formats
from reports.compare import Comparison
from reports.load import QUARANTINE_LIMIT, Loaded, Source
from reports.manifest import entries, mapping

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE = "report.html.j2"
SHOWN_PACKAGES = ("torch", "numpy", "triton", "onnxruntime", "onnxruntime-gpu", "torch-xla", "torchao", "transformers", "timm")


def render(loaded: Loaded, comparison: Comparison, made_at: datetime.datetime) -> str:
    """The page. Pure but for reading the template."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        ratio=formats.ratio, percent=formats.percent, duration=formats.duration, size=formats.size, error=formats.error
    )
    return environment.get_template(TEMPLATE).render(
        made_at=made_at.isoformat(timespec="seconds"),
        comparison=comparison,
        sources=[{"name": source.name, "missing": source.missing, "facts": facts(source)} for source in loaded.sources],
        quarantined=loaded.quarantined[:QUARANTINE_LIMIT],
        quarantined_count=len(loaded.quarantined),
        excluded=[item for source in loaded.sources for item in entries(source.manifest, "excluded")],
    )


def facts(source: Source) -> list[tuple[str, str]]:
    """What a manifest says of machine, images and instrument, as (name, text). Nothing of it is trusted to be there."""
    manifest = source.manifest
    found: list[tuple[str, str]] = []

    def add(name: str, value: object) -> None:
        if value not in (None, "", [], {}):
            found.append((name, str(value)))

    add("state", manifest.get("state"))
    add("engine", " ".join(str(value) for value in mapping(manifest, "engine").values()))
    add("seed", manifest.get("seed"))
    add("harness", str(manifest.get("harness_sha256", ""))[:12])
    add("revision", manifest.get("revision"))
    command = manifest.get("command")
    add("command", " ".join(map(str, command)) if isinstance(command, list) else command)
    for image in entries(manifest, "images"):
        size = image.get("size_bytes")
        add(
            f"image {image.get('label', '')}",
            f"{image.get('digest', '')} {formats.size(size) if isinstance(size, int) and 0 <= size < 1 << 63 else ''}".strip(),
        )
    # Starts of one image on one machine say the same: each is shown once.
    starts: dict[tuple[str, str], None] = {}
    for start in entries(manifest, "starts"):
        packages = mapping(start, "packages")
        versions = ", ".join(f"{name} {packages[name]}" for name in SHOWN_PACKAGES if name in packages)
        machine = ", ".join(f"{name} {value}" for name, value in mapping(start, "machine").items())
        starts[f"inside {start.get('image', '')}", f"Python {start.get('python', '?')}, {versions}"] = None
        starts["machine", machine] = None
    for name, text in starts:
        add(name, text)
    return found
