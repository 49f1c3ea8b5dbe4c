"""The diagnosis names what runs will have, and finds what is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from dgp_mining import doctor
from dgp_mining.cli import main
from dgp_mining.doctor import clear_caches, diagnose, tightest
from dgp_mining.machine import Bound, available_memory
from splat2d.backends import cpu
from splat2d.native_library import SUFFIX
from tests.control_group import memory_group, run_in


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache: a kernel, two files of decoded images, and what is none of these."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, size in (("splat2d/a.cubin", 10), ("dgp-mining/images/a.images", 2000)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "dgp-mining/images/b.images").write_bytes(bytes(3000))
    (tmp_path / "dgp-mining/images/lock").touch()
    (tmp_path / "dgp-mining/images/c.images").symlink_to(tmp_path / "photographs")
    return tmp_path


def doctored(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(main, ["doctor", *arguments])
    assert result.exit_code == status, result.output
    return result.stdout


def test_a_sound_installation_is_described_line_by_line() -> None:
    printed = dict(line.split(":", 1) for line in doctored().splitlines())
    assert list(printed) == [
        *("versions", "memory", "cores", "C++ libraries", "GPUs"),
        *(["not installed"] if "not installed" in printed else []),
        *("temporary files", "caches", "shipped"),
    ]
    for name in ("Python 3.", "dgp-mining ", "torch ", "dask ", "zarr "):
        assert name in printed["versions"]
    assert ", limited by " in printed["memory"]
    state = cpu.instruction_set() if cpu.LIBRARY else "not there"
    assert printed["C++ libraries"].strip().startswith(f"rendering {state}")
    assert tempfile.gettempdir() in printed["temporary files"]
    assert "decoded images in" in printed["caches"]
    assert "2 files, 0.0 MB; 'dgp-mine doctor --clear-cache' empties them" in printed["caches"]
    assert "natural-730.npz (0.04 MB)" in printed["shipped"]


def test_json_has_numbers(cache: Path) -> None:
    found = json.loads(doctored("--json"))
    assert found["problems"] == []
    assert 0.5 < found["memory"]["available"] / available_memory() < 2
    assert {bound["name"] for bound in found["memory"]["limits"]} >= {"the machine"}
    assert found["cores"]["available"] >= 1
    assert found["caches"] == [
        {"name": "CUDA kernels", "folder": str(cache / "splat2d"), "files": 1, "nbytes": 10},
        {"name": "decoded images", "folder": str(cache / "dgp-mining/images"), "files": 2, "nbytes": 5000},
    ]
    assert found["shipped"]["models/reference.safetensors"] > 10**6


def test_clearing_removes_the_caches_files_alone(cache: Path) -> None:
    assert clear_caches() == 5010
    left = {path.name for path in cache.rglob("*") if not path.is_dir()}
    assert left == {"lock", "c.images"}
    assert json.loads(doctored("--json", "--clear-cache"))["caches"][1]["files"] == 0


def test_what_limits_memory_and_cores_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor,
        "memory_bounds",
        lambda: [Bound("the machine", 10**11, 10**10), Bound("memory.max", 2 * 10**9, 10**9)],
    )
    monkeypatch.setattr(doctor, "core_bounds", lambda: [Bound("the machine", 64, 64), Bound("cpu.max", 2, 2)])
    assert tightest(diagnose().memory).name == "memory.max"
    printed = doctored()
    assert "1.00 GB can be used, limited by memory.max (2.00 GB)" in printed
    assert "2, limited by cpu.max" in printed


def test_in_a_real_control_group_it_is_the_limit() -> None:
    with memory_group(700 * 2**20) as group:
        code = "from dgp_mining.cli import main; main(['doctor', '--json'])"
        found = run_in(group, [sys.executable, "-c", code])
        memory = json.loads(found.stdout)["memory"]
        assert memory["limited_by"].startswith(str(group))
    assert 0 < memory["available"] < 700 * 2**20


def test_a_library_that_cannot_be_loaded_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package" / "native").mkdir(parents=True)
    (tmp_path / "package" / "native" / f"native{SUFFIX}").write_text("of another system")
    spec = ModuleSpec("sr_model", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "package")]
    monkeypatch.setattr(doctor, "find_spec", lambda name: spec)

    def unloadable() -> str:
        raise OSError("splat2d.so: version `GLIBC_2.99' not found (required by it)")

    monkeypatch.setattr(doctor, "_rendering", unloadable)
    printed = doctored(status=1)
    assert "rendering broken" in printed
    assert "networks broken" in printed
    broken = [line for line in printed.splitlines() if line.startswith("Broken: ")]
    assert len(broken) == 2
    assert "The C++ library of splat2d cannot be loaded (splat2d.so: version `GLIBC_2.99'" in broken[0]
    assert "The C++ library of sr_model cannot be loaded" in broken[1]


def test_without_libraries_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_rendering", "_measuring", "_networks"):
        monkeypatch.setattr(doctor, name, lambda: "")
    printed = doctored()
    for name in ("rendering", "measuring", "networks"):
        assert f"{name} not there, slower: install dgp-mining anew, where there is a C++ compiler" in printed


def test_what_else_is_broken_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    def no_torch() -> Any:
        raise ImportError("libtorch_cpu.so: cannot open shared object file")

    def no_folder() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    def not_shipped(name: str) -> Any:
        raise FileNotFoundError(name)

    def not_private(names: tuple[str, ...]) -> Path:
        raise doctor.NotPrivate(0, "it belongs to another user", "/shared")

    for name, stand_in in (
        ("version", missing),
        ("shipped_file", not_shipped),
        ("cache_path", not_private),
        ("visible_gpus", lambda: ["0"]),
    ):
        monkeypatch.setattr(doctor, name, stand_in)
    monkeypatch.setattr(doctor, "_torch", no_torch)
    monkeypatch.setattr(doctor.tempfile, "gettempdir", no_folder)
    found = diagnose()
    said = " ".join(found.problems)
    for sentence in (
        "The package zarr is not installed",
        "torch cannot be imported (libtorch_cpu.so: cannot open shared object file)",
        "A GPU is visible, but torch cannot use it (libtorch_cpu.so",
        "no place for temporary files (No usable temporary directory found in ['/tmp'])",
        "The cache of CUDA kernels is not used (/shared: it belongs to another user).",
        "priors/natural-730.npz is not part of this installation",
    ):
        assert sentence in said
    assert clear_caches() == 0


def test_without_a_home_the_caches_have_no_folder_and_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    (line,) = [line for line in doctored().splitlines() if line.startswith("caches:")]
    assert "no folder is found for them" in line
    assert "XDG_CACHE_HOME, or HOME, to" in line
    assert doctored("--clear-cache")


def test_gpus_are_named_and_a_torch_without_cuda_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = SimpleNamespace(name="NVIDIA H200", total_memory=150 * 10**9)
    for count, gpus, problems in ((2, ["NVIDIA H200, 150 GB"] * 2, 0), (0, [], 1)):
        cuda = SimpleNamespace(device_count=lambda n=count: n, get_device_properties=lambda index: gpu)
        monkeypatch.setattr(doctor, "visible_gpus", lambda: ["GPU-1"])
        monkeypatch.setattr(doctor, "_torch", lambda c=cuda: SimpleNamespace(cuda=c))
        found = diagnose()
        assert found.gpus == gpus
        assert len(found.problems) == problems


def test_extras_that_are_missing_are_named_with_what_they_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_importable", lambda module: module not in ("pillow_heif", "s3fs"))
    assert diagnose().missing == {"heif": "HEIF", "s3": "stores at s3://"}
    assert "stores at s3:// (pip install 'dgp-mining[s3]')" in doctored()


def test_it_starts_no_cluster_and_imports_no_dask() -> None:
    code = (
        "import sys; from dgp_mining.cli import main\n"
        "try: main(['doctor'])\n"
        "finally: print(sorted({'distributed', 'zarr', 'dask'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stderr.strip() == "[]"


def test_torch_that_does_not_fit_into_memory_is_not_to_be_installed_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unmapped() -> None:
        raise ImportError("libtorch_cpu.so: failed to map segment from shared object")

    monkeypatch.setattr(doctor, "_torch", unmapped)
    (said,) = [problem for problem in diagnose().problems if problem.startswith("torch cannot be imported")]
    assert "the memory does not suffice" in said
    assert "anew" not in said
