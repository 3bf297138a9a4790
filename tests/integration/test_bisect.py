"""``--bisect`` on a real engine: two versions of an image differ in two packages, and each does harm of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from reports.gate.bisect import Trial
from reports.gate.outputs.as_json import read
from reports.gate.report import Decision
from tests.conftest import SOURCE
from tests.derived_images import build_derived

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("no_containers_left"), pytest.mark.timeout(2400)]
HARM: dict[str, dict[str, dict[str, object]]] = {
    "plant-beta": {"micro/sum_rows": {"missing": "plantlib"}},
    "plant-gamma": {"micro/conv2d_3x3": {"crash": True}},
}
"""What the second version of each package does to which workload. Statuses alone: what a search for a slower package costs in launches is nothing for a
test, and differs from this in no more than what a trial is judged by.
"""
TORCH = "/opt/torch"
BASE = f"""
ARG IMAGE
FROM ${{IMAGE}}
USER 0:0
RUN cp -a /opt/venv/lib/python3*/site-packages {TORCH}
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""
"""A base that has torch, so that a lock of small packages makes an image of it within seconds."""
WORKLOADS = ("micro/sum_rows", "micro/conv2d_3x3", "micro/cumsum")
FEW = "[gate]\nlooks = [6]\nconfirm = 5\ncpu_waiting = 1.0\ncpu_steal = 1.0\n[gate.margins]\nlatency = { delta = 9.0, tolerable = 10.0, blocks = true }\n"
"""As for the gate: this machine may be busy."""


def write_wheel(folder: Path, package: str, version: str, harm: dict[str, dict[str, object]]) -> None:
    """A wheel with a module that every Python imports as it starts, which plants the harm, and with the way to torch.

    Source: PEP 427; the site module's .pth files.
    """
    module = package.replace("-", "_")
    code = (SOURCE / "tests" / "planted" / "planted.py").read_text() + f"\n\ninstall({harm!r})\n"
    files = {f"{module}.py": code if harm else "", f"{module}.pth": f"{TORCH}\nimport {module}\n"}
    about = f"{module}-{version}.dist-info"
    files[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    files[f"{about}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    """The packages of the test."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    for package, harm in HARM.items():
        write_wheel(folder, package, "1", {})
        write_wheel(folder, package, "2", harm)
    return folder


@pytest.fixture
def base(engine: docker.DockerClient, image: str, tmp_path: Path) -> Iterator[str]:
    folder, reference = tmp_path / "base", "benchmatrix-tests/base:torch"
    folder.mkdir()
    (folder / "Dockerfile").write_text(BASE)
    build_derived(folder, reference, IMAGE=image)
    yield reference
    engine.images.remove(reference, force=True)


@pytest.fixture
def config(engine: docker.DockerClient, base: str, tmp_path: Path) -> Iterator[Path]:
    """The image cpu in two versions, on a base of the test's; whatever was built of it goes with the test."""
    locks = {f"plant{version}": tmp_path / f"plant{version}.lock" for version in "12"}
    for path, version in zip(locks.values(), "12", strict=True):
        path.write_text("".join(f"{package}=={version}\n" for package in HARM))
    versions = ", ".join(f"{name} = {json.dumps(str(path))}" for name, path in locks.items())
    # The first image of the file is cpu.
    text = (SOURCE / "matrix.toml").read_text().replace('lock = "requirements.lock"', f"versions = {{ {versions} }}", 1)
    path = tmp_path / "matrix.toml"
    path.write_text(f"{text}\n{FEW}")
    yield path
    built = {*locks, *(lock.stem for lock in tmp_path.glob("results/*/bisect/*.lock"))}
    for image in engine.images.list("benchmatrix/cpu"):
        if image.labels.get("org.opencontainers.image.version") in built:
            engine.images.remove(str(image.id), force=True)


def test_the_packages_that_did_it_are_named_each_for_its_cells(
    tmp_path: Path, config: Path, base: str, wheelhouse: Path, build_options: list[str]
) -> None:
    command = [sys.executable, "-m", "reports.gate", "--config", str(config), "--results", str(tmp_path / "results"), "--engine", "docker"]
    command += ["--baseline", "cpu@plant1", "--candidate", "cpu@plant2", "--bisect", "--backend", "eager", "--quick"]
    command += [argument for name in WORKLOADS for argument in ("--only", name)]
    command += [*build_options, "--base", base, "--wheelhouse", str(wheelhouse)]
    done = subprocess.run(command, cwd=SOURCE, text=True, capture_output=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    (run,) = (tmp_path / "results").iterdir()
    report = read(run / "gate.json")
    assert report.decision == Decision.REGRESSED
    found = report.bisection
    assert found is not None
    assert found.entries == tuple(HARM)
    explained = {
        culprit.packages: [(symptom.cell.partition(" ")[0], symptom.metric) for symptom in culprit.explains] for culprit in found.culprits
    }
    assert explained == {("plant-beta",): [("micro/sum_rows", "status")], ("plant-gamma",): [("micro/conv2d_3x3", "status")]}
    assert [image.packages for image in found.images] == [("plant-beta",)]
    trials = {outcome.cell.partition(" ")[0]: outcome.trial for outcome in found.images[0].outcomes}
    assert trials == {"micro/sum_rows": Trial.BAD, "micro/conv2d_3x3": Trial.GOOD}
    # What was in the image in between is as its lock says, by the launches themselves.
    between = read(Path(found.images[0].run) / "gate.json").candidate.packages
    assert [between[package] for package in HARM] == ["2", "1"]
    assert "plant-beta (1 to 2) did it: micro/sum_rows (status)" in done.stdout
    # All of it is there: what is resumed builds and measures nothing.
    again = subprocess.run(
        [sys.executable, "-m", "reports.gate", "--resume", str(run)],
        cwd=SOURCE,
        text=True,
        capture_output=True,
        check=False,
    )
    assert again.returncode == 1, again.stdout + again.stderr
    assert again.stdout.count("is measured already") == 1
    assert "building" not in again.stdout
    assert "launch " not in again.stdout
    assert read(run / "gate.json").bisection == found
