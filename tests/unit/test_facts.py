"""Facts about the machine, from made-up /proc and /sys trees."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from harness import facts
from tests.unit.fake_nvml import H100, UUID, install

CPU = "sys/devices/system/cpu"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def test_the_real_machine_has_facts_that_json_holds() -> None:
    found = facts.machine()
    assert json.loads(json.dumps(found)) == found
    assert found == facts.machine()
    assert {"cores", "memory_bytes", "kernel", "architecture", "system", "pressure"} <= found.keys()


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    found = facts.machine(tmp_path)
    assert None not in found.values()
    assert found.keys() <= {"cpu", "cores", "memory_bytes", "kernel", "architecture", "system", "libc", "pressure"}
    assert found["pressure"] is False


@pytest.mark.parametrize("name", ["core_cpus_list", "thread_siblings_list"])
def test_topology(tmp_path: Path, name: str) -> None:
    """Two sockets of two cores of two threads, numbered as Linux does: the second threads after all of the first."""
    files = {f"{CPU}/smt/active": "1", "sys/devices/system/node/node0/x": "", "sys/devices/system/node/node1/x": ""}
    for number in range(8):
        files[f"{CPU}/cpu{number}/topology/{name}"] = f"{number % 4},{number % 4 + 4}"
        files[f"{CPU}/cpu{number}/topology/physical_package_id"] = str(number % 4 // 2)
    found = facts.machine(tree(tmp_path, files))
    assert (found["sockets"], found["physical_cores"], found["threads_per_core"], found["numa_nodes"]) == (2, 4, 2, 2)
    assert found["smt"] is True


@pytest.mark.parametrize(
    ("file", "content", "boost"),
    [("intel_pstate/no_turbo", "1", False), ("intel_pstate/no_turbo", "0", True), ("cpufreq/boost", "0", False)],
)
def test_frequency_settings(tmp_path: Path, file: str, content: str, boost: bool) -> None:
    files = {
        f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave",
        f"{CPU}/cpu0/cpufreq/scaling_min_freq": "800000",
        f"{CPU}/cpu0/cpufreq/scaling_max_freq": "3500000",
        f"{CPU}/smt/active": "0",
        f"{CPU}/{file}": content,
    }
    found = facts.machine(tree(tmp_path, files))
    assert (found["governor"], found["minimum_mhz"], found["maximum_mhz"]) == ("powersave", 800, 3500)
    assert found["boost"] is boost
    assert found["smt"] is False, "off is a fact, not an unknown"


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        ({"cpu.max": "250000 100000", "memory.max": "1073741824"}, 2.5, 1 << 30),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000", "memory/memory.limit_in_bytes": "4096"}, 0.5, 4096),
        (
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000", "memory/memory.limit_in_bytes": "9223372036854771712"},
            None,
            None,
        ),
    ],
)
def test_limits_of_either_version_of_control_groups(tmp_path: Path, files: dict[str, str], cpus: float | None, memory: int | None) -> None:
    found = facts.machine(tree(tmp_path, {f"sys/fs/cgroup/{name}": content for name, content in files.items()}))
    assert (found.get("cgroup_cpus"), found.get("cgroup_memory_bytes")) == (cpus, memory)


def test_settings_of_the_kernel(tmp_path: Path) -> None:
    files = {
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
        "proc/sys/kernel/randomize_va_space": "0",
        "proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0",
    }
    found = facts.machine(tree(tmp_path, files))
    assert (found["transparent_hugepages"], found["aslr"], found["pressure"]) == ("madvise", 0, True)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"sys/hypervisor/type": "xen", "proc/cpuinfo": "flags\t\t: fpu hypervisor vme"}, "xen"),
        ({"proc/cpuinfo": "model name\t: Some CPU\nflags\t\t: fpu hypervisor vme"}, "unnamed"),
        ({"proc/cpuinfo": "model name\t: Some hypervisor CPU\nflags\t\t: fpu vme"}, None),
    ],
)
def test_hypervisor(tmp_path: Path, files: dict[str, str], name: str | None) -> None:
    assert facts.machine(tree(tmp_path, files)).get("hypervisor") == name


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({}, None),
        ({"proc/1/cgroup": "0::/init.scope"}, None),
        ({".dockerenv": ""}, "docker"),
        ({".dockerenv": "", "run/secrets/kubernetes.io/token": ""}, "kubernetes"),
        ({"run/.containerenv": ""}, "podman"),
        ({".singularity.d/x": ""}, "apptainer"),
        ({"proc/1/cgroup": "12:cpu:/kubepods/besteffort/pod1/docker-2"}, "kubernetes"),
        ({"proc/1/cgroup": "12:cpu:/docker/0123"}, "docker"),
        ({"proc/1/cgroup": "0::/", "run/systemd/container": "systemd-nspawn"}, "systemd-nspawn"),
    ],
)
def test_container(tmp_path: Path, files: dict[str, str], name: str | None) -> None:
    assert facts.machine(tree(tmp_path, files)).get("container") == name


def test_model_of_the_processor(tmp_path: Path) -> None:
    assert facts.machine(tree(tmp_path, {"proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC\n"}))["cpu"] == "AMD EPYC"


def test_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, H100)
    assert [gpu["uuid"] for gpu in facts.gpus()] == [UUID]
    assert json.loads(json.dumps(facts.gpus())) == facts.gpus()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert facts.gpus() == []
