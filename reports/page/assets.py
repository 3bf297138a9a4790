"""Styles, scripts and libraries of the page, as text that is put into it, and the policy that lets these run and nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tomllib

HERE = Path(__file__).parent
STATIC, VENDOR = HERE / "static", HERE / "vendor"

STYLES = ("tokens.css", "base.css", "compare.css", "matrix.css", "cell.css", "charts.css", "history.css")
MODULES = (
    *("dom.js", "state.js", "numbers.js", "names.js", "copy.js", "figures.js", "theme.js", "data.js"),
    *(
        "scale.js",
        "ticks.js",
        "matrix_columns.js",
        "matrix_legend.js",
        "matrix_print.js",
        "matrix.js",
        "samples.js",
        "charts.js",
        "cell_parts.js",
        "experiments.js",
        "cell.js",
        "history_marks.js",
        "history_chart.js",
        "history.js",
        "compare.js",
        "print.js",
        "main.js",
    ),
)
"""In an order in which each comes after what it imports."""
EARLY = "early.js"

_IMPORT = re.compile(r'^import \{ (?P<names>[^}]+) \} from "\./(?P<file>\w+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?P<kind>async function|function|const) (?P<name>\w+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Library:
    """Somebody else's, as they publish it."""

    name: str
    version: str
    license: str
    license_file: str
    home: str
    package: str
    """In the registry that it is from."""
    files: Mapping[str, str]
    """Name -> sha256."""


@dataclass(frozen=True, kw_only=True)
class Assets:
    style: str
    scripts: tuple[str, ...]
    """Libraries, in any order, each a script of its own."""
    early: str
    """Runs in the head, before anything is painted."""
    module: str
    """All else of ours."""
    libraries: tuple[Library, ...]
    licenses: tuple[str, ...]
    """Of the libraries, in their order."""
    policy: str
    """Content-Security-Policy: what is in the page, by hash; no request, no form, no frame."""


def libraries() -> tuple[Library, ...]:
    listed = tomllib.loads((VENDOR / "vendor.toml").read_text(encoding="utf-8"))
    return tuple(Library(name=name, **fields) for name, fields in listed.items())


@functools.cache
def assets() -> Assets:
    found = libraries()
    vendored = [file for library in found for file in library.files]
    style = "\n".join(
        [
            *(_vendored(file) for file in vendored if file.endswith(".css")),
            *((STATIC / file).read_text(encoding="utf-8") for file in STYLES),
        ]
    )
    scripts = tuple(_vendored(file) for file in vendored if file.endswith(".js"))
    early = (STATIC / EARLY).read_text(encoding="utf-8")
    module = joined({file: (STATIC / file).read_text(encoding="utf-8") for file in MODULES})
    return Assets(
        style=style,
        scripts=scripts,
        early=early,
        module=module,
        libraries=found,
        licenses=tuple((VENDOR / library.license_file).read_text(encoding="utf-8").strip() for library in found),
        policy=policy((early, *scripts, module), (style,)),
    )


def live_assets() -> tuple[str, str, str]:
    """Style, script and policy of the frame around a page that is served: it may ask its own server, and nobody else."""
    style = "\n".join((STATIC / file).read_text(encoding="utf-8") for file in ("tokens.css", "base.css", "live.css"))
    script = (STATIC / "live.js").read_text(encoding="utf-8")
    return style, script, f"{policy((script,), (style,))}; connect-src 'self'; frame-src 'self'"


def joined(modules: Mapping[str, str]) -> str:
    """Modules as one, in their order: a page from a file may import nothing. Each is a function that gives what it exports, and runs once.

    Raises ValueError where one imports what does not come before it.
    """
    parts = ["const modules = {};"]
    for place, (file, text) in enumerate(modules.items()):
        before = set(list(modules)[:place])
        if missing := [found["file"] for found in _IMPORT.finditer(text) if found["file"] not in before]:
            raise ValueError(f"{file} imports {', '.join(missing)}, which does not come before it")
        exported = ", ".join(found["name"] for found in _EXPORT.finditer(text))
        body = _EXPORT.sub(r"\g<kind> \g<name>", _IMPORT.sub(_taken, text))
        parts.append(f'modules["{file}"] = await (async () => {{\n{body}\nreturn {{ {exported} }};\n}})();')
    return "\n".join(parts)


def _taken(found: re.Match[str]) -> str:
    """An import as what it takes from the modules before."""
    return f'const {{ {found["names"].replace(" as ", ": ")} }} = modules["{found["file"]}"];'


def policy(scripts: Iterable[str], styles: Iterable[str]) -> str:
    """Pictures may be written out in the page (figures are saved by way of one)."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hashed, scripts))}",
            f"style-src {' '.join(map(_hashed, styles))}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _vendored(file: str) -> str:
    """Without the name of a source map, which is not in the page."""
    return re.sub(r"\n?(//|/\*)# sourceMappingURL=\S+( \*/)?\s*$", "", (VENDOR / file).read_text(encoding="utf-8"))
