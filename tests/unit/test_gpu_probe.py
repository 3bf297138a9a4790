"""What a host has of GPUs, read from a tree like /, and what an engine says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.engines.product import product_of
from matrix.gpu_probe import driver_version, engine_gpus, host_gpus

PROPRIETARY = """\
NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024
GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)
"""
OPEN = """\
NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22-I3-AE18-23-3)  Tue Sep 23 10:11:16 UTC 2025
GCC version:  gcc version 12.3.0
"""


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_an_empty_host_has_nothing(tmp_path: Path) -> None:
    found = host_gpus(tmp_path)
    assert not found.present
    assert found.driver is None
    assert (found.adapters, found.nodes, found.libraries, found.cdi_kinds) == ((), (), {}, ())


@pytest.mark.parametrize(("text", "version"), [(PROPRIETARY, "550.54.15"), (OPEN, "580.95.05"), ("", None)])
def test_the_driver_is_read_from_the_kernel(tmp_path: Path, text: str, version: str | None) -> None:
    write(tmp_path / "proc/driver/nvidia/version", text)
    assert driver_version(tmp_path) == version


def test_nodes_are_the_gpus_and_the_drivers_own(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-modeset", "null"):
        write(tmp_path / "dev" / name)
    found = host_gpus(tmp_path)
    assert found.nodes == ("/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm")
    assert found.present
    assert found.unusable_nodes == ()


def test_an_adapter_is_nvidias_and_of_a_display_class(tmp_path: Path) -> None:
    for name, vendor, kind in (("01:00.0", "0x10de", "0x030200"), ("01:00.1", "0x10de", "0x040300"), ("02:00.0", "0x1002", "0x030000")):
        write(tmp_path / "sys/bus/pci/devices" / name / "vendor", f"{vendor}\n")
        write(tmp_path / "sys/bus/pci/devices" / name / "class", f"{kind}\n")
    found = host_gpus(tmp_path)
    assert found.adapters == ("01:00.0",)
    assert not found.present


def test_libraries_are_the_drivers_by_the_names_that_programs_ask_for(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/x86_64-linux-gnu"
    write(folder / "libcuda.so.580.95.05")
    (folder / "libcuda.so.1").symlink_to("libcuda.so.580.95.05")
    write(folder / "libnvidia-ml.so.1")
    write(folder / "libcudart.so.13")
    (folder / "libnvidia-nvvm.so.4").symlink_to("gone")
    found = host_gpus(tmp_path).libraries
    assert found["libcuda.so.1"] == str(folder / "libcuda.so.580.95.05")
    assert set(found) == {"libcuda.so.1", "libcuda.so.580.95.05", "libnvidia-ml.so.1"}


def test_a_volume_has_the_drivers_library(tmp_path: Path) -> None:
    (tmp_path / "usr/local/nvidia").mkdir(parents=True)
    assert not host_gpus(tmp_path).volume
    write(tmp_path / "usr/local/nvidia/lib64/libcuda.so.1")
    assert host_gpus(tmp_path).volume


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", '{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu"}'), ("a.yaml", "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n")],
)
@pytest.mark.parametrize("folder", ["etc/cdi", "run/cdi"])
def test_kinds_are_read_from_specifications(tmp_path: Path, folder: str, name: str, text: str) -> None:
    write(tmp_path / folder / name, text)
    write(tmp_path / folder / "notes.txt", "kind: other.com/gpu")
    assert host_gpus(tmp_path).cdi_kinds == ("nvidia.com/gpu",)


def test_an_engine_says_which_runtimes_it_has_and_whether_it_knows_cdi() -> None:
    found = engine_gpus({"Runtimes": {"runc": {}, "nvidia": {}}, "CDISpecDirs": ["/etc/cdi"]}, "docker 28", podman=False)
    assert (found.nvidia, found.cdi, found.runtimes) == (True, True, ("nvidia", "runc"))
    found = engine_gpus({"Runtimes": {"runc": {}}, "CDISpecDirs": None}, "docker 20", podman=False)
    assert not found.cdi
    assert engine_gpus({"Runtimes": {"nvidia": {}}}, "podman 4", podman=True).cdi
    assert not engine_gpus({"Runtimes": {"nvidia": {}}}, "podman 4", podman=True).nvidia


def test_podman_is_known_behind_dockers_socket() -> None:
    podman = product_of({"Version": "4.3.1", "Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}]}, {"Rootless": True})
    assert (podman.name, podman.podman, podman.rootless) == ("podman", True, True)
    docker = product_of(
        {"Version": "20.10", "ApiVersion": "1.41", "Components": [{"Name": "Engine"}]}, {"SecurityOptions": ["name=seccomp"]}
    )
    assert docker.manifest() == {"engine_product": "docker", "engine_version": "20.10", "engine_api": "1.41"}
    assert product_of({}, {"SecurityOptions": ["name=seccomp", "name=rootless"]}).rootless
