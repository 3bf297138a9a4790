"""The gate on a real engine: an image, and the same with something wrong in it on purpose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import docker
import pytest

from reports.gate.outputs.as_json import read
from reports.gate.procedure import Verdict
from tests.conftest import SOURCE
from tests.derived_images import build_planted

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("no_containers_left")]
PLANTED = {
    "micro/sum_rows": {"slower": 3.0},
    "micro/linear_gelu_mlp": {"wrong": 0.01},
    "micro/conv2d_3x3": {"crash": True},
    "micro/sort": {"missing": "sortlib"},
}
WORKLOADS = (*PLANTED, "micro/cumsum")
FEW = "[gate]\nlooks = [6]\nconfirm = 5\ncpu_waiting = 1.0\ncpu_steal = 1.0\n[gate.margins]\nlatency = { delta = 1.0, tolerable = 2.0, blocks = true }\n"
"""Few blocks, and wide margins: this machine may be busy. What decides is tested elsewhere; here it is that all parts are joined."""


@pytest.fixture
def planted(engine: docker.DockerClient, image: str) -> str:
    return build_planted(image, PLANTED, "benchmatrix-tests/planted:all")


def gate(*arguments: str, config: Path, results: Path, summary: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reports.gate", "--config", str(config), *arguments, "--results", str(results), "--engine", "docker"]
    variables = {**os.environ, "GITHUB_STEP_SUMMARY": str(summary)}
    return subprocess.run(command, cwd=SOURCE, env=variables, text=True, capture_output=True, check=False)


def test_what_is_wrong_with_a_candidate_is_named_and_nothing_else(tmp_path: Path, image: str, planted: str) -> None:
    config = tmp_path / "matrix.toml"
    config.write_text(f"{(SOURCE / 'matrix.toml').read_text()}\n{FEW}")
    only = [argument for name in WORKLOADS for argument in ("--only", name)]
    what = (
        "--baseline",
        f"docker://{image}",
        "--candidate",
        f"docker://{planted}",
        "--image",
        "cpu",
        "--backend",
        "eager",
        "--quick",
        *only,
    )
    done = gate(*what, config=config, results=tmp_path / "results", summary=tmp_path / "summary.md")
    assert done.returncode == 1, done.stdout + done.stderr
    (run,) = (tmp_path / "results").iterdir()
    report = read(run / "gate.json")
    assert {cell.cell.split()[0] for cell in report.cells if cell.verdict == Verdict.REGRESSED} == set(PLANTED)
    blocking = {
        cell.cell.split()[0]: {
            finding.metric for finding in cell.findings if finding.verdict == Verdict.REGRESSED and finding.blocks_release
        }
        for cell in report.cells
    }
    assert "latency" in blocking["micro/sum_rows"]
    assert "error" in blocking["micro/linear_gelu_mlp"]
    assert "status" in blocking["micro/conv2d_3x3"]
    assert "status" in blocking["micro/sort"]
    assert blocking["micro/cumsum"] == set()
    # What is wrong was laid on top of the same layers.
    assert [change.candidate for change in report.changes if change.what == "layers"] == [
        f"{len(report.candidate.layers)}, of which the first {len(report.baseline.layers)} are the same"
    ]
    assert ElementTree.parse(run / "gate.junit.xml").getroot().findall(".//failure")  # our own file
    assert "micro/sort" in (tmp_path / "summary.md").read_text()
    assert len(done.stdout.split("REGRESSED:", 1)[1].splitlines()) <= 11
    # What is resumed is judged again, from the rows alone.
    again = gate("--resume", str(run), config=config, results=tmp_path / "results", summary=tmp_path / "again.md")
    assert again.returncode == 1, again.stdout + again.stderr
    assert read(run / "gate.json").cells == report.cells
