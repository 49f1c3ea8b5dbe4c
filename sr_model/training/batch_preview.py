"""A batch as one can look at it, and as it can be loaded again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..checkpoints.tensor_file import CheckpointError, write_tensors
from .samples import Batch

FORMAT = "sr_model-batch/1"
COLUMNS = 8
"""Samples side by side."""
MOST = 64
"""Samples that a picture shows."""
GAP = 4
"""White pixels between samples."""


def save_batch(batch: Batch, path: Path, header: Mapping[str, Any]) -> None:
    """Write a batch, its tensors to `path` (safetensors) and its picture beside it. CheckpointError."""
    tensors = {"lr": batch.lr} | {f"hr.{index}": hr for index, hr in enumerate(batch.hr)}
    write_tensors(path, tensors, FORMAT, header)
    save_sheet(batch, path.with_suffix(".png"))


def save_sheet(batch: Batch, path: Path) -> None:
    """Write a PNG of the first samples, LR crops above their HR crops. Raises CheckpointError."""
    crops = [crop for hr in batch.hr for crop in hr][:MOST]
    side = max(hr.shape[-1] for hr in batch.hr)
    tiles = [_tile(lr, hr, side) for lr, hr in zip(batch.lr, crops, strict=False)]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    height, width = (extent + GAP for extent in tiles[0].shape[:2])
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = height * (index // columns), width * (index % columns)
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    try:
        Image.fromarray(sheet).save(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror}.") from error


def _tile(lr: Tensor, hr: Tensor, side: int) -> np.ndarray:  # [2 * side + GAP, side, 3] uint8
    """LR pixels enlarged as squares, to the size of the HR crop."""
    tile = np.full((2 * side + GAP, side, 3), 255, np.uint8)
    extent = hr.shape[-1]
    for top, crop in ((0, F.interpolate(lr[None], (extent, extent), mode="nearest")[0]), (side + GAP, hr)):
        pixels = (crop.nan_to_num().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        tile[top : top + extent, :extent] = pixels
    return tile
