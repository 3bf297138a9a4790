"""``python -m tests.benchmarks.fidelity STUDY [options]``: is what the harness says true?"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import allocator
from tests.benchmarks.fidelity.launches import VARIABLES, LaunchFailed
from tests.benchmarks.fidelity.series import Outcome
from tests.benchmarks.fidelity.tables import markdown

STUDIES: Mapping[str, str] = {
    "known": "calls that take a known time: is it reported?",
    "agreement": "this instrument and others, in turns on the same calls",
    "aa": "eager against eager: how often the interval covers 1",
    "planted": "a known difference: is it found?",
    "modes": "do launches differ with the allocator pinned, and without?",
    "efficiency": "seconds to an interval of 1 %, here and with other instruments",
    "memory": "blocks of known size: is the peak reported?",
    "table": "cells x precisions x launches, in a container and outside",
}
"""Modules of this package, each with ``add_options(parser)`` and ``run(options) -> Outcome``."""
FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    # For studies that measure in this process, before their modules import torch: as a launch does.
    allocator.pin()
    os.environ.update(VARIABLES)
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        outcome: Outcome = options.module.run(options)
    except LaunchFailed as error:
        print(f"fidelity: {error}", file=sys.stderr)
        return FAILED
    text = document(outcome)
    print(text, end="")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"{options.study}.md").write_text(text, encoding="utf-8")
        if outcome.records:
            write_records(options.out / f"{options.study}.csv", outcome.records)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, with the study's module. Only the module of the study that is asked for is imported: some need torch."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fidelity", description=__doc__)
    verbs = parser.add_subparsers(dest="study", required=True, metavar="STUDY")
    chosen = next((word for word in arguments if word in STUDIES), None)
    for name, text in STUDIES.items():
        if name != chosen:
            verbs.add_parser(name, help=text.replace("%", "%%"))
            continue
        module = importlib.import_module(f"tests.benchmarks.fidelity.{name}")
        verb = verbs.add_parser(name, help=text.replace("%", "%%"), description=module.__doc__)
        module.add_options(verb)
        verb.set_defaults(module=module)
    return parser.parse_args(arguments)


def document(outcome: Outcome) -> str:
    return "\n".join([outcome.about + "\n", *(markdown(table) for table in outcome.tables)])


def write_records(path: Path, records: Sequence[Any]) -> None:
    """Dataclasses of one kind: numbers exactly, None as an empty field."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(records[0])])
        writer.writerows(dataclasses.astuple(record) for record in records)


if __name__ == "__main__":
    sys.exit(main())
