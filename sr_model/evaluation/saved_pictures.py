"""Saving the upscaled pictures of an evaluation, to look at what was measured."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from dgp_mining.images.reader import ImageError
from splat2d.atomic_write import make_folder

from ..image_io.metadata import Metadata
from ..image_io.writer import Target, write_image
from .planning import Measurement
from .protocol import Comparison

RUN_FILES = ("best", "last")
"""Names of the checkpoints that every training run has; the run's folder tells them apart."""


@dataclass(frozen=True)
class SavedPictures:
    """A folder of 8-bit PNG files, `<image>_x<scale>_<model>.png`, below it as the HR images below theirs.

    They are what protocols that round to 8 bits have measured, to the bit; under the others the files are
    rounded, and the figures are not.

    >>> pictures = SavedPictures("pictures", model_label("runs/a/best.safetensors"), bicubic=True)
    >>> [path.as_posix() for path in pictures.files(Measurement(Path("Set5/HR/baby.png"), 4.0, None, "baby"))]
    ['pictures/baby_x4_a_best.png', 'pictures/baby_x4_bicubic.png']
    """

    folder: str | Path
    """Where the pictures are saved."""
    label: str
    """What stands for the network in their names."""
    bicubic: bool = False
    """Whether the results of bicubic interpolation are saved too."""
    overwrite: bool = False
    """Whether to replace files that exist."""

    def files(self, measurement: Measurement) -> list[Path]:
        """The files of a measurement: the network's, and that of bicubic interpolation if it is asked for."""
        capture = f"_{Path(measurement.capture).stem}" if measurement.capture else ""
        start = f"{measurement.name}{capture}_x{measurement.scale:g}"
        labels = [self.label, "bicubic"] if self.bicubic else [self.label]
        return [Path(self.folder) / f"{start}_{label}.png" for label in labels]

    def check(self, measurements: Iterable[Measurement]) -> None:
        """Raise ImageError if the files cannot be written, or exist and `overwrite` is false."""
        folder = Path(self.folder)
        place = next(place for place in (folder, *folder.resolve().parents) if place.exists())
        if not place.is_dir():
            raise ImageError(f"{place} is a file, but pictures are saved in a folder: name one with save=.")
        if not os.access(place, os.W_OK):
            raise ImageError(f"{folder} cannot be written: the folder {place} is write-protected.")
        if self.label == "bicubic" and self.bicubic:
            raise ImageError(f"The network's pictures in {folder} would be called bicubic: rename its file.")
        existing = [path for one in measurements for path in self.files(one) if path.exists()]
        if existing and not self.overwrite:
            more = f" and {len(existing) - 1:,} more" if len(existing) > 1 else ""
            exist = "exist" if more else "exists"
            raise ImageError(
                f"{existing[0]}{more} {exist} already: replace with overwrite=True, or name another folder "
                "with save=."
            )

    def save(self, measurement: Measurement, images: Comparison) -> None:
        """Write the pictures of a measurement. Raises ImageError, naming the file, if that is impossible."""
        for path, picture in zip(self.files(measurement), (images.network, images.bicubic), strict=False):
            try:
                make_folder(path.parent)
            except OSError as error:
                raise ImageError(f"{path} cannot be written ({error.strerror or error}).") from error
            _write(path, picture)


def model_label(model: str | Path | None) -> str:
    """The name of a checkpoint in file names: of its run and itself for `best` and `last`.

    >>> model_label("runs/a/best.safetensors"), model_label("gsasr.safetensors"), model_label(None)
    ('a_best', 'gsasr', 'reference')
    """
    if model is None:
        return "reference"
    path = Path(model)
    run = path.resolve().parent.name
    return f"{run}_{path.stem}" if path.stem in RUN_FILES and run else path.stem


def _write(path: Path, picture: Tensor) -> None:
    pixels = np.ascontiguousarray((picture * 255).round().byte().permute(1, 2, 0).numpy())
    height, width, channels = pixels.shape
    target = Target(path, height, width, channels, np.dtype(np.uint8), Metadata(None))
    write_image(target, iter([pixels]))
