"""What containers and processes of a launch are started with: hardened, labelled, and alike."""

from __future__ import annotations

import os
from pathlib import Path

import docker.errors
import pytest

from harness.cell import Cell, LaunchSpec
from matrix.config import Container
from matrix.engines.docker import RUN_LABEL, container_options, inside, user_mounts
from matrix.engines.docker import _unreachable as unreachable
from matrix.engines.engine import PINNED_VARIABLES, Environment, LaunchRequest, launch_variables
from matrix.engines.podman import specification
from matrix.errors import EngineForbidden, EngineMissing
from matrix.gpus import NONE, Passthrough
from matrix.plan import PlannedImage

RUN = Path("/results/run one")


def request(
    container: Container | None = None, *cells: Cell, passthrough: Passthrough = NONE, library_path: str = "", python_path: str = ""
) -> LaunchRequest:
    image = PlannedImage(name="cpu")
    return LaunchRequest(
        environment=Environment(
            image=image,
            reference="sha256:abc",
            digest="sha256:abc",
            passthrough=passthrough,
            library_path=library_path,
            python_path=python_path,
        ),
        spec=LaunchSpec(run="run one", launch=3, attempt=1, image="cpu", cells=cells, seed=1, timeout_seconds=1),
        directory=RUN / "incoming" / "003-1",
        log=RUN / "logs" / "003-1" / "launch.log",
        run_directory=RUN,
        container=container or Container(),
        deadline_seconds=10,
    )


def test_a_container_is_hardened() -> None:
    options = container_options(request(), Path("/source"))
    assert options["read_only"] is True
    assert options["network_mode"] == "none"
    assert options["cap_drop"] == ["ALL"]
    assert options["security_opt"] == ["no-new-privileges"]
    assert options["ipc_mode"] == "private"
    assert options["user"] == f"{os.getuid()}:{os.getgid()}"
    assert options["pids_limit"] == 4096


def test_results_are_the_only_writable_mount_and_the_harness_is_read_only() -> None:
    own = Cell(workload="path/m:Net", backend="eager", path="/home/me/model/m.py")
    mounts = container_options(request(None, own, own), Path("/source"))["mounts"]
    assert [(mount["Source"], mount["Target"], mount["ReadOnly"]) for mount in mounts] == [
        ("/source/harness", "/benchmatrix/harness", True),
        ("/results/run one/incoming/003-1", "/out", False),
        ("/home/me/model", "/benchmatrix/user/0", True),
    ]


def test_mounts_of_the_configuration_are_read_only() -> None:
    mounts = container_options(request(Container(mounts={"/data": "/data/models"})), Path("/source"))["mounts"]
    assert [(mount["Source"], mount["Target"], mount["ReadOnly"]) for mount in mounts][2:] == [("/data", "/data/models", True)]


def test_users_modules_are_where_they_are_mounted_and_a_home_is_not_mounted_whole() -> None:
    paths = ["/data/nets/a.py", "/data/nets/b.py", str(Path.home() / "c.py"), "/tmp/d.py"]
    asked = request(None, *(Cell(workload=f"path/{Path(path).stem}:Net", backend="eager", path=path) for path in paths))
    assert [cell.path for cell in inside(asked).cells] == [
        "/benchmatrix/user/0/a.py",
        "/benchmatrix/user/0/b.py",
        "/benchmatrix/user/1/c.py",
        "/benchmatrix/user/2/d.py",
    ]
    assert [str(source) for source, _ in user_mounts(asked)] == ["/data/nets", *paths[2:]]
    assert [cell.id for cell in inside(asked).cells] == [cell.id for cell in asked.spec.cells]


def test_settings_of_the_image_reach_the_container() -> None:
    container = Container(
        memory="2g", shm_size="512m", cpus="0-1", network="host", ulimits={"nofile": 1024}, environment={"OMP_NUM_THREADS": "2"}
    )
    options = container_options(request(container), Path("/source"))
    assert (options["mem_limit"], options["memswap_limit"], options["shm_size"], options["cpuset_cpus"]) == ("2g", "2g", "512m", "0-1")
    assert options["network_mode"] == "host"
    assert options["ulimits"] == [{"Name": "nofile", "Soft": 1024, "Hard": 1024}]
    assert options["environment"]["OMP_NUM_THREADS"] == "2"


def test_without_a_gpu_nothing_of_one_reaches_the_container() -> None:
    options = container_options(request(), Path("/source"))
    assert not options.keys() & {"device_requests", "devices", "runtime"}
    assert "LD_LIBRARY_PATH" not in options["environment"]


@pytest.mark.parametrize(
    ("passthrough", "expected"),
    [
        (Passthrough(kind="nvidia", why=""), {"Driver": "nvidia", "Count": -1, "DeviceIDs": []}),
        (Passthrough(kind="nvidia", why="", ids=("GPU-1",)), {"Driver": "nvidia", "Count": 0, "DeviceIDs": ["GPU-1"]}),
        (Passthrough(kind="cdi", why="", cdi=("nvidia.com/gpu=all",)), {"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=all"]}),
    ],
)
def test_a_gpu_is_asked_for_by_a_device_request(passthrough: Passthrough, expected: dict[str, object]) -> None:
    (asked,) = container_options(request(passthrough=passthrough), Path("/source"))["device_requests"]
    assert expected.items() <= asked.items()


