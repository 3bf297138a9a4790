"""A branch of one's own code beside another: one image, two mounts, as the ancestor's --diff-branch for torchbench."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.command import bench, only_run, rows

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("image", "no_containers_left")]

LAYER = """import torch

def forward(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x, -1)
"""
WORKLOAD = """import torch
import layers

class Layer(torch.nn.Module):
    def forward(self, x):
        return layers.forward(x)

    def get_example_inputs(self):
        return (torch.randn(512, 512),)
"""
CONFIG = """
[images.main]
description = "torch, with the code of main"
folder = "cpu"
base = "python:3.11-slim-bookworm"
backends = ["eager"]
suites = ["code"]
container = {{ mounts = {{ "{main}" = "/code" }}, environment = {{ PYTHONPATH = "/code" }} }}

[images.branch]
description = "torch, with the code of the branch"
folder = "cpu"
base = "python:3.11-slim-bookworm"
backends = ["eager"]
suites = ["code"]
container = {{ mounts = {{ "{branch}" = "/code" }}, environment = {{ PYTHONPATH = "/code" }} }}

[suites.code]
workloads = ["path:{workload}:Layer"]
"""


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_a_branch_is_compared_through_two_mounts(tmp_path: Path, build_options: list[str]) -> None:
    main, branch, workload = tmp_path / "main", tmp_path / "branch", tmp_path / "workload.py"
    main.mkdir()
    workload.write_text(WORKLOAD)
    (main / "layers.py").write_text(LAYER)
    git(main, "init", "--quiet", "--initial-branch=main")
    git(main, "add", "layers.py")
    git(main, "commit", "--quiet", "--message", "one")
    git(main, "worktree", "add", "--quiet", "-b", "slower", str(branch))
    # Ten times the work: nothing that a busy machine could hide.
    (branch / "layers.py").write_text(LAYER.replace("return ", "for _ in range(9):\n        torch.softmax(x, -1)\n    return "))
    git(branch, "commit", "--quiet", "--all", "--message", "slower")
    config = tmp_path / "matrix.toml"
    config.write_text(CONFIG.format(main=main, branch=branch, workload=workload))

    results = tmp_path / "results"
    done = bench(
        "--image", "main", "--image", "branch", *build_options, "--engine", "docker", results=results, config=config, session="main"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = rows(only_run(results)).set_index("image")
    assert set(table["status"]) == {"pass"}
    assert table["eager_latency_seconds"]["branch"] > 2 * table["eager_latency_seconds"]["main"]
    assert done.stdout.count("benchmatrix/cpu:") == 2, "both are the image cpu, which is built once"
