"""Findings of the doctor: what is well, what is not, and that everything that is not names what to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from images.errors import BuilderMissing
from matrix.doctor import shown
from matrix.doctor.facts import Busy, Facts, GpuState, busy_processes, gather
from matrix.doctor.findings import Finding, findings
from matrix.engines.product import product_of
from matrix.gpus import HostGpus
from tests.conftest import SOURCE

DOCKER = product_of({"Version": "28.0"}, {"Runtimes": {"nvidia": {}, "runc": {}}})
PLAIN = product_of({"Version": "20.10"}, {"Runtimes": {"runc": {}}})
WELL = Facts(
    python=(3, 11, 7),
    config="matrix.toml",
    images=2,
    engine=DOCKER,
    builder="docker build",
    compiler="/usr/bin/g++",
    disks={"/": 100 << 30},
    cores=4,
    load=0.1,
    governors=("performance",),
)
GPU = HostGpus(
    adapters=("0000:01:00.0",),
    nodes=("/dev/nvidia0", "/dev/nvidiactl"),
    driver="580.95.05",
    libraries={"libcuda.so.1": "/lib/libcuda.so.1"},
)
WITH_GPU = replace(
    WELL,
    gpus=GPU,
    gpu_states=(GpuState(name="H200", persistence=True, throttled_by="0x0000000000000001"),),
    cuda_images={"cuda@2.15": "13.2"},
)


def named(facts: Facts, name: str) -> Finding:
    (found,) = (finding for finding in findings(facts) if finding.name == name)
    return found


@pytest.mark.parametrize("facts", [WELL, WITH_GPU])
def test_a_host_that_is_well_has_nothing_to_do(facts: Facts) -> None:
    assert [finding for finding in findings(facts) if not finding.ok or finding.remedy] == []


@pytest.mark.parametrize(
    ("changed", "name", "words"),
    [
        ({"python": (3, 10, 1)}, "python", "3.11 or newer"),
        ({"images": "matrix.toml:3: run.launchs: unknown key"}, "matrix.toml", "unknown key"),
        ({"engine": "no Docker engine answers\n  next: sudo systemctl start docker"}, "docker engine", "systemctl start docker"),
        ({"builder": BuilderMissing("no client\n  next: install the buildx plugin")}, "builder", "install the buildx plugin"),
        ({"compiler": None}, "c++ compiler", "install g++"),
        ({"disks": {"/": 1 << 30}}, "disk", "1 GiB free at /(.|\n)*prune"),
        ({"load": 3.0}, "load", "end what else runs"),
        ({"busy": (Busy(pid=7, name="make", cores=1.5),)}, "load", r"make \(pid 7, 1\.5 cores\)"),
        ({"governors": ("performance", "powersave")}, "governor", "cpupower"),
    ],
)
def test_what_is_not_well_says_what_to_do(changed: dict[str, Any], name: str, words: str) -> None:
    finding = named(replace(WELL, **changed), name)
    assert not finding.ok
    assert re.search(words, shown(finding))


@pytest.mark.parametrize(
    ("changed", "name", "words"),
    [
        ({"gpus": replace(GPU, nodes=())}, "gpu", "nvidia-driver"),
        ({"gpus": replace(GPU, unusable_nodes=("/dev/nvidia0",))}, "gpu permissions", "/dev/nvidia0(.|\n)*next: sudo chmod"),
        ({"gpus": replace(GPU, libraries={}), "engine": PLAIN}, "gpu in containers", "docker 20.10(.|\n)*container toolkit"),
        (
            {"gpus": replace(GPU, driver="570.1")},
            "driver for cuda@2.15",
            r"13\.2 needs 580\.65\.06(.|\n)*has 570\.1(.|\n)*update the driver",
        ),
        ({"gpu_processes": ("4711, python",)}, "gpu processes", "4711, python(.|\n)*end them"),
        ({"gpu_states": (GpuState(name="H200", persistence=True, throttled_by="0x4"),)}, "gpu clocks", "0x4(.|\n)*nvidia-smi"),
        ({"gpu_states": (GpuState(name="H200", persistence=False, throttled_by=""),)}, "gpu clocks", "persistence(.|\n)*nvidia-smi -pm 1"),
        ({"disks": {"/": 30 << 30}}, "disk", "40 GiB are comfortable"),
    ],
)
def test_what_is_not_well_of_a_gpu_says_what_to_do(changed: dict[str, Any], name: str, words: str) -> None:
    finding = named(replace(WITH_GPU, **changed), name)
    assert not finding.ok
    assert re.search(words, shown(finding))


def test_a_gpus_way_into_containers_is_told() -> None:
    assert "--gpus nvidia" in named(WITH_GPU, "gpu in containers").text
    assert "--gpus devices" in named(replace(WITH_GPU, engine=PLAIN), "gpu in containers").text


def test_a_host_without_a_gpu_is_well_and_hears_what_is_refused() -> None:
    finding = named(replace(WELL, cuda_images={"inductor-cuda@2.15": "13.2"}), "gpu")
    assert finding.ok
    assert "inductor-cuda@2.15" in finding.text


def test_what_cannot_be_known_is_not_held_against_the_host() -> None:
    facts = replace(WITH_GPU, gpus=replace(GPU, driver=None), gpu_states=(), governors=(), engine="no engine\n  next: start it")
    assert {finding.name for finding in findings(facts) if not finding.ok} == {"docker engine"}


def test_a_process_that_computes_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        try:
            seen = {process.pid: process for process in busy_processes(1.0)}
        finally:
            spinning.kill()
    assert seen[spinning.pid].cores > 0.1
    assert os.getpid() not in seen


@pytest.mark.engine
def test_this_host_is_examined() -> None:
    facts = gather(SOURCE / "matrix.toml", SOURCE)
    assert {"inductor-cuda@2.15", "inductor-cuda@2.14"} <= set(facts.cuda_images)
    assert isinstance(facts.images, int)
    assert all(shown(finding) for finding in findings(facts))
