"""Pairs of a high-resolution (HR) and a low-resolution (LR) image: found by file name, with the scale that
their sizes give. Only headers are read.

Names are paired with or without the suffixes of the field's data sets: `0001x4` and `0001x4w2` (DIV2K),
`baby_LRBI_x4` and `baby_HR_x4` (RCAN), `img_001_SRF_4_LR` and `..._HR` (SelfExSR), `Canon_001_LR4` and
`..._HR` (RealSR), `P1_x4` and `P1_x1` (DRealSR).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path

from dgp_mining.images.paths import real_path
from dgp_mining.images.reader import ImageError, image_size

from ..scaling import scale_between
from .reader import images_in

Size = tuple[int, int]
"""(height, width) in pixels."""

_SCALE = r"x\d+(\.\d+)?"
LR_SUFFIXES = tuple(
    re.compile(suffix + "$", re.IGNORECASE)
    for suffix in (
        rf"[_-]?{_SCALE}([wmd]\d*)?",  # the letter: DIV2K's tracks wild, mild and difficult
        rf"[_-](LR(BI|BD|DN)?|LQ|bicubic)\d*([_-]?{_SCALE})?",
        r"[_-]SRF[_-]\d+[_-]LR",
    )
)
"""Ends of the names of LR images."""
HR_SUFFIXES = tuple(
    re.compile(suffix + "$", re.IGNORECASE)
    for suffix in (rf"[_-](HR|GT)([_-]?{_SCALE})?", r"[_-]SRF[_-]\d+[_-]HR", r"[_-]x1")
)
"""Ends of the names of HR images."""


@dataclass(frozen=True)
class Pair:
    """An HR image and its LR image."""

    hr: Path
    """File of the HR image."""
    lr: Path
    """File of the LR image."""
    hr_size: Size
    """Size of the HR image."""
    lr_size: Size
    """Size of the LR image."""
    scale: Fraction
    """The scale of both axes, by `scale_of_sizes`."""

    @property
    def covered(self) -> Size:
        """Size of the part of the HR image, from its top left, that the LR image shows.

        What was cropped at the bottom and right before the reduction is outside. An LR image whose size was
        rounded up also shows up to a pixel beyond the HR image.

        >>> Pair(Path("0001.png"), Path("0001x4.png"), (1353, 2040), (338, 510), Fraction(4)).covered
        (1352, 2040)
        """
        height, width = (
            min(extent, floor(self.scale * small))
            for extent, small in zip(self.hr_size, self.lr_size, strict=True)
        )
        return height, width


@dataclass(frozen=True)
class FoundPairs:
    """The pairs of a list of HR images."""

    pairs: list[Pair]
    """In the order of the HR images, then of the folders, then of the LR images' names."""
    refused: list[str]
    """One sentence for each HR image that lacks an LR image, and for each LR image that cannot be paired."""


def find_pairs(images: Sequence[Path], folders: Sequence[str | Path], argument: str = "lr=") -> FoundPairs:
    """Find the LR images of HR images in folders, which are searched recursively.

    An HR image may have several LR images: of several scales, or several captures. An LR image belongs to the
    HR image with which it shares the longest name, after suffixes are removed; of several with that name, to
    the one in whose path it shares most folders. Files that are also among `images` are LR images only if
    their name says so (`_LR`), and HR images otherwise.

    Every HR image without an LR image in a folder that has LR images of others is in `refused`, and so are LR
    images that may belong to several HR images, unreadable images, and pairs whose sizes do not belong to one
    scale.

    Args:
        images: files of HR images.
        folders: folders of LR images.
        argument: the argument that named the folders, for errors.

    Raises:
        ImageError: for a folder that does not exist or holds no images.
    """
    low = {folder: images_in(folder, argument) for folder in map(Path, folders)}
    listed = {real_path(path) for path in images}
    both = {path for paths in low.values() for path in paths if real_path(path) in listed}
    low = {
        folder: [path for path in paths if path not in both or is_low_resolution(path)]
        for folder, paths in low.items()
    }
    marked = {real_path(path) for path in both if is_low_resolution(path)}
    high = [path for path in images if real_path(path) not in marked]
    partners, refused = _partners(high, low)
    pairs: list[Pair] = []
    for hr in high:
        for lr in partners[hr]:
            try:
                pairs.append(sized_pair(hr, lr))
            except ImageError as error:
                refused.append(str(error))
            except OSError as error:  # of the disk or network, after which others may still be readable
                refused.append(f"{error.filename or hr} cannot be read ({error.strerror or error}).")
    return FoundPairs(pairs, list(dict.fromkeys(refused)))


