"""A fitted field as a file: PNG, safetensors, or PLY for splat viewers."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from PIL import Image

from ..covariance import covariance_from_cholesky, principal_axes
from ..prior.dictionary import DictionaryError
from .fitted_crops import FittedCrop, rendered, to_bytes


def check_format(path: str | Path) -> None:
    """Raise ValueError where a field cannot be exported to a file of this name."""
    if Path(path).suffix.lower() not in _WRITERS:
        *most, last = _WRITERS
        raise ValueError(f"{path} must end in {', '.join(most)} or {last}: change --to.")


def export_field(shown: FittedCrop, path: str | Path) -> None:
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


def _write_png(shown: FittedCrop, path: Path) -> None:
    Image.fromarray(to_bytes(rendered(shown.field))).save(path)


def _write_safetensors(shown: FittedCrop, path: Path) -> None:
    shown.field.save(path, image=shown.name, row=str(shown.position[0]), column=str(shown.position[1]))


def _write_ply(shown: FittedCrop, path: Path) -> None:
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
