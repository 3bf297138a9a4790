"""The Docker engine, for real: containers that are confined, cells that go wrong, errors that name the next command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import docker
import pandas as pd
import pytest

from harness.records import ANCESTOR_COLUMNS
from tests.conftest import SOURCE
from tests.integration.command import EAGER, FULL, bench, only_run, own, rows, statuses

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("image", "no_containers_left")]
DOCKER = ("--engine", "docker")


@pytest.fixture
def options(build_options: list[str]) -> list[str]:
    return [*DOCKER, *build_options]


def test_a_matrix_is_measured_in_a_container(tmp_path: Path, options: list[str]) -> None:
    done = bench(*options, FULL, "-k", "softmax|sum_all", "--backend", "eager", "--backend", "inductor", results=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    run = only_run(tmp_path)
    table = rows(run)
    assert set(table["status"]) == {"pass"}
    assert len(table) == 4
    assert tuple(table.columns[: len(ANCESTOR_COLUMNS)]) == ANCESTOR_COLUMNS
    compiled = table[table["backend"] == "inductor"]
    assert (compiled["unique_graphs"] >= 1).all()
    assert (compiled["compilation_latency"] > 0).all()
    assert (compiled["cache_hits"] == 0).all()
    assert (compiled["warm_cache_hits"] >= 1).all()
    assert table[["backend_device_seconds", "eager_graph_seconds", "transfer_seconds"]].isna().all(axis=None), "not measured: empty"
    assert (table["compression_ratio"] > 0).all()
    assert ((table["speedup_low"] <= table["speedup"]) & (table["speedup"] <= table["speedup_high"])).all()
    samples = pd.read_csv(run / "samples.csv", keep_default_na=False)
    for cell, found in samples.groupby("cell"):
        assert found["started_seconds"].is_monotonic_increasing
        clean = found[found["mark"] == ""] if (found["mark"] == "").sum() >= 2 * 30 else found
        medians = clean.groupby("variant")["seconds"].median()
        assert medians["eager"] == pytest.approx(float(table["eager_latency_seconds"][str(cell)]))
        assert medians["backend"] == pytest.approx(float(table["backend_latency_seconds"][str(cell)]))
    manifest = json.loads((run / "manifest.json").read_text())
    (begun,) = manifest["starts"]
    assert begun["allocator"]["pinned"]
    assert begun["machine"]["container"] == "docker"
    assert set(begun["ceilings"]) == {"cpu"} or begun["without_ceilings"] == ["cpu"]
    assert (run / compiled["artifacts"].iloc[0] / "compile.json").exists()
    assert (run / "report.html").exists()
    assert "engine: docker" in done.stdout
    assert f"page: {run}/report.html" in done.stdout
    for log in table["log"]:
        assert (run / log).exists()


def test_every_way_to_go_wrong_has_its_status_between_healthy_cells(tmp_path: Path, options: list[str]) -> None:
    expected = {
        "Healthy eager": "pass",
        "Healthy inductor": "pass",
        "Segfault inductor": "crash:SIGSEGV",
        "Exit inductor": "crash:exit3",
        "ExitQuietly inductor": "crash:exit0",
        "Endless eager": "timeout",
        "Raises inductor": "eager_fail_to_run",
        "RaisesWhenCompiled inductor": "fail_to_run",
        "WrongWhenCompiled inductor": "fail_accuracy",
        "Hog inductor": "OOM",
        "TwoRunsDiffer inductor": "eager_two_runs_differ",
        "NotCompiled inductor": "fail_to_run",
        "NoInputs inductor": "model_fail_to_load",
        "Talks inductor": "eager_fail_to_run",
        "ChangesItsInputWhenCompiled inductor": "fail_accuracy",
        "NotANumberInEager inductor": "fail_accuracy",
        "NothingToCompare inductor": "unsupported",
        "Leaves inductor": "eager_fail_to_run",
        "ScribblesInTheJournal eager": "pass",
    }
    classes = dict.fromkeys(name.split()[0] for name in expected)
    keep = ("-k", "|".join(f":{name} cpu" for name in expected), "--only", "micro/sum_all", "-k", "sum_all eager")
    limits = ("--memory", "2g", "--timeout", "40")
    done = bench(*options, *own(*classes), "--backend", "eager", "--backend", "inductor", *keep, *limits, results=tmp_path)
    run = only_run(tmp_path)
    assert statuses(run) == expected | {"sum_all eager": "pass"}, done.stdout + done.stderr
    assert done.returncode == 0, "rows that say what is wrong are what was asked for"
    table = rows(run).set_index("name")
    reasons = {str(name).rpartition(":")[2]: str(reason) for name, reason in table["reason"].items()}
    assert "SIGSEGV during 'eager'" in reasons["Segfault"]
    assert "exit code 3" in reasons["Exit"]
    assert "planted in forward" in reasons["Raises"]
    assert "40 s" in reasons["Endless"]
    assert "memory" in reasons["Hog"]
    assert "no graph" in reasons["NotCompiled"]
    assert "get_example_inputs" in reasons["NoInputs"]
    assert table["speedup"].notna().sum() == 4
    assert "inputs" in reasons["ChangesItsInputWhenCompiled"]
    assert "SystemExit" in reasons["Leaves"]


def test_backends_of_torch_by_name(tmp_path: Path, options: list[str]) -> None:
    expected = {
        "dynamo:relu_compile_error_TESTING_ONLY": "fail_to_run",
        "dynamo:relu_runtime_error_TESTING_ONLY": "fail_to_run",
        "dynamo:relu_accuracy_error_TESTING_ONLY": "fail_accuracy",
        "dynamo:no_such_backend": "unsupported",
        "dynamo:aot_eager": "pass",
    }
    bench(*options, *own("Healthy"), *(option for name in expected for option in ("--backend", name)), results=tmp_path)
    table = rows(only_run(tmp_path)).set_index("backend")
    assert dict(table["status"]) == expected
    assert "it lists" in table["reason"]["dynamo:no_such_backend"]


def test_a_workload_reaches_nothing_but_its_scratch_space(tmp_path: Path, options: list[str]) -> None:
    done = bench(*options, *own("Confined"), *EAGER, results=tmp_path)
    assert list(rows(only_run(tmp_path))["status"]) == ["pass"], done.stdout


def test_any_image_is_measured_without_a_build_beside_another(tmp_path: Path, options: list[str], image: str) -> None:
    done = bench(*options, "--image", "cpu", "--image", f"docker://{image}", "-k", "sum_all eager", results=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = rows(only_run(tmp_path))
    assert sorted(table["image"]) == ["cpu", f"docker://{image}"]
    assert sorted(table["launch"]) == [0, 1]


def test_an_image_without_torch_says_so_in_every_row(tmp_path: Path, options: list[str], engine: docker.DockerClient, image: str) -> None:
    base = engine.images.get(image).labels["org.opencontainers.image.base.name"]
    bench(*options, "--image", f"docker://{base}", "-k", "sum_all", results=tmp_path)
    table = rows(only_run(tmp_path))
    assert set(table["status"]) == {"unsupported"}
    assert table["reason"].str.contains("No module named 'torch'").all()


def test_an_image_without_python_costs_its_rows_and_not_the_command(
    tmp_path: Path, options: list[str], engine: docker.DockerClient
) -> None:
    empty = tmp_path / "empty.tar"
    subprocess.run(["tar", "-cf", str(empty), "-T", "/dev/null"], check=True)
    reference = "benchmatrix-test-empty:latest"
    engine.api.import_image_from_file(str(empty), repository=reference.partition(":")[0], tag="latest")
    try:
        done = bench(*options, "--image", f"docker://{reference}", "-k", "sum_all", results=tmp_path / "results")
    finally:
        engine.images.remove(reference, force=True)
    table = rows(only_run(tmp_path / "results"))
    assert set(table["status"]) == {"unsupported"}
    assert table["reason"].str.contains("python3").all()
    assert done.returncode == 0


def test_building_again_finds_the_image(build_options: list[str], engine: docker.DockerClient, image: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "matrix", "image", "cpu", *build_options], cwd=SOURCE, text=True, capture_output=True, check=True
    )
    assert f"{image} is there" in done.stdout
    labels = engine.images.get(image).labels
    assert labels["org.opencontainers.image.title"] == "benchmatrix cpu"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--image", "docker://registry.invalid/nothing:1"], 14, ["cannot be pulled", "docker pull registry.invalid/nothing:1"]),
        (["--image", "docker://Not A Reference"], 14, ["Not A Reference"]),
        (["--image", "docker://"], 2, ["names no image"]),
        (["--timeout", "inf"], 2, ["more than a week"]),
        (["--only", "path:/tmp/a\nb.py:Net"], 2, ["printable"]),
        (["--base", "registry.invalid/base:1"], 14, ["registry.invalid/base:1", "--base", "--engine local"]),
        (["--image", "cpo"], 2, ["did you mean 'cpu'"]),
        (["--wheelhouse", "/no/such/folder"], 2, ["--wheelhouse /no/such/folder"]),
        (["--only", "path:/no/such/file.py:Net"], 2, ["there is no file /no/such/file.py"]),
        (["--resume", "no-such-run"], 18, ["there is no run no-such-run"]),
    ],
)
def test_what_cannot_be_done_names_the_next_command(tmp_path: Path, arguments: list[str], code: int, words: list[str]) -> None:
    done = bench(*DOCKER, *arguments, results=tmp_path)
    assert done.returncode == code, done.stderr
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_build_that_fails_shows_its_end_and_offers_the_local_engine(tmp_path: Path, image: str) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "nothing-1-py3-none-any.whl").write_text("")
    # Another base reference is another tag: nothing that is there already is found.
    done = bench(*DOCKER, "--base", image, "--build-network", "host", "--wheelhouse", str(wheels), results=tmp_path / "results")
    assert done.returncode == 13, done.stderr
    assert "No matching distribution" in done.stderr
    assert "--engine local" in done.stderr


def test_a_missing_engine_is_an_error_where_docker_was_asked_for(tmp_path: Path) -> None:
    done = bench(*DOCKER, results=tmp_path, variables={"DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"})
    assert done.returncode == 10
    assert "systemctl start docker" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="takes root to become a user who may not use the socket")
def test_a_socket_without_permission_is_an_error_of_its_own() -> None:
    code = "import os; from matrix.engines import docker; os.setgroups([]); os.setgid(65534); os.setuid(65534); docker.connect()"
    done = subprocess.run([sys.executable, "-c", code], cwd=SOURCE, text=True, capture_output=True, check=False)
    assert "EngineForbidden" in done.stderr
    assert "usermod -aG docker" in done.stderr


READS = """
from pathlib import Path
import torch

