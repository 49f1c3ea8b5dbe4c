"""A batch as a picture to look at, and as tensors to load again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from splat2d.atomic_write import atomic_write

from ..checkpoints.tensor_file import write_tensors
from .errors import TrainingError
from .samples import Batch

FORMAT = "sr_model-batch/1"
COLUMNS = 8
"""Samples in a row."""
MAX_SAMPLES = 64
"""Samples shown at most."""
GAP = 4
"""White pixels between samples."""


def save_batch(batch: Batch, path: Path, header: Mapping[str, Any]) -> None:
    """Write a batch's tensors to `path` (safetensors) and its preview to the same name in .png.

    Raises CheckpointError if the tensors, TrainingError if the preview cannot be written.
    """
    tensors = {"lr": batch.lr} | {f"hr.{index}": hr for index, hr in enumerate(batch.hr)}
    write_tensors(path, tensors, FORMAT, header)
    save_preview(batch, path.with_suffix(".png"))


def save_preview(batch: Batch, path: Path) -> None:
    """Write a PNG of the first samples, LR crops above their HR crops.

    Raises TrainingError if it cannot be written.
    """
    try:
        with atomic_write(path) as partial:
            Image.fromarray(preview(batch)).save(partial, "PNG")
    except OSError as error:
        raise TrainingError(f"{path} cannot be written ({error.strerror or error}).") from error


def preview(batch: Batch) -> np.ndarray:
    """The picture of a batch, [H, W, 3] uint8."""
    crops = [crop for hr in batch.hr for crop in hr][:MAX_SAMPLES]
    side = max(hr.shape[-1] for hr in batch.hr)
    tiles = [_tile(lr, hr, side) for lr, hr in zip(batch.lr, crops, strict=False)]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    height, width = (extent + GAP for extent in tiles[0].shape[:2])
    picture = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = height * (index // columns), width * (index % columns)
        picture[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return picture


def _tile(lr: Tensor, hr: Tensor, side: int) -> np.ndarray:  # [2 * side + GAP, side, 3] uint8
    """An LR crop, magnified to the size of its HR crop by pixel repetition, above the HR crop."""
    tile = np.full((2 * side + GAP, side, 3), 255, np.uint8)
    extent = hr.shape[-1]
    for top, crop in ((0, F.interpolate(lr[None], (extent, extent), mode="nearest")[0]), (side + GAP, hr)):
        pixels = (crop.nan_to_num().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        tile[top : top + extent, :extent] = pixels
    return tile