def test_device_nodes_come_with_the_drivers_libraries_behind_the_images_own() -> None:
    passthrough = Passthrough(
        kind="devices",
        why="",
        nodes=("/dev/nvidia0", "/dev/nvidiactl"),
        mounts=(("/lib/libcuda.so.580", "/benchmatrix/driver/libcuda.so.1"),),
        library_folders=("/benchmatrix/driver",),
    )
    options = container_options(request(passthrough=passthrough, library_path="/opt/lib:"), Path("/source"))
    assert options["devices"] == ["/dev/nvidia0:/dev/nvidia0:rw", "/dev/nvidiactl:/dev/nvidiactl:rw"]
    mount = options["mounts"][-1]
    assert (mount["Source"], mount["Target"], mount["ReadOnly"]) == ("/lib/libcuda.so.580", "/benchmatrix/driver/libcuda.so.1", True)
    assert options["environment"]["LD_LIBRARY_PATH"] == "/opt/lib:/benchmatrix/driver"
    chosen = Container(environment={"LD_LIBRARY_PATH": "/mine"})
    options = container_options(request(chosen, passthrough=passthrough, library_path="/opt/lib"), Path("/source"))
    assert options["environment"]["LD_LIBRARY_PATH"] == "/mine:/benchmatrix/driver"


def test_in_a_rootless_engine_this_user_is_root() -> None:
    assert container_options(request(), Path("/source"), rootless=True)["user"] == "0:0"


def test_podmans_own_words_say_the_same() -> None:
    own = Cell(workload="path/m:Net", backend="eager", path="/home/me/model/m.py")
    asked = request(
        Container(memory="2g", shm_size="512m", cpus="0-1", ulimits={"nofile": 1024}),
        own,
        passthrough=Passthrough(kind="cdi", why="", cdi=("nvidia.com/gpu=0", "vendor.com/class=name")),
    )
    options = container_options(asked, Path("/source"))
    found = specification(options)
    assert found["devices"] == [{"path": "nvidia.com/gpu=0"}, {"path": "vendor.com/class=name"}]
    assert (found["read_only_filesystem"], found["no_new_privileges"], found["cap_drop"]) == (True, True, ["ALL"])
    assert (found["netns"], found["ipcns"], found["user"]) == ({"nsmode": "none"}, {"nsmode": "private"}, options["user"])
    assert found["resource_limits"] == {"pids": {"limit": 4096}, "memory": {"limit": 2 << 30, "swap": 2 << 30}, "cpu": {"cpus": "0-1"}}
    assert found["shm_size"] == 512 << 20
    assert {"type": "nofile", "soft": 1024, "hard": 1024} in found["r_limits"]
    assert {limit["type"] for limit in found["r_limits"]} == {"nofile", "nproc"}, "without a word it asks for more than a host may allow"
    assert [(mount["destination"], mount["options"][-1]) for mount in found["mounts"][:3]] == [
        ("/benchmatrix/harness", "ro"),
        ("/out", "rw"),
        ("/benchmatrix/user/0", "ro"),
    ]
    assert found["mounts"][3]["destination"] == "/tmp"
    assert "mode=1777" in found["mounts"][3]["options"]
    assert (found["env"], found["labels"]) == (options["environment"], options["labels"])


def test_it_is_labelled_with_its_run_and_named_uniquely() -> None:
    first, second = (container_options(request(), Path("/source")) for _ in range(2))
    assert first["labels"][RUN_LABEL] == str(RUN)
    assert first["name"] != second["name"]
    assert " " not in first["name"]


def test_variables_are_pinned_and_belong_to_the_launch() -> None:
    variables = launch_variables(RUN, RUN / "incoming" / "000-0", Container(), "/scratch")
    assert PINNED_VARIABLES.items() <= variables.items()
    assert variables["TORCHINDUCTOR_CACHE_DIR"] == "/scratch/inductor"
    assert variables["BENCHMATRIX_RUN"] == str(RUN)


@pytest.mark.parametrize(
    ("text", "kind", "command"),
    [
        ("Error while fetching server API version: ('Connection aborted.', FileNotFoundError(2))", EngineMissing, "systemctl start docker"),
        ("('Connection aborted.', ConnectionRefusedError(111, 'Connection refused'))", EngineMissing, "--engine local"),
        ("('Connection aborted.', PermissionError(13, 'Permission denied'))", EngineForbidden, "usermod -aG docker"),
    ],
)
def test_an_engine_that_cannot_be_used_is_an_error_with_the_next_command(text: str, kind: type[Exception], command: str) -> None:
    found = unreachable(docker.errors.DockerException(text))
    assert type(found) is kind
    assert command in str(found)


def test_modules_are_imported_from_the_harness_first_and_then_as_configured_or_as_the_image_has_it() -> None:
    def path(container: Container | None = None, python_path: str = "") -> str:
        found: str = container_options(request(container, python_path=python_path), Path("/source"))["environment"]["PYTHONPATH"]
        return found

    assert path() == "/benchmatrix"
    assert path(python_path="/opt/vendor:") == "/benchmatrix:/opt/vendor"
    assert path(Container(environment={"PYTHONPATH": "/code"}), python_path="/opt/vendor") == "/benchmatrix:/code"
