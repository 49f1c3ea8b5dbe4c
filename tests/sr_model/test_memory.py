"""Free memory is that of the container or batch job; a training step reuses what the last one freed."""

import platform
import resource
import sys

import numpy as np
import pytest
import torch

from sr_model.memory import keep_freed_memory, ran_out
from tests.control_group import memory_group, run_in


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked to keep memory")
def test_what_a_step_frees_is_used_again():
    def step() -> list[np.ndarray]:
        return [np.ones(1 << 20) for _ in range(16)]  # 128 MB

    keep_freed_memory()
    for _ in range(3):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 5 * (1 << 27) / resource.getpagesize() / 10


def test_running_out_of_memory_is_distinguished_from_other_errors():
    with pytest.raises(RuntimeError) as too_large:
        torch.empty(1 << 50)
    assert ran_out(too_large.value)
    assert ran_out(MemoryError())
    assert ran_out(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    assert not ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"))
    assert not ran_out(ValueError("memory"))


def test_in_half_a_gigabyte_no_more_is_free():
    code = "from sr_model.memory import free_memory; print(free_memory())"
    with memory_group(2**29) as group:
        found = run_in(group, [sys.executable, "-c", code])
    assert not found.stderr
    assert 0 < int(found.stdout) < 2**29
