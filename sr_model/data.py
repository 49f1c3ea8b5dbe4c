"""Training images: decoded once, cropped at random, degraded to low resolution."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dgp_mining.dictionary import Dictionary
from dgp_mining.images import ImageError, read_rgb
from splat2d.resample import imresize

from .settings import TrainSettings

log = logging.getLogger(__name__)


def enlarged(extent: int, scale: float) -> int:
    """Pixels that `extent` LR pixels become at `scale`: rounded, halves upwards, and at least 1."""
    return max(1, int(extent * scale + 0.5))


def degrade(hr: Tensor, size: tuple[int, int]) -> Tensor:
    """MATLAB's bicubic on floats: [..., H, W] in [0, 1] to [..., h, w], clamped to what an image can hold."""
    return imresize(hr, size).clamp(0, 1)


def mined_from(dictionary: Dictionary, path: Path) -> Path:
    """The folder of the images that a dictionary, read from `path`, was mined from. Raises ImageError."""
    folder = dictionary.metadata.get("images")
    if not folder:
        raise ImageError(f"{path} does not say which images it was mined from: name some with --images.")
    if not Path(folder).is_dir():
        raise ImageError(
            f"The images that {path} was mined from, {folder}, are gone: name others with --images."
        )
    return Path(folder)


def hold_out(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """(training, validation): one image in eight held out, at most 8, spread evenly over the list."""
    count = min(8, len(paths) // 8)
    held_out = [paths[(2 * i + 1) * len(paths) // (2 * count)] for i in range(count)]
    if not held_out:
        log.info("too few images to hold some out for validation: name others with --val")
    return [path for path in paths if path not in held_out], held_out


class ImageSet:
    """Images as 8-bit RGB in one temporary file, mapped into memory.

    The operating system keeps in memory what fits, so DIV2K (6.6 GB) trains on a small machine too; the file
    vanishes with the process.
    """

    def __init__(self, paths: Sequence[Path], *, smallest: int, folder: Path | None = None) -> None:
        """Decode `paths`, leaving out with a logged line what is unreadable or under `smallest` pixels.

        The temporary file lies in `folder`. Raises ImageError where no image is left.
        """
        shapes: list[tuple[int, int, int]] = []
        self.paths: list[Path] = []
        with tempfile.TemporaryFile(dir=folder) as file, ThreadPoolExecutor() as pool:
            for start in range(0, len(paths), 16):  # a bounded number of decoded images at a time
                some = paths[start : start + 16]
                for path, pixels in zip(some, pool.map(_decode, some), strict=True):
                    if pixels is None:
                        continue
                    if min(pixels.shape[:2]) < smallest:
                        width, height = pixels.shape[1::-1]
                        log.warning("skipped %s: %dx%d pixels are under %d", path, width, height, smallest)
                        continue
                    pixels.tofile(file)
                    shapes.append(pixels.shape)
                    self.paths.append(path)
            if not shapes:
                where = paths[0].parent if paths else "the folder"
                raise ImageError(
                    f"No image in {where} can be read and has {smallest} pixels on each side: "
                    "name a folder of larger images with --images."
                )
            file.flush()
            pixels = np.memmap(file, np.uint8, mode="r")
        ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        self.images = [part.reshape(s) for part, s in zip(np.split(pixels, ends), shapes, strict=True)]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, settings: TrainSettings, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """(LR [B, 3, n, n], HR [B, 3, m, m]) float32 in [0, 1], of one scale m / n, channels last.

        Depends on `seed` and `step` alone, so that a resumed training sees what an undisturbed one would.
        """
        random = np.random.default_rng((seed, step))
        n = settings.crop
        m = enlarged(n, random.uniform(*settings.scales))
        crops = np.stack([self._crop(random, m) for _ in range(settings.batch)])
        hr = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
        return degrade(hr, (n, n)), hr

    def _crop(self, random: np.random.Generator, side: int) -> np.ndarray:  # [side, side, 3] uint8
        image = self.images[random.integers(len(self.images))]
        row, column = (random.integers(extent - side + 1) for extent in image.shape[:2])
        crop = image[row : row + side, column : column + side]
        flip_y, flip_x, transpose = random.integers(2, size=3)
        crop = crop[:: 1 - 2 * flip_y, :: 1 - 2 * flip_x]
        return crop.swapaxes(0, 1) if transpose else crop


def _decode(path: Path) -> np.ndarray | None:  # [H, W, 3] uint8, None where it cannot be
    try:
        return (read_rgb(path) * 255 + 0.5).astype(np.uint8)
    except ImageError as error:
        log.warning("skipped: %s", error)
        return None
