"""Crops to look at: their pixels, their fields, and fields as files for other programs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from splat2d import GaussianField

from .chunk import one_torch_thread
from .dictionary import DictionaryError, covariance_from_cholesky, principal_axes
from .fit import fit_image
from .images import ImageError
from .loading import load_crops
from .plan import seed_of
from .results import DONE
from .store import Store, StoreError
from .task import PlannedChunk, Task


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A fitted crop."""

    crop: int
    """Its number in the store."""
    name: str
    """Its image."""
    position: tuple[int, int]
    """(row, column) of its first pixel."""
    pixels: np.ndarray | None
    """[side, side, C] float32; None where the images are not at hand."""
    field: GaussianField
    """What was fitted to it."""


def exhibit(store: Store, crop: int, images: str | Path | None = None) -> Exhibit:
    """A crop with its field: as kept in the store, else fitted again from `images`, or from the folder that
    the store names, which takes as long as it did.

    Raises StoreError where the crop is none that was fitted, ImageError where the image is needed and not
    there, or is not what it was.
    """
    if not 0 <= crop < len(store):
        raise StoreError(f"{store.path} has no crop {crop}: its crops are 0 to {len(store) - 1}.")
    if (status := store.read("crops/status", np.array([crop]))[0]) != DONE:
        raise StoreError(f"Crop {crop} of {store.path} is {('pending', 'done', 'failed')[status]}.")
    plan = store.plan
    name = plan.names[plan.image[crop]]
    row, column = plan.position[crop].tolist()
    folder, field = images or store.folder, store.field(crop)
    pixels = None
    if folder is not None and (field is None or (Path(folder) / name).is_file()):
        pixels = _pixels(store, crop, Path(folder), (name, row, column))
    if field is None:
        if pixels is None:
            raise ImageError(
                f"{store.path} keeps no fields, and has images of several folders: name them with --images."
            )
        field = _fit_again(store, pixels, (name, row, column))
    return Exhibit(crop, name, (row, column), pixels, field)


def check_format(path: str | Path) -> None:
    """Raise ValueError where a field cannot be exported to a file of this name."""
    if Path(path).suffix.lower() not in _WRITERS:
        *most, last = _WRITERS
        raise ValueError(f"{path} must end in {', '.join(most)} or {last}: change --to.")


def export_field(shown: Exhibit, path: str | Path) -> None:
    """Write the field of a crop: rendered (.png), for splat2d (.safetensors), for viewers of splats (.ply).

    Raises ValueError where it is to be no such kind of file, DictionaryError where it cannot be written.
    """
    path = Path(path)
    check_format(path)
    try:
        _WRITERS[path.suffix.lower()](shown, path)
    except OSError as error:
        reason = error.strerror or error
        raise DictionaryError(f"{path} cannot be written ({reason}): name another with --to.") from error


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Pixels [H, W, C] in [0, 1] as uint8 [H, W, 3]: one channel as grey, of more than three the first."""
    image = np.clip(np.nan_to_num(image), 0, 1)
    image = np.repeat(image[..., :1], 3, axis=-1) if image.shape[-1] < 3 else image[..., :3]
    return np.round(255 * image).astype(np.uint8)


def rendered(field: GaussianField) -> np.ndarray:  # [H, W, C] float32
    """A field of one row at its own size."""
    return field.render()[0].permute(1, 2, 0).numpy()


def _pixels(store: Store, crop: int, folder: Path, planned: tuple[str, int, int]) -> np.ndarray:
    if not folder.is_dir():
        raise ImageError(f"{folder} is not there: name the folder of the images with --images.")
    task = Task(store="", images=str(folder), fitter="", chunks=(PlannedChunk(0, (planned,)),))
    loaded = next(load_crops(task, store.settings["crop"]))
    if loaded.pixels is None:
        raise ImageError(loaded.error)
    if loaded.sha256 != store.read("crops/sha256", np.array([crop]))[0].tobytes():
        raise ImageError(f"{folder / planned[0]} is not the file that it was when it was fitted.")
    return loaded.pixels


def _fit_again(store: Store, pixels: np.ndarray, planned: tuple[str, int, int]) -> GaussianField:
    settings = store.settings
    seed = int(np.random.default_rng(seed_of(settings["seed"], *planned)).integers(2**31))
    recipe = {key: settings[key] for key in ("density", "recipe", "iterations")}
    recipe["target_psnr"] = settings.get("target_psnr")  # older stores know of none
    with one_torch_thread():
        return fit_image(pixels, seed=seed, **recipe).field


def _write_png(shown: Exhibit, path: Path) -> None:
    Image.fromarray(to_bytes(rendered(shown.field))).save(path)


def _write_safetensors(shown: Exhibit, path: Path) -> None:
    shown.field.save(path, image=shown.name, row=str(shown.position[0]), column=str(shown.position[1]))


def _write_ply(shown: Exhibit, path: Path) -> None:
    """Flat splats in the plane z = 0, y down, a pixel a unit, through gsplat's exporter.

    Only to look at shapes and places: viewers composite splats with opacity, where a field is a plain sum. So
    colours are those that a cell of such Gaussians adds up to, between 0 and 1, and all are equally opaque.
    """
    try:
        from gsplat.exporter import export_splats
    except ImportError as error:
        raise DictionaryError(
            f"{path} needs gsplat: install it with \"pip install 'dgp-mining[viewer]'\"."
        ) from error
    field = shown.field
    means, colors = field.means[0], field.colors[0]
    axes = principal_axes(covariance_from_cholesky(field.cholesky[0].numpy()))
    long, short, angle = (torch.from_numpy(axis).float() for axis in axes)
    half, zero = torch.deg2rad(angle) / 2, torch.zeros_like(angle)
    per_pixel = len(means) / (field.size[0] * field.size[1])
    rgb = (colors * (2 * math.pi * per_pixel * long * short)[:, None]).clamp(0, 1)
    rgb = rgb[:, :3] if rgb.shape[1] >= 3 else rgb[:, :1].expand(-1, 3)
    export_splats(
        means=torch.cat([means, zero[:, None]], 1),
        scales=torch.stack([long, short, torch.full_like(zero, 1e-3)], -1).log(),
        quats=torch.stack([half.cos(), zero, zero, half.sin()], -1),
        opacities=torch.full_like(zero, 2.0),  # a logit: 0.88
        sh0=((rgb - 0.5) / 0.28209479177387814)[:, None],  # of the constant spherical harmonic
        shN=torch.zeros(len(means), 0, 3),
        format="ply",
        save_to=str(path),
    )


_WRITERS = {".png": _write_png, ".safetensors": _write_safetensors, ".ply": _write_ply}
