"""Training samples of pairs: random crops of LR images, and the same places in their HR images."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from dgp_mining.images.reader import ImageError

from ..config.training_settings import TrainSettings
from ..image_io.pairs import Pair, find_pairs
from .image_cache import decoded_images
from .samples import Batch, sample_random

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DecodedPair:
    """The pixels of a pair, which begin at the same top left corner.

    LR pixel (i, j) shows HR rows s i to s (i + 1) and columns s j to s (j + 1), s being `files.scale`.
    """

    files: Pair
    """The files, sizes and scale."""
    hr: np.ndarray
    """The HR image, [H, W, 3] uint8."""
    lr: np.ndarray
    """The LR image, [h, w, 3] uint8."""

    @property
    def shared(self) -> tuple[int, int]:
        """Rows and columns of the LR image that lie in the HR image entirely."""
        rows, columns = (
            min(small, int(extent / self.files.scale))
            for small, extent in zip(self.lr.shape[:2], self.hr.shape[:2], strict=True)
        )
        return rows, columns

    def cut(self, row: int, column: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Cut an LR crop, [height, width, 3], and its HR crop, [s * height, s * width, 3].

        Raises ValueError if the HR crop does not begin and end between pixels.
        """
        scale, corners = self.files.scale, (row, column, row + height, column + width)
        edges = [scale * corner for corner in corners]
        if any(edge.denominator != 1 for edge in edges):
            raise ValueError(f"LR rows and columns {corners} do not begin at HR pixels at scale {scale}")
        top, left, bottom, right = (int(edge) for edge in edges)
        return self.lr[row : row + height, column : column + width], self.hr[top:bottom, left:right]

    def unusable(self, crop: int) -> str | None:
        """Why no LR crop of `crop` pixels on a side can be cut in a sentence; None if one can."""
        scale, (rows, columns) = self.files.scale, self.shared
        if crop % scale.denominator:
            multiple = crop // scale.denominator * scale.denominator
            change = f"set training.crop={multiple}" if multiple else "reduce its HR image by a simpler scale"
            return (
                f"{self.files.lr} is its HR image at the scale {scale}, at which crops on whole HR pixels "
                f"have a multiple of {scale.denominator} LR pixels: {change}."
            )
        if min(rows, columns) < crop:
            return (
                f"{self.files.lr} shares {columns}x{rows} pixels with its HR image, and training.crop needs "
                f"{crop} on each side."
            )
        return None


@dataclass(frozen=True)
class DecodedPairs:
    """The pairs of a list of HR images that could be decoded."""

    pairs: list[DecodedPair]
    """In the order of `find_pairs`."""
    skipped: list[str]
    """One sentence for each image that has no usable partner."""

    def split(self, held_out: Collection[Path]) -> tuple[DecodedPairs, DecodedPairs]:
        """Those to train on, with all sentences, and those of the HR images that are `held_out`."""
        parts: tuple[list[DecodedPair], list[DecodedPair]] = ([], [])
        for pair in self.pairs:
            parts[pair.files.hr in held_out].append(pair)
        return DecodedPairs(parts[0], self.skipped), DecodedPairs(parts[1], [])


def decode_pairs(images: Sequence[Path], folders: Sequence[str | Path], cache: Path) -> DecodedPairs:
    """Find the LR images of HR images in `folders` and read all of them from the folder `cache`.

    Raises ImageError for a folder without images, and if there is no pair.
    """
    found = find_pairs(images, folders)
    refused = list(found.refused)
    files = dict.fromkeys([*(pair.hr for pair in found.pairs), *(pair.lr for pair in found.pairs)])
    decoded = decoded_images(list(files), cache)
    refused += decoded.refused
    pixels = dict(zip(decoded.paths, decoded.images, strict=True))
    pairs = [
        DecodedPair(pair, pixels[pair.hr], pixels[pair.lr])
        for pair in found.pairs
        if pair.hr in pixels and pair.lr in pixels
    ]
    return DecodedPairs(pairs, refused)


class PairSet:
    """Pairs to draw samples from, at the scales that they have."""

    noun = "pair"
    """What it holds, for messages."""

    def __init__(self, pairs: DecodedPairs, crop: int) -> None:
        """Take the pairs from which LR crops of `crop` pixels on a side can be cut.

        The others are left out: each is logged and has its sentence in `skipped`, which begins with those of
        `pairs`. Raises ImageError if none is left.
        """
        self.crop = crop
        self.skipped = list(pairs.skipped)
        """One sentence for each image that cannot be used, naming it."""
        self.by_scale: dict[Fraction, list[DecodedPair]] = {}
        """The pairs of each scale, scales rising."""
        for pair in pairs.pairs:
            if reason := pair.unusable(crop):
                self.skipped.append(reason)
            else:
                self.by_scale.setdefault(pair.files.scale, []).append(pair)
        self.by_scale = {scale: self.by_scale[scale] for scale in sorted(self.by_scale)}
        self.pairs = [pair for group in self.by_scale.values() for pair in group]
        if not self.pairs:
            first = f" {self.skipped[0]}" if self.skipped else ""
            raise ImageError(f"No pair can be trained on: name images= and lr= that belong together.{first}")
        for sentence in self.skipped:
            log.warning("skipped: %s", sentence)

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def paths(self) -> list[Path]:
        """The files of the pairs, each HR image before its LR image."""
        return [path for pair in self.pairs for path in (pair.files.hr, pair.files.lr)]

    @property
    def scales(self) -> tuple[float, float]:
        """The lowest and the highest scale."""
        return float(min(self.by_scale)), float(max(self.by_scale))

    def batch(self, settings: TrainSettings, seed: int, step: int, part: int = 0, parts: int = 1) -> Batch:
        """Draw the batch of a step, or only part number `part` of `parts` equal parts of it.

        A sample is a crop of a pair, all pairs being equally likely; LR and HR crop are flipped and
        transposed alike. If the settings draw one scale for a batch, it is that of a pair that is drawn.
        Each sample depends on `seed`, `step` and its own number alone, as those of `ImageSet.batch`.
        """
        share = settings.batch // parts
        of_batch = self._drawn(self.pairs, sample_random(seed, step)).files.scale
        candidates = self.pairs if settings.scale_of == "sample" else self.by_scale[of_batch]
        drawn: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        for sample in range(part * share, (part + 1) * share):
            random = sample_random(seed, step, sample + 1)
            lr, hr = self._crops(self._drawn(candidates, random), random)
            drawn.setdefault(hr.shape[0], []).append((lr, hr))
        crops = [tuple(zip(*drawn[side], strict=True)) for side in sorted(drawn)]
        return Batch(torch.cat([_tensor(lr) for lr, _ in crops]), tuple(_tensor(hr) for _, hr in crops))

    @staticmethod
    def _drawn(pairs: Sequence[DecodedPair], random: np.random.Generator) -> DecodedPair:
        return pairs[int(random.integers(len(pairs)))]

    def _crops(self, pair: DecodedPair, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        step = pair.files.scale.denominator  # crops begin at whole HR pixels
        row, column = (
            step * int(random.integers((extent - self.crop) // step + 1)) for extent in pair.shared
        )
        flip_y, flip_x, transpose = random.integers(2, size=3)
        lr, hr = (
            crop[:: 1 - 2 * flip_y, :: 1 - 2 * flip_x] for crop in pair.cut(row, column, self.crop, self.crop)
        )
        return (lr.swapaxes(0, 1), hr.swapaxes(0, 1)) if transpose else (lr, hr)


def _tensor(crops: Sequence[np.ndarray]) -> torch.Tensor:  # [B, 3, n, n] float32 in [0, 1]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
