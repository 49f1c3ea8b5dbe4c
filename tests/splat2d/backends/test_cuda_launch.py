"""The CUDA kernels compile for every architecture in use, without a GPU, and are compiled once."""

from __future__ import annotations

import posixpath
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from splat2d.backends import cuda_launch

ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]


@pytest.fixture
def nvrtc():
    pytest.importorskip("cuda.core", reason="cuda-core is not installed")
    from cuda.bindings import nvrtc

    try:
        nvrtc.nvrtcVersion()
    except RuntimeError:
        pytest.skip("NVRTC is not installed")


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "splat2d"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_kernels_compile_to_machine_code(nvrtc, architecture):
    code = cuda_launch.compile_kernels(architecture, 3)
    assert code.startswith(b"\x7fELF")
    declared = "".join((cuda_launch._source_folder() / name).read_text() for name in cuda_launch.SOURCES)
    names = re.findall(r"SPLAT2D_KERNEL splat2d_(\w+)", declared)
    assert {"rasterize", "gather", "update_fast", "update_gaussianimage"} <= set(names)
    for name in names:
        assert f".text.splat2d_{name}\0".encode() in code


@pytest.mark.parametrize("channels", [1, 8])
def test_the_kernels_compile_for_other_numbers_of_channels(nvrtc, channels):
    assert cuda_launch.compile_kernels("sm_80", channels).startswith(b"\x7fELF")


def test_kernels_are_compiled_once_and_then_read_from_disk(nvrtc, cache, monkeypatch):
    compiled = []
    monkeypatch.setattr(
        cuda_launch, "compile_kernels", lambda *key: compiled.append(key) or repr(key).encode()
    )
    for _ in range(2):
        assert cuda_launch.cubin("sm_90", 3) == b"('sm_90', 3)"
    assert cuda_launch.cubin("sm_90", 1) == b"('sm_90', 1)"
    assert cuda_launch.cubin("sm_80", 3) == b"('sm_80', 3)"
    assert compiled == [("sm_90", 3), ("sm_90", 1), ("sm_80", 3)]
    assert len(list(cache.iterdir())) == 3


def test_other_sources_are_other_kernels(nvrtc, cache, monkeypatch, tmp_path):
    key = cuda_launch._key("sm_90", 3)
    sources = tmp_path / "package" / "src"
    sources.mkdir(parents=True)
    for name in cuda_launch.SOURCES:
        (sources / name).parent.mkdir(exist_ok=True)
        (sources / name).write_bytes((cuda_launch._source_folder() / name).read_bytes())
    monkeypatch.setattr(cuda_launch, "_source_folder", lambda: sources)
    assert cuda_launch._key("sm_90", 3) == key
    (sources / "shared" / "fast_step.h").write_text("// changed")
    assert cuda_launch._key("sm_90", 3) != key


def test_a_cache_that_cannot_be_written_costs_only_compiling_again(nvrtc, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in place of a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(cuda_launch, "compile_kernels", lambda *key: b"code")
    assert cuda_launch.cubin("sm_90", 3) == b"code"


def test_every_source_that_the_kernels_include_is_part_of_the_key():
    included = [
        posixpath.normpath(posixpath.join(posixpath.dirname(name), line.split('"')[1]))
        for name in cuda_launch.SOURCES
        for line in (cuda_launch._source_folder() / name).read_text().splitlines()
        if line.startswith('#include "')
    ]
    assert set(included) <= set(cuda_launch.SOURCES)


def test_a_gpu_too_old_or_too_new_for_the_compiler_is_named(nvrtc):
    with pytest.raises(RuntimeError, match="not for this GPU, sm_60"):
        cuda_launch.compile_kernels("sm_60", 3)


def test_a_launch_has_blocks_for_all_its_warps_on_torchs_stream(monkeypatch):
    launches, current = [], []
    core = SimpleNamespace(
        Device=lambda index: SimpleNamespace(set_current=lambda: current.append(index)),
        Stream=SimpleNamespace(from_handle=lambda handle: ("stream", handle)),
        LaunchConfig=lambda **shape: shape,
        launch=lambda stream, shape, kernel, *words: launches.append((stream, shape, kernel, words)),
    )
    monkeypatch.setattr(cuda_launch, "_cuda_core", lambda: core)
    monkeypatch.setattr(cuda_launch, "_kernel", lambda *key: key)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: SimpleNamespace(cuda_stream=1234))
    launch = cuda_launch.launcher(torch.device("cuda:1"), 3)
    launch("rasterize", 17, 5, 2.5, None)
    launch("rasterize", 0, 5, 2.5, None)
    ((stream, shape, kernel, words),) = launches
    assert current == [1]
    assert stream == ("stream", 1234)
    assert shape == {"grid": 3, "block": 256}
    assert kernel == ("rasterize", 1, 3)
    assert words == (5, 2.5, 0)


def test_without_cuda_core_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda", None)
    with pytest.raises(RuntimeError, match=r"pip install 'dgp-mining\[gpu\]'"):
        cuda_launch.compile_kernels("sm_90", 3)


def test_arguments_are_passed_as_the_kernels_declare_them():
    tensor = torch.zeros(3)
    values = cuda_launch.arguments((tensor, None, 7, 2.5))
    assert values == [tensor.data_ptr(), 0, 7, 2.5]
    assert isinstance(values[3], np.float32)
