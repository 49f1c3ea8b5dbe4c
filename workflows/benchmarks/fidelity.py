"""What should stay as it is when an image is upscaled: flat parts, grey, opacity, repetition.

    python workflows/benchmarks/fidelity.py
    python workflows/benchmarks/fidelity.py --model runs/a/best.safetensors --out fidelity.json

Prints, for MATLAB's bicubic interpolation and for a network, how far drawn images depart. 0 is right for all
but the sizes of PNG files and the steps across an edge, which are 1 if nothing is lost.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from measure import parser, print_table, write_json
from PIL import Image, ImageDraw

from splat2d import imresize
from sr_model import upscale
from sr_model.upscaling.rendering import quantise
from sr_model.upscaling.upscale import as_network

Upscale = Callable[[np.ndarray, float], np.ndarray]
SCALES = (1.3, 2.0, 3.0, 3.7, 4.0, 8.0)


def bicubic(image: np.ndarray, scale: float) -> np.ndarray:
    """Upscale [H, W, C] integers by MATLAB's bicubic, rounded once."""
    largest = np.iinfo(image.dtype).max
    planes = torch.from_numpy(image.astype(np.float64) / largest).permute(2, 0, 1)
    size = (round(scale * image.shape[0]), round(scale * image.shape[1]))
    return quantise(imresize(planes, size).permute(1, 2, 0).clamp(0, 1).numpy(), image.dtype)


def line_art(side: int) -> np.ndarray:
    """Text, circles and hatching, black on white with smooth edges, [side, side, 3] uint8."""
    large = Image.new("L", (4 * side, 4 * side), 255)
    pen = ImageDraw.Draw(large)
    for number in range(6):
        radius, middle = side * (0.3 + 0.25 * number), side * (1.3 + 0.25 * number)
        pen.ellipse([middle - radius, middle - radius, middle + radius, middle + radius], outline=0, width=6)
        pen.line([0, 4 * side - 40 * number, 40 * number, 4 * side], fill=0, width=5)
        pen.text(
            (side / 8, side * (2.4 + 0.25 * number)), "Flat is flat, and grey is grey.", fill=0, font_size=24
        )
    return np.asarray(large.reduce(4).convert("RGB"))


def texture(height: int, width: int) -> np.ndarray:
    """Periodic noise without its finest waves, [H, W, 3] uint8."""
    noise = np.fft.rfft2(np.random.default_rng(0).normal(size=(height, width, 3)), axes=(0, 1))
    y, x = np.fft.fftfreq(height)[:, None, None], np.fft.rfftfreq(width)[None, :, None]
    smooth = np.fft.irfft2(noise * np.exp(-12 * (x * x + y * y)), (height, width), axes=(0, 1))
    return (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def departure(enlarge: Upscale, image: np.ndarray) -> float:
    """The largest difference from an image of one colour, over SCALES, in levels."""
    return max(float(np.abs(enlarge(image, s).astype(float) - image[0, 0]).max()) for s in SCALES)


def beside_an_edge(enlarge: Upscale) -> float:
    """The largest difference from two flat halves more than 8 pixels from the edge between them."""
    image = np.full((12, 48, 3), 51, np.uint8)
    image[:, 24:] = 204
    found = enlarge(image, 4)
    return float(max(np.abs(found[:, :64] - 51.0).max(), np.abs(found[:, 128:] - 204.0).max()))


def along_lines(enlarge: Upscale) -> float:
    """The largest range along straight lines, of one pixel and of two, level or upright, in levels."""
    image = np.full((24, 48, 3), 255, np.uint8)
    image[11], image[12], image[18] = 128, 20, 60
    found = []
    for turned in (image, image.swapaxes(0, 1)):
        for scale in (2.0, 3.0, 4.0, 8.0):
            large = enlarge(np.ascontiguousarray(turned), scale).astype(int)
            lines = large if turned is image else large.swapaxes(0, 1)
            edge = int(12 * scale)
            found.append(float(np.ptp(lines[:, edge:-edge], axis=1).max()))
    return max(found)


def chroma(enlarge: Upscale, image: np.ndarray) -> float:
    """The largest difference between channels."""
    return max(float(np.ptp(enlarge(image, s).astype(int), axis=2).max()) for s in (2.0, 3.7))


def of_mean(enlarge: Upscale, image: np.ndarray) -> float:
    """The largest difference between the means of an image and of its results, in levels."""
    return float(max(abs(enlarge(image, s).mean() - image.mean()) for s in (2.0, 3.0, 4.0)))


def png_bytes(image: np.ndarray) -> int:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png", optimize=True)
    return file.tell()


def step_across(image: np.ndarray) -> float:
    """Mean difference between the first and the last column, over that between neighbouring columns."""
    values = image.astype(float)
    return float(np.abs(values[:, 0] - values[:, -1]).mean() / np.abs(np.diff(values, axis=1)).mean())


def measure(enlarge: Upscale, wrapped: Upscale | None, side: int) -> dict[str, float | None]:
    """All figures of one way to upscale."""
    random = np.random.default_rng(0)
    board = (np.indices((side, side)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    grey = random.integers(0, 256, (side, side, 1), np.uint8).repeat(3, 2)
    part = np.concatenate([grey, random.integers(0, 256, (side, 4, 3), np.uint8)], 1)
    page, tile = line_art(4 * side), texture(2 * side, 3 * side)
    return {
        "white 255: largest departure": departure(enlarge, np.full((9, 11, 3), 255, np.uint8)),
        "flat 16-bit colour: largest departure": departure(
            enlarge, np.tile(np.array([60_000, 30_000, 500], np.uint16), (9, 11, 1))
        ),
        "two flat halves: largest departure 8 pixels from their edge": beside_an_edge(enlarge),
        "straight lines: largest range along them": along_lines(enlarge),
        "grey noise as RGB: largest chroma": chroma(enlarge, grey),
        "the same, next to colour: largest chroma 12 pixels away": chroma(
            lambda image, s: enlarge(image, s)[:, : int(s * (side - 12))], part
        ),
        "checkerboard of pixels: largest chroma": chroma(enlarge, board),
        "the same: departure of the mean": of_mean(enlarge, board),
        "line art: departure of the mean": of_mean(enlarge, page),
        "line art at x1: largest departure": float(abs(enlarge(page, 1).astype(float) - page).max()),
        "line art to x4: bytes of its PNG, over bicubic's": png_bytes(enlarge(page, 4))
        / png_bytes(bicubic(page, 4)),
        "texture to x4: step across the edge, over those inside": step_across(enlarge(tile, 4)),
        "the same with --wrap": step_across(wrapped(tile, 4)) if wrapped else None,
    }


def main() -> None:
    command = parser(__doc__ or "", "fidelity.json")
    command.add_argument("--model", type=Path, help="checkpoint (default: the reference model)")
    options = command.parse_args()
    network, side = as_network(options.model), 24 if options.quick else 48
    figures = {
        "bicubic": measure(bicubic, None, side),
        "network": measure(
            lambda image, scale: upscale(image, scale, model=network),
            lambda image, scale: upscale(image, scale, model=network, wrap="xy"),
            side,
        ),
    }
    print_table(
        ["", *figures],
        [
            [what, *("" if column[what] is None else f"{column[what]:.2f}" for column in figures.values())]
            for what in figures["network"]
        ],
    )
    write_json(options.out, {"model": str(options.model or "reference"), "figures": figures})


if __name__ == "__main__":
    main()