class Net(torch.nn.Module):
    def forward(self, x):
        return x * self.factor

    def __init__(self):
        super().__init__()
        self.factor = float(Path("/data/factor").read_text())
        try:
            Path("/data/factor").write_text("0")
        except OSError:
            return
        raise AssertionError("the mount can be written to")

    def get_example_inputs(self):
        return (torch.ones(8),)
"""


def test_mounts_of_the_configuration_are_there_and_read_only(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "factor").write_text("3")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "reads.py").write_text(READS)
    config = tmp_path / "matrix.toml"
    written = (SOURCE / "matrix.toml").read_text() + f'\n[images.cpu.container.mounts]\n"{tmp_path / "data"}" = "/data"\n'
    config.write_text(written)
    cell = ["--only", f"path:{tmp_path / 'own' / 'reads.py'}:Net", *EAGER]
    done = bench(*options, *cell, results=tmp_path / "results", config=config)
    assert statuses(only_run(tmp_path / "results")) == {"Net eager": "pass"}, done.stdout + done.stderr
    config.write_text(written.replace(str(tmp_path / "data"), "/nothing/here"))
    done = bench(*options, *cell, results=tmp_path / "none", config=config)
    assert done.returncode == 2
    assert "images.cpu.container.mounts: there is no /nothing/here on this host" in done.stderr


def test_what_an_image_costs_are_cells(tmp_path: Path, options: list[str]) -> None:
    done = bench(*options, "-k", "^image/", results=tmp_path)
    table = rows(only_run(tmp_path))
    assert set(table["status"]) == {"pass"}, done.stdout + done.stderr
    assert set(table["name"]) == {"image/start", "image/import", "image/first_result", "image/size"}
    taken = table.set_index("name")["backend_latency_seconds"]
    # A container takes longer to start than a process, and a first result longer than the imports that it needs.
    assert taken["image/start"] > 0.05
    assert taken["image/first_result"] > 0.1
    size = table.set_index("name").loc["image/size"]
    assert 100e6 < size["image_compressed_bytes"] < size["image_bytes"]
    assert "compressed" in done.stdout
