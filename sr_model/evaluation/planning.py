"""What an evaluation measures: which HR images, at which scales, by which LR images. No pixels are read."""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from dgp_mining.images.reader import ImageError

from ..image_io.hr_images import find_hr_images
from ..image_io.pairs import Pair, find_pairs

log = logging.getLogger(__name__)

Files = str | Path | Sequence[str | Path]
"""One path, or several."""


SMALLEST_SCALE = 0.25
"""Smallest scale: LR images are then sixteen times as large as HR images."""


@dataclass(frozen=True)
class Measurement:
    """One HR image at one scale."""

    path: Path
    """The HR image."""
    scale: float
    """The scale."""
    pair: Pair | None
    """The HR image and its LR image; None if the LR image is made."""
    name: str
    """The HR image's path below the folder of all, without its ending; unique with `scale` and `capture`."""
    capture: str = ""
    """The name of the LR image if the HR image has several at this scale; else empty."""


@dataclass(frozen=True)
class EvaluationPlan:
    """All measurements of an evaluation."""

    measurements: list[Measurement]
    """Image by image."""
    refused: list[str]
    """One sentence for each image that cannot be measured, as it lacks an LR image, say."""
    images: int
    """The number of HR images, the refused ones included."""
    lr: tuple[str, ...] = ()
    """The folders of LR images; empty if these are made."""

    def by_image(self) -> Iterator[list[Measurement]]:
        """The measurements of one HR image after another."""
        gathered: dict[Path, list[Measurement]] = {}
        for one in self.measurements:
            gathered.setdefault(one.path, []).append(one)
        yield from gathered.values()


def plan_evaluation(
    images: Files,
    scales: float | Sequence[float] | None,
    lr: Files | None = None,
    *,
    without: str | Path | None = None,
) -> EvaluationPlan:
    """Find the images to measure, and the scales.

    Args:
        images: a folder of HR images, searched recursively, or a list of files. Of a test set that holds LR
            images too, only the HR images are taken, and a line is logged (`sr_model.image_io.hr_images`).
        scales: a number above 0, whole or not, or several. With `lr`, None for the scales of the sizes;
            otherwise pairs of other scales are left out.
        lr: folders of LR images, paired with the HR images by name (`sr_model.image_io.pairs`); None to make
            them as the protocol says.
        without: a folder in which no images are searched.

    Raises:
        ImageError: for a folder without images, or whose HR images are not clear from its names; if no LR
            image of a folder belongs to an HR image, or none to a scale.
        ValueError: for no scale, or a scale that is not a finite number above 0.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (48, 40)).save(folder / "a.png")
    >>> [(one.name, one.scale) for one in plan_evaluation(folder, [2, 3.5]).measurements]
    [('a', 2.0), ('a', 3.5)]
    """
    wanted = None if scales is None and lr else _checked(scales)
    paths = hr_files(images, without=without)
    names = _names(paths)
    if not lr:
        made = [Measurement(path, scale, None, names[path]) for path in paths for scale in wanted or ()]
        return EvaluationPlan(made, [], len(paths))
    folders = [lr] if isinstance(lr, str | Path) else list(lr)
    pairs = find_pairs(paths, folders)
    for folder in folders if pairs.pairs else ():
        if not any(pair.lr.is_relative_to(folder) for pair in pairs.pairs):
            raise ImageError(f"{folder} has no LR image of any of the HR images: leave it out of lr=.")
    kept = [pair for one in pairs.pairs if (pair := _at_scale(one, wanted))]
    if not kept:
        where = " and ".join(map(str, folders))
        if pairs.pairs:
            there = ", ".join(f"{float(scale):g}" for scale in sorted({pair.scale for pair in pairs.pairs}))
            raise ImageError(
                f"The LR images in {where} are of scale {there}: leave out scales=, or name others with lr=."
            )
        raise ImageError(f"No image in {where} belongs to an HR image: {pairs.refused[0]}")
    return EvaluationPlan(
        list(_given(kept, names)), pairs.refused, len(paths), tuple(str(folder) for folder in folders)
    )


def hr_files(images: Files, argument: str = "images=", *, without: str | Path | None = None) -> list[Path]:
    """The files of a list, or the HR images of a folder; a line is logged if other images in it are left out.

    Raises ImageError, naming `argument`, as `find_hr_images` does.
    """
    if not isinstance(images, str | Path):
        return [Path(path) for path in images]
    found = find_hr_images(images, argument, without)
    if found.note:
        log.info("%s", found.note)
    return found.paths


def _checked(scales: float | Sequence[float] | None) -> list[float]:
    numbers = [scales] if isinstance(scales, int | float) else list(scales or ())
    if not numbers or not all(isinstance(scale, int | float) and 0 < scale < math.inf for scale in numbers):
        raise ValueError(f"scales= must be numbers above 0, such as [2, 3.7], got {numbers}")
    if min(numbers) < SMALLEST_SCALE:
        raise ValueError(
            f"scales= must be {SMALLEST_SCALE:g} or more, got {min(numbers):g}: LR images would be far "
            "larger than the HR images"
        )
    return [float(scale) for scale in numbers]


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """The paths below their common folder, without endings unless that makes two alike (a.png and a.jpg)."""
    places = {path: path.absolute() for path in paths}
    base = os.path.commonpath([place.parent for place in places.values()]) if places else ""
    full = {path: place.relative_to(base) for path, place in places.items()}
    count = Counter(place.with_suffix("") for place in full.values())
    return {
        path: (place if count[place.with_suffix("")] > 1 else place.with_suffix("")).as_posix()
        for path, place in full.items()
    }


def _at_scale(pair: Pair, wanted: Sequence[float] | None) -> Pair | None:
    """The pair at the first of the scales that fits its sizes within a pixel of the LR image; else None."""
    if wanted is None:
        return pair
    for number in wanted:
        scale = Fraction(number).limit_denominator(1000)
        sizes = zip(pair.hr_size, pair.lr_size, strict=True)
        if all(abs(extent - scale * small) < scale for extent, small in sizes):
            return replace(pair, scale=scale)
    return None


def _given(pairs: Sequence[Pair], names: dict[Path, str]) -> Iterator[Measurement]:
    """The measurements of pairs."""
    count = Counter((pair.hr, pair.scale) for pair in pairs)
    for pair in pairs:
        capture = pair.lr.name if count[pair.hr, pair.scale] > 1 else ""
        yield Measurement(pair.hr, float(pair.scale), pair, names[pair.hr], capture)
