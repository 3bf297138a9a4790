"""Podman behind its Docker-compatible socket, for real: a service of the test's own, with a store of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from images.docker_cli import find_builder
from matrix.engines.docker import RUN_LABEL, describe
from matrix.gpu_probe import host_gpus
from tests.conftest import SOURCE
from tests.integration import probe
from tests.integration.command import only_run, rows, wait_for

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("podman") is None, reason="no podman on the PATH (Debian: apt-get install podman)"),
    pytest.mark.skipif(os.getuid() != 0, reason="takes root: what Podman needs without it is up to the host"),
]
CDI_SPECIFICATION = Path("/run/cdi/benchmatrix-test.json")
CDI_KIND = "benchmatrix.test/null"
WITHOUT_TRAILS = """\
[containers]
# A host that bounds root refuses the million that Podman asks for.
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service of Podman's that has the probe's images."""
    folder = tmp_path_factory.mktemp("podman")
    # Podman takes 50 characters for what it keeps while it runs, and pytest's own folders may be longer.
    running = tempfile.TemporaryDirectory(prefix="podman-")
    (folder / "containers.conf").write_text(WITHOUT_TRAILS)
    # The store needs no overlay below it: this may run inside of one.
    store = ["--root", str(folder / "root"), "--runroot", running.name, "--storage-driver", "vfs"]
    found = f"unix://{folder}/podman.sock"
    with (folder / "log").open("w") as log:
        service = subprocess.Popen(
            ["podman", *store, "system", "service", "--time=0", found],
            env={**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for((folder / "podman.sock").exists, 20, f"podman: {folder / 'log'}")
        client = docker.DockerClient(base_url=found)
        probe.import_images(client, probe.archive(folder))
        yield found
        for container in client.containers.list(all=True):
            container.remove(force=True)
        client.close()
    finally:
        service.terminate()
        service.wait()
        running.cleanup()


@pytest.fixture
def client(address: str) -> Iterator[docker.DockerClient]:
    found = docker.DockerClient(base_url=address)
    yield found
    assert found.containers.list(all=True, filters={"label": RUN_LABEL}) == []
    found.close()


@pytest.fixture
def cdi() -> Iterator[str]:
    """A device of CDI's that is /dev/null by another name; its qualified name."""
    node = {"path": "/dev/benchmatrix-null", "hostPath": "/dev/null", "type": "c", "permissions": "rw"}
    device = {"name": "all", "containerEdits": {"deviceNodes": [node]}}
    CDI_SPECIFICATION.parent.mkdir(parents=True, exist_ok=True)
    CDI_SPECIFICATION.write_text(json.dumps({"cdiVersion": "0.5.0", "kind": CDI_KIND, "devices": [device]}))
    yield f"{CDI_KIND}=all"
    CDI_SPECIFICATION.unlink()


def command(image: str, reference: str, *arguments: str) -> list[str]:
    measured = ["--engine", "docker", "--quick", "--only", "micro/softmax", "--backend", "eager", "--image", f"docker://{reference}"]
    return [sys.executable, "-m", "matrix", "bench", image, *measured, *arguments]


def bench(address: str, image: str, reference: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "DOCKER_HOST": address}
    return subprocess.run(
        command(image, reference, *arguments), cwd=SOURCE, env=variables, text=True, capture_output=True, check=False, timeout=120
    )


