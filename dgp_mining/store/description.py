"""What a store and its parts say about themselves: the schema of their attributes, and its bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..planning.plan import LARGEST_CHUNK, MOST_CHUNKS
from ..planning.settings import StoreSettings
from ..schema import as_kind

MOST_NUMBER = 1 << 40
"""Crops, images and Gaussians are fewer: products of them and of the bytes of each stay whole numbers."""

FREE_CROPS, CROPS_A_BYTE = 400_000, 4
"""Crops of a store whatever its size, and further ones for each byte of the plan's files; a crop of a real
plan takes half a byte or more, since all crops of an image lie elsewhere in it."""

FREE_IMAGES, IMAGES_A_BYTE = 200_000, 8
"""The same of images, whose names differ."""


@dataclass(frozen=True)
class Root:
    """The attributes of a store."""

    format: str
    settings: dict[str, Any]
    versions: dict[str, str]
    parts: list[str]

    def __post_init__(self) -> None:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("parts has a part twice")


@dataclass(frozen=True)
class Extent:
    """The numbers that determine the layout of a part."""

    crops: int
    images: int
    chunk: int
    """Crops per chunk."""
    gaussians: int
    """Capacity of a crop's field in Gaussians; 0 if fields are not kept."""
    snapshots: int = 0
    """Number of iterations at which statistics are stored as well."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < MOST_NUMBER:
                raise ValueError(f"{name} must be from 0 to {MOST_NUMBER - 1}, not {value}")
        most = max(LARGEST_CHUNK, -(-self.crops // MOST_CHUNKS))
        if not 1 <= self.chunk <= most:
            raise ValueError(f"chunk must be from 1 to {most}, not {self.chunk}")

    @property
    def numbers(self) -> dict[str, int]:
        """The numbers by name, for the attributes and the name of a part; `snapshots` only if not 0."""
        return {name: n for name, n in vars(self).items() if n or name != "snapshots"}

    def check(self, settings: StoreSettings) -> None:
        """Raise ValueError if a store with these settings cannot have such a part."""
        most = math.ceil(settings.density * settings.crop**2) if settings.keep_fields else 0
        if self.gaussians > most:
            raise ValueError(f"gaussians must be at most {most} with these settings, not {self.gaussians}")
        if self.snapshots != len(settings.snapshots or ()):
            raise ValueError(f"snapshots must be {len(settings.snapshots or ())}, not {self.snapshots}")


@dataclass(frozen=True)
class PartDescription:
    """The attributes of a part."""

    folder: str | None
    crops: int
    images: int
    chunk: int
    gaussians: int
    snapshots: int = 0

    @property
    def extent(self) -> Extent:
        """The numbers among them. Raises ValueError if they are out of their range."""
        return Extent(self.crops, self.images, self.chunk, self.gaussians, self.snapshots)


def checked_root(attributes: Mapping[str, Any]) -> Root:
    """Return the attributes of a store. Raises ValueError that names what is wrong."""
    return as_kind(dict(attributes), Root, "its attributes")


def checked_part(attributes: Mapping[str, Any], settings: StoreSettings) -> PartDescription:
    """Return the attributes of a part of a store with these settings. Raises ValueError as above."""
    found = as_kind(dict(attributes), PartDescription, "its attributes")
    found.extent.check(settings)
    return found


def check_size(crops: int, images: int, nbytes: Callable[[], tuple[int, int]]) -> None:
    """Raise ValueError if the files of a plan are too small for so many crops or images.

    `nbytes` returns the bytes of those of the crops and of those of the images.
    """
    if crops <= FREE_CROPS and images <= FREE_IMAGES:
        return
    of_crops, of_images = nbytes()
    for what, number, found, most in (
        ("crops", crops, of_crops, FREE_CROPS + CROPS_A_BYTE * of_crops),
        ("images", images, of_images, FREE_IMAGES + IMAGES_A_BYTE * of_images),
    ):
        if number > most:
            raise ValueError(f"it claims {number:,} {what}, and their files have only {found:,} bytes")
