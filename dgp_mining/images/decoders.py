"""The versions of the software that decodes images, and which of it a format needs."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from .formats.table import FORMATS, suffix_of

_OF_ALL = ("imagecodecs", "pillow")
"""Packages that decode most formats, and convert the colours of all."""

_OF_SOME = {
    "TIFF": ("tifffile",),
    "OME-Zarr": ("zarr",),
    "JPEG": ("imagecodecs jpeg8", "pillow libjpeg_turbo"),
    "WebP": ("pillow webp",),
    "AVIF": ("imagecodecs avif",),
    "JPEG XL": ("imagecodecs jpegxl",),
    "JPEG 2000": ("imagecodecs jpeg2k",),
}
"""Further packages, or libraries that a package brings, of formats by their name. Formats without loss whose
decoders cannot differ need none."""


def decoder_versions() -> dict[str, str]:
    """Return the version of everything installed that decodes images, by its name.

    A library that a package brings is named as "pillow webp".

    >>> decoder_versions().keys() >= {"imagecodecs", "pillow", "tifffile"}
    True
    """
    return dict(_installed())


@functools.cache
def _installed() -> tuple[tuple[str, str], ...]:
    """Return the items of `decoder_versions`; finding them takes a tenth of a second."""
    found = {}
    names = {*_OF_ALL, *(name for names in _OF_SOME.values() for name in names)}
    for name in sorted(names | {form.package for form in FORMATS if form.package}):
        package, _, library = name.partition(" ")
        with contextlib.suppress(PackageNotFoundError):
            if not library:
                found[name] = version(package)
            elif brought := _BROUGHT[package](library):
                found[name] = brought
    return tuple(found.items())


def decoders_of(names: Iterable[str]) -> set[str]:
    """Return what of `decoder_versions` may decide the pixels of images with these names.

    >>> sorted(decoders_of(["a.png", "b/c.heic"]))
    ['imagecodecs', 'pillow', 'pillow-heif']
    """
    suffixes = {suffix_of(name) for name in names}
    return {*_OF_ALL, *(decoder for suffix in suffixes for decoder in _of_suffix(suffix))}


def _of_suffix(suffix: str) -> Iterator[str]:
    for form in FORMATS:
        if suffix in form.suffixes or (form.suffixless and not suffix):
            yield from _OF_SOME.get(form.name, ())
            yield from filter(None, [form.package])


def _of_imagecodecs(codec: str) -> str:
    import imagecodecs

    try:
        return str(getattr(imagecodecs, f"{codec}_version")())
    except (ImportError, AttributeError):  # built without it
        return ""


def _of_pillow(library: str) -> str:
    from PIL import features

    return features.version(library) or ""


_BROUGHT: dict[str, Callable[[str], str]] = {"imagecodecs": _of_imagecodecs, "pillow": _of_pillow}
