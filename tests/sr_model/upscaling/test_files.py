"""Files get the pixels that `upscale` makes and their metadata, in bounded memory."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image

from dgp_mining.images.reader import ImageError
from splat2d.backends import cpu
from sr_model import GSASR, PRESETS, ContinuousSR, upscale
from sr_model.image_io.reader import read_source_image
from sr_model.upscaling import encoding
from sr_model.upscaling.files import UpscaleRequest, upscale_file

PEAK = """
import sys
from pathlib import Path
import torch
from splat2d import GaussianField
from sr_model.upscaling.files import UpscaleRequest, upscale_file

def peak():  # not ru_maxrss, which starts at that of the process by which this one was started
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

torch.set_num_threads(1)
means = torch.rand(1, 200, 2) * 40
field = GaussianField(means, torch.tensor([1.0, 0.2, 1.0]).expand(1, 200, 3), torch.rand(1, 200, 1), (40, 40))
field.save("field.safetensors")
target = Path(sys.argv[1])
upscale_file(Path("field.safetensors"), target, UpscaleRequest(size=(500, 500), overwrite=True), None)
before = peak()
upscale_file(Path("field.safetensors"), target, UpscaleRequest(size=(6_000, 6_000), overwrite=True), None)
print((peak() - before) * 1024)
"""


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """An image of 16-bit RGB and alpha, stored rotated by 90 degrees, with EXIF."""
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 7, 4), np.uint16)
    tags = [(274, "H", 1, 6, True), (271, "s", 0, "Camera", True)]
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=["unassalpha"], extratags=tags)
    return path


def test_sixteen_bits_with_alpha_are_upscaled_upright_and_kept(network, deep, tmp_path):
    upright = np.rot90(tifffile.imread(deep), -1)
    expected = upscale(np.ascontiguousarray(upright), 2.5, model=network)
    for name in ("out.png", "out.tif"):
        assert upscale_file(deep, tmp_path / name, UpscaleRequest(scale=2.5), network) == (18, 23)
        assert np.array_equal(read_source_image(tmp_path / name).pixels, expected)
    assert imagecodecs.png_decode((tmp_path / "out.png").read_bytes()).dtype == np.uint16
    with Image.open(tmp_path / "out.png") as opened:
        exif = opened.getexif()
    assert exif[ExifTags.Base.Make] == "Camera"
    assert ExifTags.Base.Orientation not in exif


def test_tiles_change_nothing_that_can_be_seen(network, deep, tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8))
    image.save(tmp_path / "a.png")
    results = []
    for tile in (16, None):
        upscale_file(
            tmp_path / "a.png", tmp_path / "b.png", UpscaleRequest(2.0, tile=tile, overwrite=True), network
        )
        results.append(read_source_image(tmp_path / "b.png").pixels.astype(int))
    assert abs(results[0] - results[1]).max() <= 1


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_a_window_is_that_part_of_the_whole(network, photographs, tmp_path, scale):
    source = photographs / "0.png"
    upscale_file(source, tmp_path / "whole.png", UpscaleRequest(scale), network)
    upscale_file(source, tmp_path / "part.png", UpscaleRequest(scale, window=(10, 4, 20, 30)), network)
    whole, part = (
        read_source_image(tmp_path / f"{name}.png").pixels.astype(int) for name in ("whole", "part")
    )
    top, left = round(4 * scale), round(10 * scale)
    assert part.shape == (round(30 * scale), round(20 * scale), 3)
    assert abs(part - whole[top : top + part.shape[0], left : left + part.shape[1]]).max() <= 1


@pytest.mark.parametrize("architecture", ["edsr", "swinir", "gsasr"])
def test_of_a_window_no_more_is_encoded_than_shows_in_it(
    tiny, dictionary, tmp_path, monkeypatch, architecture
):
    torch.manual_seed(0)
    if architecture == "gsasr":
        model = GSASR(replace(PRESETS["gsasr-demo"].network, channels=12, width=12, depth=1)).eval()
    else:
        settings = replace(tiny.network, encoder=architecture, width=12)
        model = ContinuousSR(settings, torch.tensor(dictionary.cholesky)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).resize((240, 200), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    window, encoded = (101.5, 90, 20, 11), []
    encode = encoding.encode
    monkeypatch.setattr(encoding, "encode", lambda net, image, **how: encoded.append(image.shape[:2])
                        or encode(net, image, **how))  # fmt: skip
    part, whole = tmp_path / "part.png", tmp_path / "whole.png"
    upscale_file(tmp_path / "a.png", part, UpscaleRequest(3.0, window=window), model)
    keeping = UpscaleRequest(3.0, window=window, save_field=tmp_path / "a.safetensors")  # which encodes all
    upscale_file(tmp_path / "a.png", whole, keeping, model)
    assert encoded[0][0] * encoded[0][1] < 0.7 * 200 * 240
    assert encoded[1] == (200, 240)
    apart = read_source_image(part).pixels.astype(int) - read_source_image(whole).pixels
    assert abs(apart).max() <= (1 if architecture == "edsr" else 2)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process's peak there")
@pytest.mark.parametrize("name", ["large.tif", "large.png"])
def test_large_results_take_the_memory_of_a_band(tmp_path, name):
    if cpu.LIBRARY is None:
        pytest.skip("built without the native library")
    command = [sys.executable, "-c", PEAK, name]
    grown = int(subprocess.run(command, check=True, capture_output=True, cwd=tmp_path).stdout)
    with Image.open(tmp_path / name) as opened:
        assert opened.size == (6_000, 6_000)
    assert grown < 110e6  # as floats it has 144 MB


def test_progress_is_told_from_the_first_tile_to_the_last_row(network, photographs, tmp_path):
    told = []
    request = UpscaleRequest(2.0, tile=16)
    upscale_file(photographs / "0.png", tmp_path / "a.png", request, network, lambda *step: told.append(step))
    assert [part for what, part in told if what == "encoding"] == pytest.approx([n / 9 for n in range(1, 10)])
    assert told[-1] == ("rendering", 1.0)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory")])  # fmt: skip
def test_running_out_of_memory_is_one_sentence(network, photographs, tmp_path, monkeypatch, error):
    def exhausted(*arguments, **settings) -> None:
        raise error

    monkeypatch.setattr("sr_model.upscaling.upscale.encode_layers", exhausted)
    with pytest.raises(ImageError, match=r"0\.png does not fit into memory: give a smaller tile="):
        upscale_file(photographs / "0.png", tmp_path / "a.png", UpscaleRequest(2.0), network)


def test_a_window_of_next_to_nothing_is_refused(network, photographs, tmp_path):
    request = UpscaleRequest(size=(8, 8), window=(1, 1, 1e-9, 4))
    with pytest.raises(ImageError, match=r"window=1,1,1e-09,4 .* is smaller than 0\.01 of a pixel"):
        upscale_file(photographs / "0.png", tmp_path / "a.png", request, network)
