"""Memory and cores are those of the container or batch job, whichever limit is the tightest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from dgp_mining import machine
from dgp_mining.machine import available_cores, available_memory, core_bounds, memory_bounds
from tests.control_group import memory_group, run_in

MB = 1_000_000
V2 = "30 23 0:26 {0} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "35 31 0:32 {0} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "32 31 0:29 {0} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
)


@pytest.fixture(autouse=True)
def machine_of_64_cores_and_100_gb(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(total=128_000 * MB, available=100_000 * MB)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: set(range(48)), raising=False)
    monkeypatch.setattr(machine, "resource", None)


def system(root: Path, memberships: str, mounts: str, files: dict[str, str]) -> Path:
    """A tree with what Linux shows in /proc and /sys of a process in these control groups."""
    texts = {"proc/self/cgroup": memberships, "proc/self/mountinfo": mounts}
    for name, text in {**texts, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_control_groups_the_machine_and_the_affinity_count(tmp_path: Path) -> None:
    assert available_memory(tmp_path) == 100_000 * MB
    assert available_cores(tmp_path) == 48


def test_a_container_of_version_2_sees_its_own_group_at_the_root(tmp_path: Path) -> None:
    files = {
        "memory.max": f"{512 * MB}\n",
        "memory.high": "max\n",
        "memory.current": f"{300 * MB}\n",
        "memory.stat": f"anon 1\ninactive_file {100 * MB}\nactive_file {40 * MB}\n",
        "cpu.max": "150000 100000\n",
    }
    root = system(tmp_path, "0::/\n", V2.format("/"), files)
    assert available_memory(root) == (512 - 300 + 100 + 20) * MB
    assert available_cores(root) == 2
    tightest = min(memory_bounds(root), key=lambda bound: bound.free)
    assert (tightest.name, tightest.total) == (f"{root}/sys/fs/cgroup/memory.max", 512 * MB)
    assert core_bounds(root)[-1].name == f"{root}/sys/fs/cgroup/cpu.max"


def test_the_tightest_of_nested_groups_counts_in_version_2(tmp_path: Path) -> None:
    files = {
        "system.slice/memory.max": "max\n",
        "system.slice/cpu.max": "max 100000\n",
        "system.slice/job_7/memory.max": f"{4000 * MB}\n",
        "system.slice/job_7/memory.high": f"{3000 * MB}\n",
        "system.slice/job_7/memory.current": f"{2900 * MB}\n",
        "system.slice/job_7/cpu.max": "400000 100000\n",
        "system.slice/job_7/step_0/user/memory.max": f"{2000 * MB}\n",
        "system.slice/job_7/step_0/user/memory.current": f"{500 * MB}\n",
        "system.slice/job_7/step_0/user/cpu.max": "800000 100000\n",
    }
    root = system(tmp_path, "0::/system.slice/job_7/step_0/user\n", V2.format("/"), files)
    assert available_memory(root) == 100 * MB  # a neighbour's step uses the job's memory
    assert available_cores(root) == 4


def test_groups_of_version_1_with_the_path_of_the_host_are_found_in_a_container(tmp_path: Path) -> None:
    """Docker mounts a container's group where the root is expected, but tells its path on the host."""
    files = {
        "memory/memory.limit_in_bytes": f"{1000 * MB}\n",
        "memory/memory.usage_in_bytes": f"{800 * MB}\n",
        "memory/memory.stat": f"inactive_file 5\ntotal_inactive_file {300 * MB}\ntotal_active_file 0\n",
        "cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    memberships = "12:memory:/docker/ab12\n3:cpu,cpuacct:/docker/ab12\n1:name=systemd:/docker/ab12\n"
    root = system(tmp_path, memberships, V1.format("/docker/ab12"), files)
    assert available_memory(root) == 500 * MB
    assert available_cores(root) == 3


def test_slurm_jobs_of_version_1_are_limited_at_any_level(tmp_path: Path) -> None:
    job = "slurm/uid_1000/job_7"
    files = {
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.usage_in_bytes": f"{90_000 * MB}\n",
        f"memory/{job}/memory.limit_in_bytes": f"{2000 * MB}\n",
        f"memory/{job}/memory.usage_in_bytes": f"{400 * MB}\n",
        f"memory/{job}/step_0/memory.limit_in_bytes": "9223372036854771712\n",
        f"cpu,cpuacct/{job}/cpu.cfs_quota_us": "-1\n",
        f"cpu,cpuacct/{job}/cpu.cfs_period_us": "100000\n",
    }
    root = system(tmp_path, f"12:memory:/{job}/step_0\n3:cpu,cpuacct:/{job}/step_0\n", V1.format("/"), files)
    assert available_memory(root) == 1600 * MB
    assert available_cores(root) == 48


def test_a_hybrid_system_has_each_controller_in_one_of_the_versions(tmp_path: Path) -> None:
    mounts = V1.format("/") + V2.format("/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    files = {
        "memory/job/memory.limit_in_bytes": f"{700 * MB}\n",
        "unified/job/cpu.max": "100000 100000\n",
        "unified/job/memory.pressure": "some avg10=0.00\n",
    }
    root = system(tmp_path, "4:memory:/job\n0::/job\n", mounts, files)
    assert available_memory(root) == 700 * MB
    assert available_cores(root) == 1


@pytest.mark.parametrize(
    ("memberships", "mounts", "text"),
    [
        ("", "", "5"),
        ("0::/\n", "", "5"),
        ("0\n::\n0:\nx:memory\n\0\xff", "31 - cgroup2\n - \n", "5"),
        ("0::/gone (deleted)\n", V2.format("/"), "max"),
        ("0::/\n", V2.format("/"), "lots"),
        ("0::/\n", V2.format("/"), ""),
        ("0::/\n", V2.format("/"), "-1"),
        ("0::/\n", V2.format("/"), "9" * 30),
    ],
)
def test_files_that_are_missing_or_nonsense_limit_nothing(
    memberships: str, mounts: str, text: str, tmp_path: Path
) -> None:
    names = ("memory.max", "memory.high", "memory.current", "memory.stat", "cpu.max", "cpu.cfs_quota_us")
    root = system(tmp_path, memberships, mounts, dict.fromkeys(names, text))
    assert available_memory(root) == 100_000 * MB
    assert available_cores(root) == 48


def test_what_uses_more_than_its_limit_has_nothing_left_and_half_a_core_is_one(tmp_path: Path) -> None:
    files = {"memory.max": f"{MB}\n", "memory.current": f"{2 * MB}\n", "cpu.max": "50000 100000\n"}
    root = system(tmp_path, "0::/\n", V2.format("/"), files)
    assert available_memory(root) == 0
    assert available_cores(root) == 1


def test_a_limit_above_that_of_the_machine_gives_nothing(tmp_path: Path) -> None:
    files = {"memory.max": f"{200_000 * MB}\n", "memory.current": "0\n", "cpu.max": "9900000 100000\n"}
    root = system(tmp_path, "0::/\n", V2.format("/"), files)
    assert available_memory(root) == 100_000 * MB
    assert available_cores(root) == 48


def test_groups_whose_path_leads_out_of_the_mounted_one_are_the_mounted_one(tmp_path: Path) -> None:
    for path in ("/../other", "/elsewhere"):
        folder = tmp_path / path.strip("/.")
        root = system(folder, f"0::{path}\n", V2.format("/kubepods/pod1"), {"memory.max": f"{7 * MB}\n"})
        assert available_memory(root) == 7 * MB


def test_a_mount_with_a_space_in_its_path_is_found(tmp_path: Path) -> None:
    mounts = V2.format("/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/control\\040groups")
    root = system(tmp_path, "0::/a\n", mounts, {"control groups/a/memory.max": f"{7 * MB}\n"})
    assert available_memory(root) == 7 * MB


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
@pytest.mark.parametrize(("name", "option"), [("RLIMIT_AS", "ulimit -v"), ("RLIMIT_DATA", "ulimit -d")])
def test_limits_of_the_process_count_what_it_has_already(name: str, option: str) -> None:
    code = (
        f"import resource; resource.setrlimit(resource.{name}, (4 * 10**9, -1)); "
        "from dgp_mining import machine; a = machine.available_memory(); held = b'x' * 10**9; "
        "print(machine.memory_bounds()[-1].name, a, a - machine.available_memory())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    said, left, fell = printed.rsplit(maxsplit=2)
    assert said == option
    assert 10**9 < int(left) < 4 * 10**9
    assert 0.99e9 < int(fell) < 1.05e9


def test_in_a_real_control_group_its_limit_counts() -> None:
    code = (
        "from dgp_mining import machine; a = machine.available_memory(); held = b'x' * 10**8; "
        "print(a, a - machine.available_memory())"
    )
    with memory_group(400 * 2**20) as group:
        found = run_in(group, [sys.executable, "-c", code])
    assert not found.stderr
    left, fell = (int(number) for number in found.stdout.split())
    assert 200 * 2**20 < left < 400 * 2**20
    assert 0.95e8 < fell < 1.1e8


def test_the_real_machine_has_no_more_than_psutil_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 0 < available_memory() <= psutil.virtual_memory().total
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_nothing_else_asks_the_machine_for_its_memory_or_cores() -> None:
    """What it has is more than a container or a batch job may use."""
    asks = re.compile(r"\b(cpu_count|virtual_memory|sched_getaffinity|sysconf)\b|ThreadPoolExecutor\(\)")
    sources = Path(machine.__file__).parents[1]
    packages = (sources / "dgp_mining", sources / "sr_model", sources / "cuda" / "splat2d")
    asking = {
        path.relative_to(sources).as_posix()
        for package in packages
        for path in package.rglob("*.py")
        if asks.search(path.read_text())
    }
    assert asking == {"dgp_mining/machine.py"}
