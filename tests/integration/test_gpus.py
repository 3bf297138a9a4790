"""GPUs for containers, on the real engine of a host without one: what is handed over, and what is refused, before anything is built."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from harness.cell import Cell, LaunchSpec
from images.recipe import BuildSettings
from matrix.config import Container, load_matrix
from matrix.engines.docker import DockerEngine, describe
from matrix.engines.engine import Environment, LaunchEnd, LaunchRequest
from matrix.errors import GpuRuntimeMissing
from matrix.gpu_probe import host_gpus
from matrix.gpus import LIBRARIES_MOUNT, Passthrough
from matrix.plan import PlannedImage
from tests.conftest import SOURCE
from tests.integration import probe

without_gpu = pytest.mark.skipif(host_gpus().present, reason="this host has a GPU")
Launch = Callable[[Passthrough], tuple[LaunchEnd, list[str]]]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "matrix", "bench", "inductor-cuda", *arguments]
    return subprocess.run(command, cwd=SOURCE, text=True, capture_output=True, check=False)


@pytest.fixture(scope="module")
def images(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    probe.import_images(engine, probe.archive(tmp_path_factory.mktemp("probe")))
    yield
    for reference in (probe.QUICK, probe.SLOW):
        engine.images.remove(reference, force=True)


@pytest.fixture
def launch(engine: docker.DockerClient, images: None, tmp_path: Path) -> Launch:
    """Starts the probe's image through the engine; returns its end and what it said."""

    def start(passthrough: Passthrough) -> tuple[LaunchEnd, list[str]]:
        matrix = load_matrix(SOURCE / "matrix.toml")
        image = PlannedImage(name="inductor-cuda", reference=probe.QUICK)
        started = DockerEngine(
            engine,
            product=describe(engine),
            settings_of=lambda image: matrix.images[image.name],
            recipe_of=lambda image: pytest.fail("nothing is built"),
            build=BuildSettings(),
            source=SOURCE,
            sizes=tmp_path / "sizes",
        )
        directory = tmp_path / "incoming"
        directory.mkdir()
        cells = (Cell(workload="micro/softmax", backend="eager", device="cuda"),)
        said: list[str] = []
        end = started.run(
            LaunchRequest(
                environment=Environment(
                    image=image, reference=probe.QUICK, digest="", passthrough=passthrough, library_path=probe.LIBRARY_PATH
                ),
                spec=LaunchSpec(run="run", launch=0, attempt=0, image="probe", cells=cells, seed=1, timeout_seconds=1),
                directory=directory,
                log=tmp_path / "launch.log",
                run_directory=tmp_path,
                container=Container(),
                deadline_seconds=60,
            ),
            said.append,
        )
        return end, said

    return start


@pytest.mark.engine
@without_gpu
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 20, ["GpuMissing", "this host has none", "nox -s doctor", "--gpus none"]),
        (("--gpus", "devices"), 20, ["this host has none"]),
        (("--gpus", "nvidia"), 21, ["GpuRuntimeMissing", "no NVIDIA runtime", "runc", "nvidia-ctk runtime configure"]),
        (("--image", "cpu", "--image", "inductor-cuda@2.14"), 20, ["this host has none"]),
    ],
)
def test_an_image_for_a_gpu_is_refused_before_it_is_built(arguments: tuple[str, ...], code: int, words: list[str], tmp_path: Path) -> None:
    done = bench("--engine", "docker", "--results", str(tmp_path), *arguments)
    assert done.returncode == code, done.stderr
    for word in words:
        assert word in done.stderr
    assert "building" not in done.stdout
    assert "pulling" not in done.stdout
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.local
@without_gpu
def test_the_local_engine_refuses_likewise(tmp_path: Path) -> None:
    done = bench("--engine", "local", "--environments", str(tmp_path), "--results", str(tmp_path))
    assert done.returncode == 20, done.stderr
    assert "installing" not in done.stdout


@pytest.mark.local
def test_what_is_no_way_to_a_gpu_is_an_error_of_usage() -> None:
    done = bench("--gpus", "cdi:gpu", "--plan")
    assert done.returncode == 2
    assert "VENDOR/CLASS=NAME" in done.stderr


@pytest.mark.engine
@without_gpu
@pytest.mark.usefixtures("no_containers_left")
@pytest.mark.parametrize(
    ("passthrough", "words"),
    [
        (Passthrough(kind="nvidia", why=""), r"has no NVIDIA runtime to hand a GPU over \(could not select device driver(.|\n)*nvidia-ctk"),
        (Passthrough(kind="cdi", why="", cdi=("benchmatrix.test/none=all",)), "CDI(.|\n)*next: "),
    ],
)
def test_the_engines_own_words_are_translated(launch: Launch, passthrough: Passthrough, words: str) -> None:
    with pytest.raises(GpuRuntimeMissing, match=words):
        launch(passthrough)


@pytest.mark.engine
@pytest.mark.usefixtures("no_containers_left")
def test_device_nodes_and_libraries_reach_the_container(launch: Launch, tmp_path: Path) -> None:
    library = tmp_path / "libcuda.so.580"
    library.write_text("")
    passthrough = Passthrough(
        kind="devices",
        why="",
        nodes=("/dev/loop-control" if Path("/dev/loop-control").exists() else "/dev/kmsg",),
        mounts=((str(library), f"{LIBRARIES_MOUNT}/libcuda.so.1"),),
        library_folders=(LIBRARIES_MOUNT,),
    )
    end, said = launch(passthrough)
    assert end.unfit, end
    assert f"libraries: {probe.LIBRARY_PATH}:{LIBRARIES_MOUNT}, driver yes" in said
    (devices,) = (line for line in said if line.startswith("devices:"))
    assert passthrough.nodes[0].rpartition("/")[2] in devices.split()
    assert "writes: out yes, tmp yes, harness no, root no" in said