def sized_pair(hr: Path, lr: Path) -> Pair:
    """Return the pair of two files.

    Raises ImageError, naming them, if one is unreadable, the LR image is larger, or the sizes do not belong
    to one scale.
    """
    hr_size, lr_size = image_size(hr), image_size(lr)
    (height, width), (rows, columns) = hr_size, lr_size
    sizes = f"{lr} has {columns}x{rows} pixels and its HR image {hr} {width}x{height}"
    if rows > height or columns > width:
        raise ImageError(f"{sizes}: an LR image must not be larger.")
    scale = scale_of_sizes(hr_size, lr_size)
    if scale is None:
        raise ImageError(
            f"{sizes}: x{height / rows:.4g} in height and x{width / columns:.4g} in width, not one scale."
        )
    return Pair(hr, lr, hr_size, lr_size, scale)


def scale_of_sizes(hr: Size, lr: Size) -> Fraction | None:
    """Return the scale s between two sizes, at which LR row i shows HR rows s i to s (i + 1), columns alike.

    It is a whole number if H and W are within s, a pixel of the LR image, of s h and s w: HR images are
    cropped to a multiple of s before they are reduced, or the size of LR images is rounded down or up
    (MATLAB's `imresize`). Else it is the ratio of one axis, the one with the smaller denominator, if the
    other axis agrees with it within a pixel of the LR image. Otherwise there is none.

    An image that was resized to its size (rather than by a scale), as Pillow does, has a slightly different
    ratio along each axis, and is shifted against its HR image by up to a pixel of it at the far borders
    unless the HR image's size is a multiple of s.

    >>> scale_of_sizes((1353, 2040), (339, 510)), scale_of_sizes((1353, 2040), (338, 510))
    (Fraction(4, 1), Fraction(4, 1))
    >>> scale_of_sizes((1404, 2040), (562, 816))
    Fraction(5, 2)
    """
    axes = list(zip(hr, lr, strict=True))
    whole = Fraction(max(1, round(scale_between(lr, hr))))
    ratios = sorted((Fraction(*axis) for axis in axes), key=lambda ratio: ratio.denominator)
    for scale in (whole, *ratios):
        if all(abs(extent - scale * small) < scale for extent, small in axes):
            return scale
    return None


def is_low_resolution(path: Path) -> bool:
    """Whether the name of a file says that it is an LR image: it has one of LR_SUFFIXES, not of HR_SUFFIXES.

    >>> [is_low_resolution(Path(name)) for name in ("cam_LR4.png", "0001x2.png", "cam_HR.png", "cam_x1.png")]
    [True, True, False, False]
    """
    return any(s.search(path.stem) for s in LR_SUFFIXES) and not any(s.search(path.stem) for s in HR_SUFFIXES)


def _partners(high: Sequence[Path], low: dict[Path, list[Path]]) -> tuple[dict[Path, list[Path]], list[str]]:
    """The LR images of each HR image, and a sentence for each that lacks one or is ambiguous."""
    by_name: dict[str, list[Path]] = {}
    for hr in high:
        for name in _names(hr, HR_SUFFIXES):
            by_name.setdefault(name, []).append(hr)
    partners: dict[Path, list[Path]] = {hr: [] for hr in high}
    refused: list[str] = []
    served: dict[Path, set[Path]] = {folder: set() for folder in low}
    for folder, paths in low.items():
        for lr in paths:
            candidates = next((by_name[n] for n in _names(lr, LR_SUFFIXES) if n in by_name), [])
            nearest = _nearest(lr, candidates)
            served[folder].update(nearest)
            if len(nearest) > 1:
                refused.append(
                    f"{lr} may belong to {nearest[0]} or to {nearest[1]}: give it the name of one of them."
                )
            elif nearest:
                partners[nearest[0]].append(lr)
    searched = [folder for folder in low if served[folder]] or list(low)
    for hr in high:
        lacking = [str(folder) for folder in searched if hr not in served[folder]]
        if lacking:
            refused.append(f"{hr} has no LR image in {' or '.join(lacking)}.")
    return partners, refused


def _names(path: Path, suffixes: Sequence[re.Pattern[str]]) -> Iterator[str]:
    """The name of a file without its ending, then without suffixes, longest first."""
    yield path.stem
    starts = {match.start() for suffix in suffixes if (match := suffix.search(path.stem))}
    yield from (path.stem[:start] for start in sorted(starts, reverse=True) if start)


def _nearest(lr: Path, candidates: Sequence[Path]) -> list[Path]:
    """Those of the candidates in whose path most folders are named as in the path of `lr`."""
    if len(candidates) < 2:
        return list(candidates)
    folders = set(lr.parent.resolve().parts)
    shared = [len(folders & set(hr.parent.resolve().parts)) for hr in candidates]
    return [hr for hr, count in zip(candidates, shared, strict=True) if count == max(shared)]
