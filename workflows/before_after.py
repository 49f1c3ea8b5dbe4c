"""Draw a reduced photograph upscaled by the reference model, next to bicubic interpolation and the original.

    python workflows/before_after.py --image photo.png --detail 120,88,208,144 --out before-after.png

One row for each scale: the input with its pixels enlarged, bicubic interpolation, the model, the original,
always the same part of the photograph. The PSNR is that of the whole one, luma, by the protocol `benchmark`.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import matplotlib
import numpy as np
import torch

matplotlib.use("agg")
import matplotlib.pyplot as plt

from dgp_mining.images.reader import read_rgb
from splat2d.atomic_write import atomic_write
from sr_model import PROTOCOLS
from sr_model.checkpoints.checkpoint import Checkpoint, load_reference
from sr_model.evaluation.protocol import compare, low_resolution, score_comparison
from sr_model.networks.base import Network

ROOT = Path(__file__).resolve().parents[1]


def row(network: Network, hr: torch.Tensor, scale: float) -> dict[str, np.ndarray]:
    """Return the pictures of a row by their titles, [H, W, 3] uint8 each; `hr` is [3, H, W] uint8."""
    protocol = PROTOCOLS["benchmark"]
    images = compare(network, hr, scale, protocol)
    scored = score_comparison(images, scale, protocol)
    pictures = {
        f"input of x{scale:g}": low_resolution(hr, scale, protocol.lr)[0],
        f"bicubic x{scale:g}, {scored.bicubic_psnr:.2f} dB": images.bicubic,
        f"reference model x{scale:g}, {scored.psnr:.2f} dB": images.network,
        "the original": images.hr,
    }
    return {title: to_bytes(picture) for title, picture in pictures.items()}


def to_bytes(picture: torch.Tensor) -> np.ndarray:
    """[3, H, W] uint8, or float in [0, 1] -> [H, W, 3] uint8."""
    if picture.is_floating_point():
        picture = (picture * 255).round().byte()
    return picture.permute(1, 2, 0).numpy()


def draw(rows: list[dict[str, np.ndarray]], shown: tuple[int, int, int, int], out: Path) -> None:
    """Draw the rows, of each picture the part `shown`: left, top, width, height, in the original."""
    left, top, width, height = shown
    wide = 4.2 * width / height
    figure, axes = plt.subplots(
        len(rows), 4, figsize=(4 * wide, 4.5 * len(rows)), squeeze=False, constrained_layout=True
    )
    for pictures, line in zip(rows, axes, strict=True):
        original = pictures["the original"]
        for (title, picture), axis in zip(pictures.items(), line, strict=True):
            ratio = picture.shape[1] / original.shape[1]
            first = [math.floor(edge * ratio) for edge in (left, top)]
            last = [math.ceil(edge * ratio) for edge in (left + width, top + height)]
            axis.imshow(picture[first[1] : last[1], first[0] : last[0]], interpolation="nearest")
            axis.set_title(title)
            axis.axis("off")
    with atomic_write(out) as partial:
        figure.savefig(partial, format=out.suffix[1:] or "png", dpi=60)


def detail(text: str) -> tuple[int, int, int, int]:
    """Read --detail; argparse prints a sentence for the ValueError of other texts."""
    left, top, width, height = map(int, text.split(","))
    return left, top, width, height


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    chelsea = ROOT / "data" / "samples" / "heldout" / "chelsea.png"
    options.add_argument("--image", type=Path, default=chelsea, help="the photograph")
    options.add_argument(
        "--detail", type=detail, default="120,88,208,144", help="the part to show: left, top, width, height"
    )
    options.add_argument("--scales", default="4,8", help="one row for each")
    options.add_argument("--model", type=Path, help="a checkpoint; default: the reference model")
    options.add_argument("--out", type=Path, default=Path("before-after.png"), help="the picture")
    asked = options.parse_args()
    network = Checkpoint.load(asked.model).build() if asked.model else load_reference()
    pixels = (read_rgb(asked.image) * 255 + 0.5).astype(np.uint8)
    hr = torch.from_numpy(pixels).permute(2, 0, 1)
    rows = [row(network, hr, float(scale)) for scale in asked.scales.split(",")]
    draw(rows, asked.detail, asked.out)


if __name__ == "__main__":
    main()
