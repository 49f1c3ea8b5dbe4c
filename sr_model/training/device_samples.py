"""Training samples cut and reduced on a GPU, on which all images lie: a step does not wait for the CPU.

Each batch is one gather and two matrix products, whatever the scales of its samples: flips and transposition
of a crop are strides into the pixels of all images, and MATLAB's bicubic reduction is one matrix per size.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor

from dgp_mining.machine import amount
from splat2d.matlab_imresize import resize_matrix

from ..config.training_settings import TrainSettings
from ..memory import free_memory
from ..scaling import scaled_extent
from .pair_samples import PairSet
from .samples import Batch, Draw, ImageSet
from .upload import upload

log = logging.getLogger(__name__)

LARGEST_SHARE = 4
"""Images stay in the CPU's memory if they would take more than one part in so many of the GPU's that is
free."""


class DeviceImages:
    """All images of a set on one device. Draws the samples that the set draws, and makes them there."""

    noun = ImageSet.noun

    def __init__(self, images: ImageSet, settings: TrainSettings, device: torch.device) -> None:
        """Copy the images to `device`.

        Args:
            images: the set to draw from.
            settings: crop, scales and degradation, which must be `plain`: without random effects.
            device: where batches are to be made.
        """
        self.images = images
        self.device = device
        counts = [image.shape[0] * image.shape[1] for image in images.images]
        self.first = np.cumsum([0, *counts])
        """Index of each image's first pixel."""
        self.pixels = torch.empty((int(self.first[-1]), 3), dtype=torch.uint8, device=device)
        """Pixels of all images, one after another."""
        for image, first, count in zip(images.images, self.first[:-1], counts, strict=True):
            self.pixels[first : first + count] = torch.from_numpy(np.array(image).reshape(-1, 3))
        self.smallest, self.largest = (scaled_extent(settings.crop, scale) for scale in settings.scales)
        dtype = torch.float64 if settings.degradation.eight_bit else torch.float32
        self.matrices = reduction_matrices(settings.crop, self.smallest, self.largest).to(device, dtype)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, settings: TrainSettings, seed: int, step: int, part: int = 0, parts: int = 1) -> Batch:
        """Make the samples that `ImageSet.batch` makes with the same arguments, up to rounding."""
        groups = self.images.draw(settings, seed, step, part, parts)
        draws = [draw for group in groups for draw in group]
        crops = self._cut(draws)
        hr = crops.permute(0, 3, 1, 2).float() / 255
        lr = self._reduce_levels(crops, draws) if settings.degradation.eight_bit else self._reduce(hr, draws)
        ends = np.cumsum([len(group) for group in groups])
        parts_of_hr = (
            hr[end - len(group) : end, :, : group[0].side, : group[0].side]
            for group, end in zip(groups, ends, strict=True)
        )
        return Batch(lr, tuple(parts_of_hr))

    def _cut(self, draws: list[Draw]) -> Tensor:
        """Cut crops, each in the top left corner of [B, m, m, 3] uint8, m being the largest side.

        Pixels beyond a crop's own side repeat its last row and column.
        """
        places = [self._strides(draw) for draw in draws]
        start, down, right, side = upload(torch.tensor(places), self.device).T
        along = torch.arange(max(draw.side for draw in draws), device=self.device)
        inside = torch.minimum(along, side[:, None] - 1)  # [B, m]
        rows, columns = start[:, None] + down[:, None] * inside, right[:, None] * inside
        index = rows[:, :, None] + columns[:, None, :]
        return self.pixels.index_select(0, index.flatten()).view(*index.shape, 3)

    def _strides(self, draw: Draw) -> tuple[int, int, int, int]:
        """Index of a crop's first pixel, the steps to the pixels below and to the right, and its side."""
        width = self.images.images[draw.image].shape[1]
        start = int(self.first[draw.image]) + draw.row * width + draw.column
        down, right = width, 1
        if draw.flip_y:
            start, down = start + (draw.side - 1) * down, -down
        if draw.flip_x:
            start, right = start + (draw.side - 1) * right, -right
        if draw.transpose:
            down, right = right, down
        return start, down, right, draw.side

    def _matrices(self, draws: list[Draw]) -> Tensor:  # [B or 1, 1, n, m]
        sides = [draw.side - self.smallest for draw in draws]
        largest = max(draw.side for draw in draws)
        if len(set(sides)) == 1:
            return self.matrices[sides[0], None, None, :, :largest]
        return self.matrices.index_select(0, upload(torch.tensor(sides), self.device))[:, None, :, :largest]

    def _reduce(self, hr: Tensor, draws: list[Draw]) -> Tensor:  # [B, 3, n, n]
        matrices = self._matrices(draws)
        return (matrices @ hr @ matrices.mT).clamp(0, 1)

    def _reduce_levels(self, crops: Tensor, draws: list[Draw]) -> Tensor:
        """Reduce as MATLAB reduces uint8 images: rounded after each of the two passes."""
        matrices, levels = self._matrices(draws), crops.permute(0, 3, 1, 2).double()
        levels = (matrices @ levels + 0.5).floor().clamp(0, 255)
        levels = (levels @ matrices.mT + 0.5).floor().clamp(0, 255)
        return levels.float() / 255


def reduction_matrices(crop: int, smallest: int, largest: int) -> Tensor:
    """The matrices that reduce `smallest`, `smallest` + 1 ... `largest` pixels to `crop`.

    Returns [largest - smallest + 1, crop, largest] float64; columns beyond an extent are zero.
    """
    matrices = torch.zeros(largest - smallest + 1, crop, largest, dtype=torch.float64)
    for index, extent in enumerate(range(smallest, largest + 1)):
        matrices[index, :, :extent] = resize_matrix(extent, crop, crop / extent)
    return matrices


def on_device(
    images: ImageSet | PairSet, settings: TrainSettings, device: torch.device
) -> ImageSet | PairSet | DeviceImages:
    """Move images to the GPU if there is one, if they fit, and if their degradation can be computed there.

    Pairs stay where they are.
    """
    if isinstance(images, PairSet) or device.type != "cuda" or not settings.degradation.plain:
        return images
    needed, free = sum(image.nbytes for image in images.images), free_memory(device)
    if needed * LARGEST_SHARE > free:
        log.info("the images (%s) are cropped on the CPU: the GPU has %s free", amount(needed), amount(free))
        return images
    return DeviceImages(images, settings, device)
