"""How a container gets a GPU: what was asked for and found in, what the engine is told out; every refusal names the next command."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from matrix.errors import DriverTooOld, GpuMissing, GpuRuntimeMissing
from matrix.gpus import (
    LIBRARIES_MOUNT,
    NONE,
    VOLUME,
    EngineGpus,
    GpuRequest,
    HostGpus,
    decide,
    engine_error,
    parse_gpus,
    require_driver,
    require_gpu,
)

AUTO = GpuRequest(kind="auto")
NODES = ("/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm")
LIBRARIES = {"libcuda.so.1": "/lib/libcuda.so.580.65.06", "libnvidia-ml.so.1": "/lib/libnvidia-ml.so.580.65.06"}
HOST = HostGpus(adapters=("0000:01:00.0",), nodes=NODES, driver="580.65.06", libraries=LIBRARIES, cdi_kinds=("nvidia.com/gpu",))
DOCKER = EngineGpus(engine="docker 28.0", nvidia=True, runtimes=("nvidia", "runc"), cdi=True)
OLD_DOCKER = EngineGpus(engine="docker 20.10", runtimes=("runc",))
PODMAN = EngineGpus(engine="podman 4.3.1", podman=True, cdi=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", AUTO),
        ("none", GpuRequest(kind="none")),
        ("nvidia:GPU-5d5ba0d6-d33d,1", GpuRequest(kind="nvidia", names=("GPU-5d5ba0d6-d33d", "1"))),
        ("cdi:vendor.com/class=name,nvidia.com/gpu=0:1", GpuRequest(kind="cdi", names=("vendor.com/class=name", "nvidia.com/gpu=0:1"))),
    ],
)
def test_a_way_is_read_with_its_names(text: str, expected: GpuRequest) -> None:
    assert parse_gpus(text) == expected


@pytest.mark.parametrize("text", ["", "cuda", "devices:0", "none:1", "nvidia:", "nvidia:first one", "cdi:gpu", "cdi:a/b=c=d", "auto:0"])
def test_what_is_no_way_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"none of auto|takes no names|is not (a GPU's UUID|VENDOR/CLASS)"):
        parse_gpus(text)


def test_auto_prefers_the_runtime_then_cdi_then_devices() -> None:
    assert decide(AUTO, HOST, DOCKER).kind == "nvidia"
    assert decide(AUTO, HOST, replace(DOCKER, nvidia=False)).kind == "cdi"
    assert decide(AUTO, replace(HOST, cdi_kinds=("other.com/gpu",)), replace(DOCKER, nvidia=False)).kind == "devices"
    assert decide(AUTO, HOST, OLD_DOCKER).kind == "devices"
    assert decide(AUTO, HOST, PODMAN).kind == "cdi", "it passes over requests for the NVIDIA runtime without a word"


def test_every_way_says_why() -> None:
    for engine in (DOCKER, OLD_DOCKER, PODMAN):
        assert decide(AUTO, HOST, engine).why


def test_names_reach_the_engine_and_all_gpus_are_the_default() -> None:
    assert decide(parse_gpus("nvidia:GPU-1a,GPU-2b"), HOST, DOCKER).ids == ("GPU-1a", "GPU-2b")
    assert decide(parse_gpus("nvidia"), HOST, DOCKER).ids == ()
    assert decide(parse_gpus("cdi"), HOST, PODMAN).cdi == ("nvidia.com/gpu=all",)
    assert decide(parse_gpus("cdi:vendor.com/class=name"), HostGpus(), PODMAN).describe() == "cdi:vendor.com/class=name"


def test_devices_come_with_the_drivers_libraries() -> None:
    found = decide(parse_gpus("devices"), HOST, OLD_DOCKER)
    assert found.nodes == NODES
    assert found.mounts == tuple((file, f"{LIBRARIES_MOUNT}/{name}") for name, file in LIBRARIES.items())
    assert found.library_folders == (LIBRARIES_MOUNT,)
    assert "2 GPUs" in found.why


def test_a_volume_of_the_drivers_is_mounted_where_images_look_for_it() -> None:
    found = decide(parse_gpus("devices"), replace(HOST, volume=True, libraries={}), OLD_DOCKER)
    assert found.mounts == ((VOLUME, VOLUME),)
    assert found.library_folders == (f"{VOLUME}/lib", f"{VOLUME}/lib64")


def test_without_a_gpu_nothing_but_none_goes_on() -> None:
    assert decide(GpuRequest(kind="none"), HostGpus(), OLD_DOCKER) == NONE
    for kind, engine in (("auto", DOCKER), ("nvidia", DOCKER), ("devices", OLD_DOCKER)):
        with pytest.raises(GpuMissing, match="this host has none") as caught:
            decide(parse_gpus(kind), HostGpus(), engine)
        assert "--gpus none" in str(caught.value)
        assert caught.value.exit_code == 20


def test_an_adapter_without_a_driver_names_the_adapter_and_the_driver() -> None:
    with pytest.raises(GpuMissing, match=r"0000:01:00\.0.*no driver(.|\n)*nvidia-driver"):
        require_gpu(HostGpus(adapters=("0000:01:00.0",)))


@pytest.mark.parametrize(
    ("text", "host", "engine", "words"),
    [
        ("nvidia", HOST, OLD_DOCKER, "no NVIDIA runtime .its runtimes: runc.(.|\n)*nvidia-ctk runtime configure"),
        ("nvidia", HOST, PODMAN, "its way is CDI(.|\n)*nvidia-ctk cdi generate"),
        ("cdi", HOST, OLD_DOCKER, "from version 25 on"),
        ("cdi:vendor.com/class=name", HOST, OLD_DOCKER, "from version 25 on"),
        ("cdi", replace(HOST, cdi_kinds=("other.com/gpu",)), PODMAN, "there is: other.com/gpu(.|\n)*nvidia-ctk cdi generate"),
        ("devices", replace(HOST, libraries={}), DOCKER, r"libcuda\.so\.1(.|\n)*nox -s doctor"),
        (
            "auto",
            replace(HOST, libraries={}, cdi_kinds=()),
            PODMAN,
            "nvidia: podman.*cdi: no CDI.*devices: the driver's(.|\n)*container toolkit",
        ),
    ],
)
def test_a_way_that_is_not_there_names_what_was_found_and_the_next_command(
    text: str, host: HostGpus, engine: EngineGpus, words: str
) -> None:
    with pytest.raises(GpuRuntimeMissing, match=words) as caught:
        decide(parse_gpus(text), host, engine)
    assert caught.value.exit_code == 21
    assert "--gpus none" in str(caught.value)


def test_a_driver_that_is_too_old_is_refused_and_unknown_ones_are_not() -> None:
    with pytest.raises(
        DriverTooOld, match=r"inductor-cuda@2.15 brings CUDA 13\.2, which needs .* 580\.65\.06 .* has 550\.54\.15"
    ) as caught:
        require_driver("inductor-cuda@2.15", "13.2", "550.54.15")
    assert caught.value.exit_code == 22
    require_driver("a", "13.2", "580.65.06")
    require_driver("a", "12.8", "550.54.15")
    require_driver("a", None, "1.0")
    require_driver("a", "13.2", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('could not select device driver "nvidia" with capabilities: [[gpu compute utility]]', "has no NVIDIA runtime"),
        ('could not select device driver "" with capabilities: [[gpu]]', "has no NVIDIA runtime"),
        ('could not select device driver "cdi" with capabilities: []', "does not know CDI"),
        ("setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all", "no specification of this CDI device(.|\n)*cdi generate"),
        ("CDI device injection failed: unresolvable CDI devices vendor.com/class=x", "no specification of this CDI device"),
        ("Unknown runtime specified nvidia", "no such runtime"),
        ("unknown or invalid runtime name: nvidia", "no such runtime"),
        ("nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown", "nvidia-smi"),
    ],
)
def test_the_engines_words_are_translated(text: str, words: str) -> None:
    found = engine_error(text, "docker 20.10")
    assert found is not None
    assert re.search(words, str(found))
    assert text in str(found), "what the engine said is not lost"


def test_other_words_of_the_engines_are_not_about_a_gpu() -> None:
    assert engine_error('exec: "python3": executable file not found in $PATH', "docker") is None
