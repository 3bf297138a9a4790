"""Which driver a release of CUDA needs, and which CUDA an image brings."""

from __future__ import annotations

import pytest

from matrix.config import load_matrix
from matrix.cuda import cuda_of_lock, cuda_of_variables, driver_finding
from tests.conftest import SOURCE


@pytest.mark.parametrize(
    ("cuda", "driver", "enough"),
    [
        ("13.2", "580.65.06", True),
        ("13.0", "580.65", False),
        ("13.0", "570.211.01", False),
        ("12.9", "525.60.13", True),
        ("12.0", "525.60", False),
        ("12.8", "1000.1", True),
        ("11.8", "450.80.02", True),
    ],
)
def test_a_major_release_has_its_least_driver(cuda: str, driver: str, enough: bool) -> None:
    finding = driver_finding(cuda, driver)
    assert finding is not None
    assert finding.enough is enough


@pytest.mark.parametrize(("cuda", "driver"), [(None, "580.1"), ("13.0", None), ("10.2", "580.1"), ("14.0", "580.1")])
def test_what_is_not_known_is_not_judged(cuda: str | None, driver: str | None) -> None:
    assert driver_finding(cuda, driver) is None


@pytest.mark.parametrize(
    ("lock", "cuda"),
    [
        ("torch==2.15.0\ncuda-toolkit==13.2.2 ; sys_platform == 'linux'\nnvidia-cuda-runtime==13.2.86\n", "13.2"),
        ("nvidia-cuda-runtime-cu12==12.8.90 ; platform_machine == 'x86_64'\nnvidia-cuda-nvrtc-cu12==12.9.1\n", "12.8"),
        ("cuda-toolkit[cudart,nvrtc]==13.0.2\n", "13.0"),
        ("torch==2.13.0+cpu\nnvidia-cublas==13.1\n", None),
    ],
)
def test_a_lock_says_which_cuda_it_brings(lock: str, cuda: str | None) -> None:
    assert cuda_of_lock(lock) == cuda


def test_every_lock_of_an_image_for_cuda_says_so() -> None:
    images = load_matrix(SOURCE / "matrix.toml").images
    locks = [
        SOURCE / "images" / name / image.lock_of(version)
        for name, image in images.items()
        if image.device == "cuda"
        for version in image.versions or ("",)
    ]
    assert locks
    for lock in locks:
        assert driver_finding(cuda_of_lock(lock.read_text()), "1000.0"), f"{lock}: no CUDA, or one of an unknown major release"


def test_a_vendors_image_says_it_in_its_environment() -> None:
    assert cuda_of_variables(["PATH=/bin", "CUDA_VERSION=12.8.1"]) == "12.8"
    assert cuda_of_variables(["CUDA_VERSION=latest"]) is None
