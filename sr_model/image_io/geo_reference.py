"""The georeference of an upscaled image: the same ground under more, smaller pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dgp_mining.images.attachments import GeoReference

_RASTER_TYPE_KEY = 1025
_PIXEL_IS_POINT = 2
_IDENTITY = np.eye(4)


def moved(geo: GeoReference, origin: tuple[float, float], factors: tuple[float, float]) -> GeoReference:
    """Return the georeference of a part of an image that was scaled.

    Args:
        geo: the georeference of the image.
        origin: (x, y) of the part's upper left corner in pixels of the image, (0, 0) for the whole.
        factors: pixels of the result per pixel of the image, (horizontal, vertical).

    Raster coordinates count from the upper left corner of the first pixel, or, if the file says that a
    pixel is a point, from its centre (GTRasterTypeGeoKey; OGC GeoTIFF 1.1, 7.1.3), which scaling moves: the
    centre of the first pixel of a result that is twice as large lies a quarter of an old pixel further
    left.

    Corners stay where they are: at twice the size, pixels of 10 m become pixels of 5 m.

    >>> moved(GeoReference((10, 10, 0), (0, 0, 0, 500, 800, 0)), (0, 0), (2, 2))  # doctest: +ELLIPSIS
    GeoReference(scale=(5.0, 5.0, 0), tiepoints=(0.0, 0.0, 0, 500, 800, 0), ...)
    """
    half = 0.5 if _raster_type(geo.keys) == _PIXEL_IS_POINT else 0.0

    def in_result(place: float, axis: int) -> float:
        return (place + half - origin[axis]) * factors[axis] - half

    points = [geo.tiepoints[start : start + 6] for start in range(0, len(geo.tiepoints) - 5, 6)]
    points = [(in_result(i, 0), in_result(j, 1), *rest) for i, j, *rest in points]
    scale = geo.scale
    if len(scale) >= 2:
        scale = (scale[0] / factors[0], scale[1] / factors[1], *scale[2:])
        if len(points) == 1:
            points = [_at_first_pixel(points[0], scale)]
    return replace(
        geo,
        scale=scale,
        tiepoints=tuple(number for point in points for number in point),
        transform=_transform(geo.transform, half, origin, factors),
    )


def _at_first_pixel(point: tuple[float, ...], scale: tuple[float, ...]) -> tuple[float, ...]:
    """The tie point moved to raster coordinates (0, 0), which some programs take for granted."""
    i, j, k, x, y, z = point
    if not (i or j):
        return point
    return (0.0, 0.0, k, x - i * scale[0], y + j * scale[1], z)  # y decreases with rows


def _transform(
    matrix: tuple[float, ...], half: float, origin: tuple[float, float], factors: tuple[float, float]
) -> tuple[float, ...]:
    """The matrix from raster coordinates of the result to those of the image, and then to the ground."""
    if len(matrix) != 16:
        return matrix
    to_image = _IDENTITY.copy()
    for axis in (0, 1):
        to_image[axis, axis] = 1 / factors[axis]
        to_image[axis, 3] = half / factors[axis] - half + origin[axis]
    return tuple(float(number) for number in (np.reshape(matrix, (4, 4)) @ to_image).ravel())


def _raster_type(keys: tuple[int, ...]) -> int | None:
    """GTRasterTypeGeoKey in a GeoKeyDirectoryTag, whose entries are (key, place, count, value)."""
    entries = (keys[start : start + 4] for start in range(4, len(keys) - 3, 4))
    return next((entry[3] for entry in entries if entry[:2] == (_RASTER_TYPE_KEY, 0)), None)
