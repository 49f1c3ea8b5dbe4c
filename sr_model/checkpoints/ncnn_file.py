"""Networks as ncnn keeps them: a `.param` file, the text of their layers, and a `.bin` file, their weights.

Read are networks of the layers that SPAN has, converted from ONNX, whose names tell the modules that the
layers were: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure. Anything else is refused,
since what a layer does beyond its weights would be lost without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .tensor_file import CheckpointError

MAGIC = 7767517
MOST_TEXT = 1_000_000
"""Bytes of the longest .param file that is read."""
FLOAT16 = 0x01306B47
"""Before weights of 16 bits; before those of 32 bits there is a 0."""
OTHER_TAGS = {0x000D4B38: "int8", 0x0002C056: "scaled float32"}
WITHOUT_WEIGHTS = ("Input", "Split", "BinaryOp", "Swish", "Sigmoid", "Concat", "PixelShuffle")
"""Layers that have none, of the networks that are read."""
PLAIN = {0, 1, 4, 5, 6, 11}
"""Parameters of a convolution that are understood: outputs, kernel, padding, bias, weights, height."""
DEFAULTS = {2: 1, 12: 1, 3: 1, 13: 1}
"""Those that must have these values: dilation and stride."""
MEAN, RANGE = "input.mean", "input.range"
"""What is subtracted from an image, [3], and what the difference is multiplied by, [], as tensors by name."""


class _Unread(Exception):
    """Why a network is not read, for the end of a sentence on it."""


@dataclass(frozen=True)
class _Layer:
    """One line of a .param file."""

    kind: str
    name: str
    reads: list[str]
    writes: list[str]
    numbers: Mapping[int, float]


def ncnn_files(path: Path, start: bytes) -> tuple[Path, Path] | None:
    """Return the two files (.param, .bin) of the network that one of them stands for; None for other files.

    `start` is how the content of `path` begins. Raises CheckpointError if one of the two is missing.
    """
    if start[:4] == MAGIC.to_bytes(4, "little"):
        raise CheckpointError(
            f"{path} is an ncnn network in binary form: name its .param file of plain text."
        )
    if _is_param(start):
        binary = path.with_suffix(".bin")
        if not binary.is_file():
            raise CheckpointError(
                f"{path} has the layers of an ncnn network, but the file of their weights, {binary.name}, is "
                "missing: put it into the same folder."
            )
        return path, binary
    param = path.with_suffix(".param")
    if path.suffix != ".bin" or not param.is_file():
        return None
    with param.open("rb") as file:
        return (param, path) if _is_param(file.read(200)) else None


def read_ncnn(param: Path, binary: Path) -> dict[str, Tensor]:
    """Return the weights of a network, float32, by the names that they have in torch.

    `/block_1/c1_r/eval_conv/Conv` becomes `block_1.c1_r.eval_conv.weight` and `.bias`. What the network does
    with an image before its first convolution is added as `MEAN` and `RANGE`.

    Raises:
        CheckpointError: if a file cannot be read, or has something that is not understood here.
    """
    try:
        with param.open("rb") as file:
            text = file.read(MOST_TEXT + 1)
        if len(text) > MOST_TEXT:
            raise _Unread(f"it has more than {MOST_TEXT:,} bytes, and those of such networks have thousands")
        layers = _layers(text.decode("ascii"))
        data = _Numbers(binary.read_bytes())
        weights: dict[str, Tensor] = {}
        constants: dict[str, Tensor] = {}
        for layer in layers:
            if layer.kind == "Convolution":
                module = module_name(layer.name)
                weights[f"{module}.weight"], weights[f"{module}.bias"] = _convolution(layer, data)
            elif layer.kind == "MemoryData":
                constants[layer.writes[0]] = _constant(layer, data)
        data.check_end()
        mean, scale = _before_first_convolution(layers, constants)
    except OSError as error:
        raise CheckpointError(
            f"{error.filename or param} cannot be read ({error.strerror or error})."
        ) from error
    except (_Unread, UnicodeDecodeError, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
        reason = str(error) if isinstance(error, _Unread) else "its text is not in ncnn's form"
        raise CheckpointError(f"{param} is an ncnn network that cannot be read: {reason}.") from error
    return {**weights, MEAN: mean, RANGE: scale}


def module_name(layer: str) -> str:
    """Return the name in torch of the module that became a layer through ONNX.

    >>> module_name("/block_1/c1_r/eval_conv/Conv"), module_name("/upsampler/upsampler.0/Conv")
    ('block_1.c1_r.eval_conv', 'upsampler.0')
    """
    parts = layer.strip("/").split("/")[:-1] or [layer]
    inside = [
        part for part, after in zip(parts, [*parts[1:], ""], strict=True) if not after.startswith(f"{part}.")
    ]
    return ".".join(inside)


def _is_param(start: bytes) -> bool:
    return start.split(maxsplit=1)[:1] == [str(MAGIC).encode()]


def _layers(text: str) -> list[_Layer]:
    lines = [line.split() for line in text.splitlines()[2:] if line.strip()]
    declared = int(text.splitlines()[1].split()[0])
    if len(lines) != declared:
        raise _Unread(f"it should have {declared} layers and has {len(lines)}")
    layers = []
    for kind, name, reads, writes, *rest in lines:
        first, end = int(reads), int(reads) + int(writes)
        pairs = [part.split("=") for part in rest[end:]]
        if kind not in (*WITHOUT_WEIGHTS, "Convolution", "MemoryData"):
            raise _Unread(f"layers of the kind {kind}, such as {name}, are not known here")
        if any(int(key) < 0 for key, _ in pairs):
            raise _Unread(f"{name} has a list of numbers, which is not known here")
        numbers = {int(key): float(value) for key, value in pairs}
        layers.append(_Layer(kind, name, rest[:first], rest[first:end], numbers))
    return layers


class _Numbers:
    """The content of a .bin file, read from its start to its end."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def floats(self, count: int, dtype: str = "<f4") -> Tensor:
        size = count * np.dtype(dtype).itemsize
        if count < 0 or self._at + size > len(self._content):
            raise _Unread(f"its .bin has {len(self._content)} bytes, too few for its layers")
        values = np.frombuffer(self._content, dtype, count, self._at).astype(np.float32)
        self._at += -(-size // 4) * 4  # 4 bytes are the unit of a .bin
        return torch.from_numpy(values)

    def tagged(self, count: int, name: str) -> Tensor:
        """Weights that follow the tag of their type."""
        tag = int.from_bytes(self._content[self._at : self._at + 4], "little")
        self._at += 4
        if tag not in (0, FLOAT16):
            kind = OTHER_TAGS.get(tag, "quantized or unknown")
            raise _Unread(
                f"the weights of {name} are {kind} numbers: convert it with float32 or float16 weights"
            )
        return self.floats(count, "<f2" if tag else "<f4")

    def check_end(self) -> None:
        if self._at != len(self._content):
            raise _Unread(f"its .bin has {len(self._content)} bytes, and its layers have {self._at}")


def _convolution(layer: _Layer, data: _Numbers) -> tuple[Tensor, Tensor]:
    """Read the weight [o, i, k, k] and bias [o] of a convolution that keeps an image's size."""
    numbers = layer.numbers
    outputs, side, count = (int(numbers[key]) for key in (0, 1, 6))
    beyond = {key for key, value in numbers.items() if key not in PLAIN and value != DEFAULTS.get(key, 0)}
    same = numbers.get(11, side) == side and numbers.get(4, 0) == side // 2
    if beyond or not same or side % 2 == 0 or count % (outputs * side * side):
        raise _Unread(
            f"{layer.name} is more than a convolution that keeps the size, such as one with an activation"
        )
    weight = data.tagged(count, layer.name).view(outputs, -1, side, side)
    return weight, data.floats(outputs) if numbers.get(5) else torch.zeros(outputs)


def _constant(layer: _Layer, data: _Numbers) -> Tensor:
    """Read a constant, [1] or [3, 1, 1]."""
    width, height, channels = (int(layer.numbers.get(key, 0)) for key in (0, 1, 2))
    shape = (max(1, channels), max(1, height), max(1, width))
    if shape not in ((1, 1, 1), (3, 1, 1)) or not layer.numbers.keys() <= {0, 1, 2, 21}:
        raise _Unread(f"the constant {layer.name} is no colour")
    size = shape[0]
    return data.floats(size) if layer.numbers.get(21, 1) else data.tagged(size, layer.name)


def _before_first_convolution(
    layers: Iterable[_Layer], constants: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return (mean [3], range []) such that the first convolution reads (image - mean) * range."""
    line: dict[str, tuple[Tensor, Tensor]] = {}  # what is slope * image + offset, both [3]
    found = []
    for layer in layers:
        if layer.kind == "Input":
            line[layer.writes[0]] = torch.ones(3), torch.zeros(3)
        elif layer.reads and layer.reads[0] in line:
            slope, offset = line[layer.reads[0]]
            if layer.kind == "Split":
                line |= dict.fromkeys(layer.writes, (slope, offset))
            elif layer.kind == "BinaryOp":
                other = layer.numbers.get(2, 0) if layer.numbers.get(1) else constants[layer.reads[1]]
                line[layer.writes[0]] = _changed(layer, slope, offset, other)
            elif layer.kind == "Convolution":
                found.append((slope, offset))
            else:
                raise _Unread(f"{layer.name} changes the image before the first convolution")
    if len(found) != 1 or not (found[0][0] == found[0][0][0]).all() or not found[0][0][0] > 0:
        raise _Unread("what its first convolution reads is not the image with a mean and a range")
    slope, offset = found[0]
    return -offset / slope, slope[0]


def _changed(layer: _Layer, slope: Tensor, offset: Tensor, other: Tensor | float) -> tuple[Tensor, Tensor]:
    match int(layer.numbers.get(0, 0)):
        case 0:
            return slope, offset + other
        case 1:
            return slope, offset - other
        case 2:
            return slope * other, offset * other
        case 3:
            return slope / other, offset / other
        case operation:
            raise _Unread(f"{layer.name} is operation {operation} on the image, which is not known here")