def begin(address: str, results: Path) -> subprocess.Popen[str]:
    """A launch that stays."""
    return subprocess.Popen(
        command("cpu", probe.SLOW, "--results", str(results)),
        cwd=SOURCE,
        env={**os.environ, "DOCKER_HOST": address},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def wait_for_container(client: docker.DockerClient, process: subprocess.Popen[str]) -> None:
    wait_for(lambda: client.containers.list(filters={"label": RUN_LABEL}) or process.poll() is not None, 30, "the container")
    assert process.poll() is None, process.communicate()[0]


def said(results: Path) -> list[str]:
    (log,) = (only_run(results) / "logs").glob("*/launch.log")
    return log.read_text().splitlines()


def test_it_is_known_for_what_it_is(address: str, client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    product = describe(client)
    assert product.podman
    assert product.gpus.cdi
    monkeypatch.setenv("DOCKER_HOST", address)
    builder = find_builder()
    assert builder.command[1:] == ("--url", address, "build")
    assert builder.options == ()


@pytest.mark.usefixtures("cdi")
def test_a_launch_is_confined_heard_and_judged(address: str, client: docker.DockerClient, tmp_path: Path) -> None:
    done = bench(address, "cpu", probe.QUICK, "--results", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"engine: docker, answered by podman {describe(client).version}" in done.stdout
    lines = said(tmp_path)
    assert f"user: {os.getuid()}:{os.getgid()}" in lines
    assert "reads: cells yes, harness yes" in lines
    assert "writes: out yes, tmp yes, harness no, root no" in lines
    assert not any("benchmatrix-null" in line for line in lines), "nobody asked for the device"
    (row,) = rows(only_run(tmp_path)).to_dict("records")
    assert row["status"] == "unsupported", "the probe ends as a harness that cannot run"
    assert "exit code 3" in row["reason"]
    manifest = json.loads((only_run(tmp_path) / "manifest.json").read_text())
    assert manifest["engine"]["engine_product"] == "podman"
    assert manifest["images"][0]["digest"].startswith("sha256:")


def test_a_container_that_is_killed_costs_its_row(address: str, client: docker.DockerClient, tmp_path: Path) -> None:
    process = begin(address, tmp_path)
    wait_for_container(client, process)
    client.containers.list(filters={"label": RUN_LABEL})[0].kill()
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 4, output
    (row,) = rows(only_run(tmp_path)).to_dict("records")
    assert row["status"] == "infra_error"
    assert "exit code 137" in row["reason"]


def test_an_interrupt_ends_the_container(address: str, client: docker.DockerClient, tmp_path: Path) -> None:
    process = begin(address, tmp_path)
    wait_for_container(client, process)
    interrupted = time.monotonic()
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output
    assert time.monotonic() - interrupted < 10
    assert "--resume" in output


def test_what_a_killed_command_left_is_ended(address: str, client: docker.DockerClient, tmp_path: Path) -> None:
    process = begin(address, tmp_path / "killed")
    wait_for_container(client, process)
    process.kill()
    process.communicate()
    done = bench(address, "cpu", probe.QUICK, "--results", str(tmp_path / "next"))
    assert "ended container benchmatrix-" in done.stdout, done.stdout + done.stderr


def test_a_device_of_cdi_reaches_the_container(address: str, client: docker.DockerClient, cdi: str, tmp_path: Path) -> None:
    done = bench(address, "inductor-cuda", probe.QUICK, "--gpus", f"cdi:{cdi}", "--results", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"gpus: cdi:{cdi}" in done.stdout
    lines = said(tmp_path)
    (devices,) = (line for line in lines if line.startswith("devices:"))
    assert "benchmatrix-null" in devices.split()
    # The same container as any other, by the words of another interface.
    assert f"user: {os.getuid()}:{os.getgid()}" in lines
    assert "writes: out yes, tmp yes, harness no, root no" in lines
    assert json.loads((only_run(tmp_path) / "manifest.json").read_text())["images"][0]["gpus"] == f"cdi:{cdi}"


def test_a_device_that_no_specification_has_is_named_with_the_next_command(
    address: str, client: docker.DockerClient, cdi: str, tmp_path: Path
) -> None:
    done = bench(address, "inductor-cuda", probe.QUICK, "--gpus", f"cdi:{CDI_KIND}=other", "--results", str(tmp_path))
    assert done.returncode == 21, done.stdout + done.stderr
    assert f"unresolvable CDI devices {CDI_KIND}=other" in done.stderr
    assert "nvidia-ctk cdi generate" in done.stderr


@pytest.mark.skipif(host_gpus().present, reason="this host has a GPU")
def test_the_nvidia_runtime_is_refused_where_it_would_be_passed_over(address: str, tmp_path: Path) -> None:
    done = bench(address, "inductor-cuda", probe.QUICK, "--gpus", "nvidia", "--results", str(tmp_path))
    assert done.returncode == 21, done.stderr
    assert "its way is CDI" in done.stderr


@pytest.mark.parametrize("reference", ["registry.invalid/nothing:1", "Not A Reference"])
def test_an_image_that_cannot_be_had_is_named_with_the_engines_words(address: str, tmp_path: Path, reference: str) -> None:
    done = bench(address, "cpu", reference, "--results", str(tmp_path))
    assert done.returncode == 14, done.stderr
    assert f"docker pull {reference}" in done.stderr
    assert "Traceback" not in done.stderr
