"""Sums over the pixels of a crop, from which its descriptors are made: in C++, or the same with numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import library


@dataclass(frozen=True, eq=False)
class MeasuredPixels:
    """What a crop adds up to; all of the mean of its channels, grey."""

    sums: np.ndarray
    """[5] float64: squared differences from the mean; squared gradients, by central differences, and squared
    Laplacians, both without the outermost pixels; over blocks of these, differences and sums of the
    eigenvalues of the structure tensor, which is summed over each block."""
    middle: np.ndarray
    """[2] float32, the two middle absolute responses of Immerkaer's noise filter; equal for an odd number."""
    windowed: np.ndarray
    """[H, W] float32, the differences from the mean times the window."""


def measure_pixels(pixels: np.ndarray, window: np.ndarray, block: int) -> MeasuredPixels:
    """Measure a crop [H, W, C], H and W at least 3, with a window [H, W]; both float32.

    `block` is the side of the blocks, px. The result has the same bits on every processor.
    """
    pixels, window = np.ascontiguousarray(pixels, np.float32), np.ascontiguousarray(window, np.float32)
    if min(pixels.shape[:2]) < 3:
        raise ValueError("a crop must have at least 3x3 pixels")
    if library.LIBRARY is None:
        return _with_numpy(pixels, window, block)
    found = MeasuredPixels(
        sums=np.empty(5), middle=np.empty(2, np.float32), windowed=np.empty(pixels.shape[:2], np.float32)
    )
    library.call(
        "pixels",
        library.PixelsArguments(
            height=pixels.shape[0],
            width=pixels.shape[1],
            channels=pixels.shape[2],
            block=block,
            pixels=library.pointer(pixels),
            window=library.pointer(window),
            windowed=library.pointer(found.windowed),
            sums=library.pointer(found.sums),
            middle=library.pointer(found.middle),
        ),
    )
    return found


def _with_numpy(pixels: np.ndarray, window: np.ndarray, block: int) -> MeasuredPixels:
    grey = pixels[:, :, 0]
    for channel in range(1, pixels.shape[2]):
        grey = grey + pixels[:, :, channel]
    grey = grey / np.float32(pixels.shape[2])
    mean = _total(_over_rows(grey)) / grey.size
    across, along = grey[:, 2:] - grey[:, :-2], grey[2:] - grey[:-2]
    gx, gy = across[1:-1] / 2, along[:, 1:-1] / 2
    second_x = grey[:, 2:] - 2 * grey[:, 1:-1] + grey[:, :-2]  # [H, W - 2]
    second_y = grey[2:] - 2 * grey[1:-1] + grey[:-2]  # [H - 2, W]
    laplacian = second_x[1:-1] + second_y[:, 1:-1]
    fourth = np.abs(second_x[2:] - 2 * second_x[1:-1] + second_x[:-2]).ravel()
    xx, xy, yy = (_bands(product, block) for product in (gx * gx, gx * gy, gy * gy))
    differences = grey.astype(np.float64) - mean
    ranks = [(fourth.size - 1) // 2, fourth.size // 2]
    return MeasuredPixels(
        sums=np.array(
            [
                _total(_over_rows(differences * differences)),
                _total(_over_rows(xx + yy)),
                _total(_over_rows(laplacian * laplacian)),
                *_structure(xx, xy, yy, gx.shape[0] // block, block),
            ]
        ),
        middle=np.partition(fourth, ranks)[ranks],
        windowed=(grey - np.float32(mean)) * window,
    )


def _structure(
    xx: np.ndarray, xy: np.ndarray, yy: np.ndarray, rows: int, block: int
) -> tuple[np.float64, np.float64]:
    """Return the sums of the eigenvalues' differences and of their sums, of the first `rows` bands."""
    xx, xy, yy = (_blocks(bands[:rows], block) for bands in (xx, xy, yy))
    return _total(np.sqrt((xx - yy) ** 2 + (2 * xy) ** 2)), _total(xx + yy)


def _bands(values: np.ndarray, block: int) -> np.ndarray:  # [h, w] -> [ceil(h / block), w] float64
    """Sum each column over bands of `block` rows."""
    padded = np.zeros((-(-values.shape[0] // block) * block, values.shape[1]))
    padded[: values.shape[0]] = values
    bands = padded.reshape(-1, block, values.shape[1])
    total = np.zeros((len(bands), values.shape[1]))
    for row in range(block):  # one after the other, as C++ does; numpy's sum takes another order if w is 1
        total += bands[:, row]
    return total


def _blocks(bands: np.ndarray, block: int) -> np.ndarray:  # [rows, w] -> [rows, w // block]
    """Sum bands over whole blocks, from the left to the right."""
    whole = bands.shape[1] // block * block
    total = np.zeros((len(bands), whole // block))
    for column in range(block):
        total = total + bands[:, column:whole:block]
    return total


def _over_rows(values: np.ndarray) -> np.ndarray:  # [h, w] -> [w] float64
    total = np.zeros(values.shape[1])
    for row in values:
        total += row
    return total


def _total(values: np.ndarray) -> np.float64:
    """Add the values one after the other, as C++ does; numpy's sum takes another order."""
    return np.cumsum(values, dtype=np.float64)[-1] if values.size else np.float64(0)
