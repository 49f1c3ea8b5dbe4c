"""The wheel is complete, installs anywhere, and works without a compiler, only slower."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import torch, splat2d, dgp_mining.prior.dictionary, sr_model
from dgp_mining import fit_image
fit = fit_image(torch.rand(16, 16, 3), iterations=2)
print(splat2d.__file__)
print(splat2d.backend(), fit.field.render((8, 8)).shape[-1])
"""
HAS_NATIVE = "from sr_model.native import library; print(library.LIBRARY is not None)"


def run(*command: object, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | environment
    done = subprocess.run([str(word) for word in command], env=clean, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(folder: Path, **environment: str) -> tuple[Path, Path]:
    """Build a wheel and install it into a new environment that otherwise has only our dependencies."""
    build = f"--config-settings=build-dir={folder / 'build'}"  # not the checkout's own
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", build, "-w", folder, ROOT, **environment)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", wheel)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    # A path line makes our dependencies importable, but not our own editable installation.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python, wheel


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment_from_another_folder(tmp_path):
    python, wheel = install(tmp_path)
    assert wheel.name.startswith("dgp_mining-")
    assert "-py3-none-" in wheel.name, "one wheel serves every Python and torch"
    names = zipfile.ZipFile(wheel).namelist()
    assert "dgp_mining/data/samples/heldout/chelsea.png" in names
    assert "splat2d/src/cuda/kernels.cu" in names, "CUDA kernels are compiled from their text at run time"
    assert not [name for name in names if name.startswith(("tests/", "workflows/", "build/"))]
    where, used = run(python, "-c", PROGRAM).splitlines()
    assert Path(where).is_relative_to(tmp_path)
    assert used == "cpu 8"
    assert run(python, "-c", HAS_NATIVE) == "True\n"
    for package in ("splat2d", "dgp_mining", "sr_model"):
        assert f"{package}/py.typed" in names, "type checkers see the annotations"
    version = wheel.name.split("-")[1]
    for command in ("dgp-mine", "sr-train", "sr-upscale", "sr-eval", "sr-convert"):
        assert "Usage" in run(python.parent / command, "-h")
        assert version in run(python.parent / command, "--version")


@pytest.mark.slow
def test_without_a_compiler_it_installs_all_the_same_and_says_that_it_is_slower(tmp_path):
    python, wheel = install(tmp_path, CXX="/no/such/compiler")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    assert run(python, "-W", "ignore", "-c", PROGRAM).splitlines()[1] == "torch 8"
    assert run(python, "-c", HAS_NATIVE) == "False\n"


def test_importing_the_parts_that_the_trainer_uses_imports_no_dask():
    program = (
        "import sys, dgp_mining.prior.dictionary, dgp_mining.images.reader, sr_model.training.train;"
        "print('dask' in sys.modules)"
    )
    assert run(sys.executable, "-c", program) == "False\n"
