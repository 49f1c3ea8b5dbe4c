"""Training promises not to have its memory cleared anew in every step."""

import platform
import subprocess
import sys
from importlib.resources import files

import pytest

STEPS = """
import resource, runpy, sys
import numpy as np

def step():
    return [np.ones(1 << 20) for _ in range(8)]  # 64 MB

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if len(sys.argv) > 1:
    runpy.run_path(sys.argv[1])["keep_freed_memory"]()  # without torch, which takes seconds to import
for _ in range(3):
    step()
before = faults()
for _ in range(5):
    step()
print((faults() - before) // 5)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked to keep memory")
def test_what_a_step_frees_is_used_again():
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", STEPS, *how], capture_output=True, check=True).stdout)
        for how in ([str(files("sr_model") / "allocation.py")], [])
    )
    assert kept < given_back / 10
