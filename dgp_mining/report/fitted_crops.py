"""Fitted crops with their pixels and fields, to show or export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from splat2d import GaussianField

from ..fitting.fit import fit_image
from ..fitting.loop import one_torch_thread
from ..images.reader import ImageError
from ..planning.crop_loader import load_crops
from ..planning.plan import fit_seed
from ..store.crop_results import DONE
from ..store.store import Store, StoreError


@dataclass(frozen=True, eq=False)
class FittedCrop:
    """A crop of a store with its field."""

    crop: int
    """Index of the crop in the store."""
    name: str
    """Name of its image."""
    position: tuple[int, int]
    """(row, column) of its first pixel."""
    pixels: np.ndarray | None
    """[side, side, C] float32 in [0, 1]; None if the image is not available."""
    field: GaussianField
    """The fitted field (B = 1), in pixels of the crop."""


def fitted_crop(store: Store, crop: int, images: str | Path | None = None) -> FittedCrop:
    """Load a crop with its field from a store; if the store keeps no fields, fit the crop again.

    Pixels are read from `images`, by default from the folder that was mined. A new fit, on the CPU, gives the
    same bits as the first one unless only one of them had the C++ library.

    Raises StoreError if the crop was not fitted, ImageError if its image has changed, or is needed for a new
    fit but missing.
    """
    if not 0 <= crop < len(store):
        raise StoreError(f"{store.path} has no crop {crop}: its crops are 0 to {len(store) - 1}.")
    if (status := store.at(np.array([crop])).status[0]) != DONE:
        raise StoreError(f"Crop {crop} of {store.path} is {('pending', 'done', 'failed')[status]}.")
    plan = store.plan
    name = plan.names[plan.image[crop]]
    row, column = plan.position[crop].tolist()
    folder, field = images or store.folder, store.field(crop)
    pixels = None
    if folder is not None and (field is None or (Path(folder) / name).exists()):
        pixels = _pixels(store, crop, Path(folder), (name, row, column))
    if field is None:
        if pixels is None:
            raise ImageError(
                f"{store.path} keeps no fields, and has images of several folders: "
                "name the crop's folder with images=."
            )
        field = _fit_again(store, pixels, (name, row, column))
    return FittedCrop(crop, name, (row, column), pixels, field)


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Convert [H, W, C] in [0, 1] to uint8 [H, W, 3]: the first three channels, or the first one as grey."""
    image = np.clip(np.nan_to_num(image), 0, 1)
    image = np.repeat(image[..., :1], 3, axis=-1) if image.shape[-1] < 3 else image[..., :3]
    return np.round(255 * image).astype(np.uint8)


def rendered(field: GaussianField) -> np.ndarray:  # [H, W, C] float32
    """Render a field (B = 1) at its own size."""
    return field.render()[0].permute(1, 2, 0).numpy()


def _pixels(store: Store, crop: int, folder: Path, planned: tuple[str, int, int]) -> np.ndarray:
    if not folder.is_dir():
        raise ImageError(f"{folder} does not exist: name the folder of the images with images=.")
    loaded = next(load_crops(folder, [planned], store.settings.crop, store.settings.reading))
    if loaded.pixels is None:
        raise ImageError(loaded.error)
    if loaded.sha256 != store.at(np.array([crop])).sha256[0].tobytes():
        raise ImageError(f"{folder / planned[0]} has changed since it was fitted.")
    return loaded.pixels


def _fit_again(store: Store, pixels: np.ndarray, planned: tuple[str, int, int]) -> GaussianField:
    settings = store.settings
    seed = fit_seed(settings.seed, planned)[0]
    with one_torch_thread():
        return fit_image(pixels, seed=seed, **settings.fit_arguments()).field
