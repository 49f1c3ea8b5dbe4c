"""Writing a fitted field to a file: PNG, safetensors, or PLY for splat viewers."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from PIL import Image

from splat2d.atomic_write import atomic_write

from ..covariance import covariance_from_cholesky, principal_axes
from .errors import ReportError
from .fitted_crops import FittedCrop, rendered, to_bytes


def check_format(path: str | Path) -> None:
    """Raise ReportError if the suffix of `path` is not that of a format that `export_field` writes."""
    if Path(path).suffix.lower() not in _WRITERS:
        *most, last = _WRITERS
        raise ReportError(f"{path} must end in {', '.join(most)} or {last}: change path=.")


def export_field(fitted: FittedCrop, path: str | Path) -> None:
    """Write the field of a crop: rendered (.png), for splat2d (.safetensors), or for splat viewers (.ply).

    Raises ReportError if `path` has another suffix or cannot be written, or, for .ply, if gsplat is not
    installed.
    """
    path = Path(path)
    check_format(path)
    try:
        with atomic_write(path) as partial:
            _WRITERS[path.suffix.lower()](fitted, partial)
    except OSError as error:
        reason = error.strerror or error
        raise ReportError(f"{path} cannot be written ({reason}): name another file with path=.") from error


def _write_png(fitted: FittedCrop, path: Path) -> None:
    Image.fromarray(to_bytes(rendered(fitted.field))).save(path, "PNG")


def _write_safetensors(fitted: FittedCrop, path: Path) -> None:
    fitted.field.save(path, image=fitted.name, row=str(fitted.position[0]), column=str(fitted.position[1]))


def _write_ply(fitted: FittedCrop, path: Path) -> None:
    """Write flat splats in the plane z = 0, y down, one unit per pixel, with gsplat's exporter.

    For inspecting shapes and positions only: viewers composite splats by opacity, whereas a field is a plain
    sum. Each splat has the colour that a grid of such Gaussians would add up to, or its own colour in a
    normalised field, clamped to [0, 1], and all are equally opaque.
    """
    try:
        from gsplat.exporter import export_splats
    except ImportError as error:
        raise ReportError(
            "A .ply file needs gsplat: install it with \"pip install 'dgp-mining[viewer]'\"."
        ) from error
    field = fitted.field
    means, colors = field.means[0], field.colors[0]
    axes = principal_axes(covariance_from_cholesky(field.cholesky[0].numpy()))
    long, short, angle = (torch.from_numpy(axis).float() for axis in axes)
    half, zero = torch.deg2rad(angle) / 2, torch.zeros_like(angle)
    per_pixel = len(means) / (field.size[0] * field.size[1])
    overlap = torch.ones_like(long) if field.normalised else 2 * math.pi * per_pixel * long * short
    rgb = (colors * overlap[:, None]).clamp(0, 1)
    rgb = rgb[:, :3] if rgb.shape[1] >= 3 else rgb[:, :1].expand(-1, 3)
    export_splats(
        means=torch.cat([means, zero[:, None]], 1),
        scales=torch.stack([long, short, torch.full_like(zero, 1e-3)], -1).log(),
        quats=torch.stack([half.cos(), zero, zero, half.sin()], -1),
        opacities=torch.full_like(zero, 2.0),  # the logit of 0.88
        sh0=((rgb - 0.5) / 0.28209479177387814)[:, None],  # coefficient of the constant spherical harmonic
        shN=torch.zeros(len(means), 0, 3),
        format="ply",
        save_to=str(path),
    )


_WRITERS = {".png": _write_png, ".safetensors": _write_safetensors, ".ply": _write_ply}
