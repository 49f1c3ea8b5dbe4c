"""Training samples: random HR crops of decoded images, and the same crops at low resolution."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from dgp_mining.images.reader import ImageError
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.prior.mined_from import recorded_images

from ..config.training_settings import TrainSettings
from ..scaling import scaled_extent
from .image_cache import decoded_images
from .upload import upload

VALIDATED = 32
"""HR pixels that an image needs on each side to be validated."""

MEASURED = 256
"""HR pixels on a side of the centre crops that validation measures: seconds, not minutes."""

T = TypeVar("T")
log = logging.getLogger(__name__)


def mined_from(dictionary: Dictionary, path: Path) -> Path:
    """The folder of the images that the dictionary in the file `path` was mined from.

    It is in the user's cache if the dictionary was built on this machine, and in those of release 0.1. Raises
    ImageError if it is not known, or is gone.
    """
    folder = recorded_images(path) or dictionary.metadata.get("images")
    if not folder:
        raise ImageError(
            f"Where the images are that {path} was mined from is not known on this machine: name some with "
            "images=."
        )
    if not Path(folder).is_dir():
        raise ImageError(
            f"The images that {path} was mined from, {folder}, are gone: name others with images=."
        )
    return Path(folder)


def held_out_images(paths: Sequence[Path], *, smallest: int, cache: Path) -> list[Path]:
    """Choose validation images: one in eight, at most 8, spread evenly over those that can be validated.

    Unreadable images, those with fewer than VALIDATED pixels on a side, and those whose middle is of one
    colour (`is_flat`) are not chosen. A chosen one may have fewer than `smallest`, which training needs, but
    some that have them are left. Decodes into `cache`.
    """
    found = decoded_images(paths, cache)
    sides = {path: min(image.shape[:2]) for path, image in zip(found.paths, found.images, strict=True)}
    flat = {path for path, image in zip(found.paths, found.images, strict=True) if is_flat(image)}
    usable = [path for path, side in sides.items() if side >= VALIDATED and path not in flat]
    return spread_evenly(usable, {path for path, side in sides.items() if side >= smallest})


def centre_crop(image: np.ndarray, side: int = MEASURED) -> np.ndarray:
    """The middle of an image [H, W, C], at most `side` pixels on a side."""
    row, column = (max(0, (extent - side) // 2) for extent in image.shape[:2])
    return image[row : row + side, column : column + side]


def is_flat(image: np.ndarray) -> bool:
    """Whether the middle of an image [H, W, C], which validation measures, is of one colour.

    Its PSNR would be infinite for some networks, and with it the mean, so that none could be the best.

    >>> is_flat(np.full((64, 64, 3), 255, np.uint8))
    True
    """
    middle = centre_crop(image)
    return bool((middle == middle[0, 0]).all())


def spread_evenly(usable: Sequence[Path], trainable: Collection[Path]) -> list[Path]:
    """Choose one in eight of the images that are `usable` for validation, at most 8.

    Some that are `trainable` are left.

    >>> chosen = spread_evenly([Path(f"{i}.png") for i in range(16)], [Path(f"{i}.png") for i in range(16)])
    >>> [path.name for path in chosen]
    ['4.png', '12.png']
    """
    chosen = min(8, len(usable) // 8)
    if sum(path in trainable for path in usable) <= chosen:  # too few to lose any
        usable = [path for path in usable if path not in trainable]
    if not chosen:
        log.info("too few images to hold some out for validation: name others with val=")
    return [usable[(2 * i + 1) * len(usable) // (2 * chosen)] for i in range(chosen)]


def largest_crop(settings: TrainSettings) -> tuple[int, str]:
    """The side of the largest HR crop in pixels, and in words where it comes from.

    >>> from sr_model import PRESETS
    >>> largest_crop(PRESETS["demo"].train)[0]
    108
    """
    crop, scale = settings.crop, settings.scales[1]
    reason = f"training.crop {crop} at scale {scale:g}; lower it or training.scales for smaller images"
    return scaled_extent(crop, scale), reason


@dataclass(frozen=True)
class Batch:
    """Samples of one step or of a part of it, grouped by the size of their HR crops."""

    lr: Tensor
    """[B, 3, n, n] float32 in [0, 1]."""
    hr: tuple[Tensor, ...]
    """[b, 3, m, m] float32 in [0, 1] for each size m, in the order of `lr`; the b add up to B."""

    def scales(self) -> Tensor:  # [B] float32
        """The scale m / n of every sample."""
        ratios = [torch.full((len(hr),), hr.shape[-1] / self.lr.shape[-1]) for hr in self.hr]
        return upload(torch.cat(ratios), self.lr.device)

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch(upload(self.lr, device), tuple(upload(hr, device) for hr in self.hr))


@dataclass(frozen=True)
class Draw:
    """Where a sample was drawn: an HR crop of one image, its turn, and the random numbers for its effects."""

    image: int
    """Number of the image."""
    row: int
    """Top row of the crop in the image."""
    column: int
    """Leftmost column of the crop."""
    side: int
    """HR pixels on a side."""
    flip_y: bool
    """Whether the crop is turned upside down."""
    flip_x: bool
    """Whether left and right are exchanged."""
    transpose: bool
    """Whether rows and columns are exchanged, after the flips."""
    random: np.random.Generator
    """For effects on the LR crop."""


class ImageSet:
    """Decoded images to draw samples from."""

    noun = "image"
    """What it holds, for messages."""

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        smallest: int,
        cache: Path,
        argument: str = "images=",
        reason: str = "",
        held_out: Collection[Path] = (),
    ) -> None:
        """Read the images at `paths` from the folder `cache`, decoding them into it first if need be.

        Images that are unreadable or have fewer than `smallest` pixels on a side, for which messages give the
        `reason`, are left out: each is logged and has its sentence in `skipped`. Those in `held_out` are left
        out without a word. Raises ImageError, naming the `argument` that gave them, if none is left.
        """
        found = decoded_images(paths, cache)
        reason = reason and f" ({reason})"
        self.paths: list[Path] = []
        self.images: list[np.ndarray] = []
        """[H, W, 3] uint8 each."""
        self.skipped: list[str] = list(found.refused)
        """One sentence for each image that cannot be used, naming it."""
        for path, image in zip(found.paths, found.images, strict=True):
            height, width = image.shape[:2]
            if path in held_out:
                continue
            if min(height, width) < smallest:
                needed = f"{smallest} on each side are needed{reason}."
                self.skipped.append(f"{path} has {width}x{height} pixels, and {needed}")
                continue
            self.paths.append(path)
            self.images.append(image)
        for sentence in self.skipped:
            log.warning("skipped: %s", sentence)
        if not self.images:
            where = paths[0].parent if paths else "the folder"
            raise ImageError(
                f"No image in {where} can be read and has {smallest} pixels on each side{reason}: "
                f"name larger images with {argument}."
            )

    def __len__(self) -> int:
        return len(self.images)

    def draw(
        self, settings: TrainSettings, seed: int, step: int, part: int = 0, parts: int = 1
    ) -> list[list[Draw]]:
        """Draw the samples of a step, or part number `part` of `parts` of them: groups by size, rising.

        Each sample depends on `seed`, `step` and its own number alone: a resumed training draws the samples
        of an uninterrupted one, and several processes together draw those of one.
        """
        share = settings.batch // parts
        common_scale = sample_random(seed, step).uniform(*settings.scales)
        drawn: dict[int, list[Draw]] = {}
        for sample in range(part * share, (part + 1) * share):
            random = sample_random(seed, step, sample + 1)
            scale = random.uniform(*settings.scales) if settings.scale_of == "sample" else common_scale
            side = scaled_extent(settings.crop, scale)
            drawn.setdefault(side, []).append(self._draw(random, side))
        return [drawn[side] for side in sorted(drawn)]

    def _draw(self, random: np.random.Generator, side: int) -> Draw:
        image = int(random.integers(len(self.images)))
        row, column = (int(random.integers(n - side + 1)) for n in self.images[image].shape[:2])
        flip_y, flip_x, transpose = random.integers(2, size=3) > 0
        return Draw(image, row, column, side, flip_y, flip_x, transpose, random)

    def batch(self, settings: TrainSettings, seed: int, step: int, part: int = 0, parts: int = 1) -> Batch:
        """Make the samples that `draw` draws with the same arguments."""
        lr, hr = [], []
        for group in self.draw(settings, seed, step, part, parts):
            pixels = torch.from_numpy(np.stack([self.crop(draw) for draw in group])).permute(0, 3, 1, 2)
            randoms = [draw.random for draw in group]
            lr.append(settings.degradation(pixels, (settings.crop, settings.crop), randoms))
            hr.append(pixels.float() / 255)
        return Batch(torch.cat(lr), tuple(hr))

    def crop(self, draw: Draw) -> np.ndarray:
        """Cut an HR crop, [side, side, 3] uint8."""
        rows = slice(draw.row, draw.row + draw.side)
        crop = self.images[draw.image][rows, draw.column : draw.column + draw.side]
        crop = crop[:: -1 if draw.flip_y else 1, :: -1 if draw.flip_x else 1]
        return crop.swapaxes(0, 1) if draw.transpose else crop


def sample_random(*numbers: int) -> np.random.Generator:
    """Random numbers of a step (seed, step), or of one of its samples (seed, step, 1 + its number)."""
    return np.random.default_rng(numbers)


def prefetch(make: Callable[[int], T], start: int, ahead: int = 2, threads: int = 1) -> Generator[T]:
    """Yield make(start), make(start + 1) and so on, computed by threads, `ahead` items each in advance."""
    ahead *= threads
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(pool.submit(make, start + index) for index in range(ahead))
        try:
            while True:
                start += 1
                waiting.append(pool.submit(make, start + ahead - 1))
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
