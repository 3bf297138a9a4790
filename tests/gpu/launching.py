"""Launches for the tests on a GPU, in processes of their own: this one has looked at the GPU, and what is forked from it could not use it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

from harness.cell import Cell, LaunchSpec
from harness.files import read_fields, row_from_fields
from harness.records import Row
from tests.conftest import SOURCE

SPEC = LaunchSpec(run="r", launch=0, attempt=0, image="i", cells=(), seed=1, timeout_seconds=200)


def launch(directory: Path, *cells: Cell, spec: LaunchSpec = SPEC) -> list[Row]:
    (directory / "cells.json").write_text(dataclasses.replace(spec, cells=cells).to_json())
    command = [sys.executable, "-m", "harness", "launch", "--cells", str(directory / "cells.json"), "--out", str(directory)]
    subprocess.run(command, cwd=SOURCE, check=True)
    return [row_from_fields(fields) for fields in read_fields(directory / "results.csv")]
