"""C++ and numpy agree to the last bit, and with plain formulas in all but the last bits."""

from __future__ import annotations

import numpy as np
import pytest

from dgp_mining.native import library
from dgp_mining.native.pixels import MeasuredPixels, measure_pixels

BLOCK = 8
SHAPES = [
    (3, 3, 1),
    (10, 10, 3),
    (16, 17, 2),
    (19, 33, 3),
    (64, 64, 4),
    (128, 96, 3),
    (131, 3, 3),
    (130, 130, 3),
    (131, 133, 1),
]

needs_library = pytest.mark.skipif(library.LIBRARY is None, reason="there is no C++ library here")


def crop(shape: tuple[int, int, int], kind: str) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    if kind == "flat":
        return np.full(shape, 0.3, np.float32)
    pixels = rng.random(shape)
    if kind == "columns":  # of which a sample of every 16th pixel of 130x130 sees those with noise alone
        pixels *= np.isin(np.arange(shape[1]) % 16, (0, 1, 2))[None, :, None]
        return pixels.astype(np.float32)
    if kind == "wide":  # a range in which the order of a sum shows
        return (pixels * 10 ** rng.uniform(-7, 0, shape)).astype(np.float32)
    if kind == "eight bits":
        return (np.round(pixels * 20) / 255).astype(np.float32)
    return (0.5 + 1e-3 * pixels).astype(np.float32) if kind == "faint" else pixels.astype(np.float32)


def measured(pixels: np.ndarray) -> MeasuredPixels:
    window = np.random.default_rng(0).random(pixels.shape[:2], np.float32)
    return measure_pixels(pixels, window, BLOCK)


@needs_library
@pytest.mark.parametrize("kind", ["noise", "wide", "columns", "eight bits", "faint", "flat"])
@pytest.mark.parametrize("shape", SHAPES)
def test_both_have_the_same_bits(
    shape: tuple[int, int, int], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = measured(crop(shape, kind))
    monkeypatch.setattr(library, "LIBRARY", None)
    other = measured(crop(shape, kind))
    assert one.sums.tobytes() == other.sums.tobytes()
    assert one.middle.tobytes() == other.middle.tobytes()
    assert one.windowed.tobytes() == other.windowed.tobytes()


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_library), False])
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_sums_are_those_of_the_formulas(
    shape: tuple[int, int, int], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(library, "LIBRARY", None)
    pixels = crop(shape, "noise")
    found = measured(pixels)
    grey = pixels.mean(axis=2, dtype=np.float64)
    gy, gx = (gradient[1:-1, 1:-1] for gradient in np.gradient(grey))
    laplacian = grey[2:, 1:-1] + grey[:-2, 1:-1] + grey[1:-1, 2:] + grey[1:-1, :-2] - 4 * grey[1:-1, 1:-1]
    differences = eigenvalues = 0.0
    for top in range(0, gx.shape[0] - BLOCK + 1, BLOCK):
        for left in range(0, gx.shape[1] - BLOCK + 1, BLOCK):
            x, y = (g[top : top + BLOCK, left : left + BLOCK].ravel() for g in (gx, gy))
            low, high = np.linalg.eigvalsh([[x @ x, x @ y], [x @ y, y @ y]])
            differences, eigenvalues = differences + high - low, eigenvalues + high + low
    expected = [
        ((grey - grey.mean()) ** 2).sum(),
        (gx**2 + gy**2).sum(),
        (laplacian**2).sum(),
        differences,
        eigenvalues,
    ]
    np.testing.assert_allclose(found.sums, expected, rtol=1e-5)
    filtered = sum(
        weight * grey[1 + dy : shape[0] - 1 + dy, 1 + dx : shape[1] - 1 + dx]
        for dy, row in zip((-1, 0, 1), ((1, -2, 1), (-2, 4, -2), (1, -2, 1)), strict=True)
        for dx, weight in zip((-1, 0, 1), row, strict=True)
    )
    assert found.middle.mean() == pytest.approx(np.median(np.abs(filtered)), abs=1e-6)


def test_a_crop_without_an_inner_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="3x3"):
        measured(np.zeros((2, 9, 3), np.float32))
