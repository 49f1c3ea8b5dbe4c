"""Every pixel of a result shows the same ground as before, by what GeoTIFF 1.1 says of raster coordinates."""

from itertools import product

import numpy as np
import pytest

from dgp_mining.images.attachments import GeoReference
from sr_model.image_io.geo_reference import moved

KEYS = {
    "area": (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 1),
    "point": (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 2),
    "unsaid": (1, 1, 0, 1, 1024, 0, 1, 1),  # the default is area
}
MATRIX = (9.0, 2.5, 0.0, 500.0, 1.5, -8.0, 0.0, 900.0, 0.0, 0.0, 1.0, 7.0, 0.0, 0.0, 0.0, 1.0)
BY = {
    "scale": GeoReference((10.0, 5.0, 0.0), (0.0, 0.0, 0.0, 500.0, 900.0, 7.0)),
    "another pixel": GeoReference((10.0, 5.0, 0.0), (3.0, 4.5, 0.0, 500.0, 900.0, 7.0)),
    "matrix": GeoReference(transform=MATRIX),
}


def ground(geo: GeoReference, x: float, y: float) -> tuple[float, float]:
    """The ground at a place in the image, counted from the upper left corner of its first pixel."""
    point = geo.keys[-4:] == (1025, 0, 1, 2)
    i, j = (x - 0.5, y - 0.5) if point else (x, y)  # raster space, 7.1.3
    if geo.transform:
        east, north, _, _ = np.reshape(geo.transform, (4, 4)) @ (i, j, 0, 1)
        return east, north
    at_i, at_j, _, east, north, _ = geo.tiepoints
    return east + (i - at_i) * geo.scale[0], north - (j - at_j) * geo.scale[1]  # B.6


@pytest.mark.parametrize("raster", KEYS)
@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize(
    ("origin", "extent", "size"),
    [((0, 0), (12, 8), (24, 16)), ((0, 0), (12, 8), (44, 30)), ((0, 0), (12, 8), (5, 4)),
     ((2.5, 1), (4, 6.25), (31, 50))],
)  # fmt: skip
def test_corners_of_the_result_lie_where_those_of_the_image_do(by, raster, origin, extent, size):
    before = GeoReference(BY[by].scale, BY[by].tiepoints, BY[by].transform, KEYS[raster], (1.5,), "WGS 84|")
    factors = (size[0] / extent[0], size[1] / extent[1])
    after = moved(before, origin, factors)
    for u, v in product((0, 0.3, 1), repeat=2):
        place = (origin[0] + u * extent[0], origin[1] + v * extent[1])
        assert ground(after, u * size[0], v * size[1]) == pytest.approx(ground(before, *place), abs=1e-9)
    assert (after.keys, after.doubles, after.ascii) == (before.keys, before.doubles, before.ascii)


def test_the_tie_point_of_a_scaled_image_is_its_first_pixel():
    after = moved(BY["another pixel"], (0, 0), (2.0, 4.0))
    assert after.scale == (5, 1.25, 0)
    assert after.tiepoints == pytest.approx((0, 0, 0, 500 - 3 * 10, 900 + 4.5 * 5, 7))


@pytest.mark.parametrize("raster", ["area", "point"])
def test_ground_control_points_stay_on_their_features(raster):
    points = (0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 11.0, 0.0, 0.0, 4.0, 5.0, 6.0, 11.0, 7.0, 0.0, 7.0, 8.0, 9.0)
    after = moved(GeoReference(tiepoints=points, keys=KEYS[raster]), (1.0, 2.0), (3.0, 2.0))
    half = 0.5 if raster == "point" else 0
    for old, new in zip(np.reshape(points, (-1, 6)), np.reshape(after.tiepoints, (-1, 6)), strict=True):
        assert (new[0] + half) / 3 + 1 == pytest.approx(old[0] + half)
        assert (new[1] + half) / 2 + 2 == pytest.approx(old[1] + half)
        assert np.array_equal(new[2:], old[2:])
