"""A decoder undoes the PNG filter, also across bands."""

import numpy as np
import pytest

from sr_model.image_io.png_writer import paeth_filter


def unfiltered(rows: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """PNG specification, 9.2 and 9.4: reconstruct byte by byte."""
    previous, out = above[0].astype(int), []
    for row in rows.astype(int):
        assert row[0] == 4
        line: list[int] = []
        for index, value in enumerate(row[1:]):
            left = line[index - step] if index >= step else 0
            corner = previous[index - step] if index >= step else 0
            estimate = left + previous[index] - corner
            nearest = min((left, previous[index], corner), key=lambda near: abs(estimate - near))
            line.append((value + nearest) % 256)
        previous = np.array(line)
        out.append(line)
    return np.array(out, np.uint8)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 6, 8])
def test_a_decoder_undoes_the_filter(step: int):
    random = np.random.default_rng(step)
    rows = random.integers(0, 256, (5, 6 * step), np.uint8)
    rows[1:3] = rows[0]  # ties between the neighbours
    above = random.integers(0, 256, (1, 6 * step), np.uint8)
    assert np.array_equal(unfiltered(paeth_filter(rows, above, step), above, step), rows)
