"""Free memory is that of the container or batch job; much of it, once freed, is kept for what comes next."""

import re
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from dgp_mining import freed_memory
from sr_model import memory
from sr_model.memory import ran_out
from tests.control_group import memory_group, run_in


def test_an_eighth_of_what_is_free_may_be_kept_and_two_gigabytes_at_most(monkeypatch: pytest.MonkeyPatch):
    kept: list[int] = []
    monkeypatch.setattr(freed_memory, "keep_freed_memory", kept.append)
    for free in (1 << 30, 1 << 40):
        monkeypatch.setattr(memory, "free_memory", lambda free=free: free)
        memory.keep_freed_memory()
    assert kept == [1 << 27, (1 << 31) - 1]


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


def upscaled_in(nbytes: int, side: int, folder: Path) -> tuple[int, str]:
    """Run sr-upscale on a picture in a control group; return its exit status and what it said."""
    small = Image.effect_noise((side // 8, side // 8), 60).convert("RGB")
    small.resize((side, side)).save(folder / "picture.png")
    code = (
        "import sys; sys.argv = ['sr-upscale', 'picture.png', '--out', 'large.png', '--scale', '2']; "
        "from sr_model.cli.entry import sr_upscale; sr_upscale()"
    )
    with memory_group(nbytes) as group:
        done = run_in(group, [sys.executable, "-c", code], cwd=folder)
    return done.returncode, done.stderr


def test_in_half_a_gigabyte_a_picture_that_is_too_large_is_one_sentence(tmp_path: Path):
    status, said = upscaled_in(2**29, 1600, tmp_path)
    assert (status, said.count("\n")) == (1, 1), said
    assert re.search(r"picture\.png.*takes [\d.]+ GB of memory, and 0\.\d\d GB are free: .*--window", said)
    assert not (tmp_path / "large.png").exists()


@pytest.mark.slow
def test_in_half_a_gigabyte_a_picture_is_drawn_in_strips_that_fit(tmp_path: Path):
    status, said = upscaled_in(2**29, 560, tmp_path)
    assert status == 0, said
    assert re.search(r"strip \d of \d", said)
    assert Image.open(tmp_path / "large.png").size == (1120, 1120)
