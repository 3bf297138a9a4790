"""An image of two megabytes whose ``python3`` says what it finds in its container: what mounts, limits and devices come to, without torch."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import docker
import pytest

REPOSITORY = "localhost/benchmatrix-probe"
QUICK, SLOW = f"{REPOSITORY}:quick", f"{REPOSITORY}:slow"
"""SLOW stays for a minute."""
LIBRARY_PATH = "/image/lib"
"""Its own LD_LIBRARY_PATH."""


def archive(folder: Path) -> bytes:
    """The image's files."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ on the PATH to make the probe's image with")
    program = folder / "python3"
    subprocess.run([compiler, "-static", "-O1", "-o", str(program), str(Path(__file__).with_name("python3.cpp"))], check=True)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(program, "usr/bin/python3")
    return content.getvalue()


def import_images(client: docker.DockerClient, content: bytes) -> None:
    for reference, seconds in ((QUICK, 0), (SLOW, 60)):
        repository, _, tag = reference.rpartition(":")
        changes = [f"ENV LD_LIBRARY_PATH={LIBRARY_PATH}", f"ENV PROBE_SECONDS={seconds}"]
        answer = json.loads(client.api.import_image_from_data(content, changes=changes))
        # Podman passes over the name that an import is given.
        client.images.get(answer["status"]).tag(repository, tag)
