"""The CPU library touches no memory that is not its own, and does nothing that C++ leaves undefined."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import splat2d

SOURCES = Path(splat2d.__file__).parent / "src" / "cpu"
DRIVER = Path(__file__).parents[1] / "sanitize_driver.cpp"
SANITIZE = ["-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
# As CMakeLists.txt builds them, but for the level of optimisation.
# Optimising takes longer than it saves; so does finding where variables are, which -g1 leaves out.
FLAGS = ["-std=c++17", "-O0", "-g1", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
X86 = {"isa_avx2": ["-mavx2", "-mfma"], "isa_avx512": ["-mavx512f", "-mavx512dq", "-mavx2", "-mfma"]}


@pytest.mark.slow
def test_sanitisers_find_nothing(tmp_path):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++")
    x86 = platform.machine() in ("x86_64", "AMD64")
    units = {"driver": [], "api": [], "isa_portable": [], **(X86 if x86 else {})}

    def build(unit: str) -> Path:
        source = DRIVER if unit == "driver" else SOURCES / f"{unit}.cpp"
        made = tmp_path / f"{unit}.o"
        define = [f"-I{SOURCES}", *(["-DSPLAT2D_X86"] if x86 else [])]
        command = [compiler, *FLAGS, *SANITIZE, *units[unit], *define, "-c", str(source), "-o", str(made)]
        subprocess.run(command, check=True)
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = [str(made) for made in pool.map(build, units)]
    program = tmp_path / "driver"
    subprocess.run([compiler, *SANITIZE, "-pthread", *objects, "-o", str(program)], check=True)
    result = subprocess.run([program], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")
