"""The benchmark of what stays as it is tells interpolation from a network that keeps nothing."""

from __future__ import annotations

import numpy as np


def test_interpolation_keeps_what_is_flat_and_grey():
    import fidelity

    found = fidelity.measure(fidelity.bicubic, fidelity.bicubic, 24)
    kept = [value for what, value in found.items() if "departure" in what or "chroma" in what]
    assert len(kept) == 9
    assert kept[:6] == [0] * 6
    assert found["line art at x1: largest departure"] == 0
    assert found["straight lines: largest range along them"] == 0
    assert 0 <= found["line art: departure of the mean"] < 1
    assert found["line art to x4: bytes of its PNG, over bicubic's"] == 1
    assert found["the same with --wrap"] > 1.5  # bicubic replicates the borders


def test_what_is_not_kept_is_counted():
    import fidelity

    def tinted(image: np.ndarray, scale: float) -> np.ndarray:
        changed = fidelity.bicubic(image, scale)
        changed[::3, ::2, 0] ^= 1
        return changed

    found = fidelity.measure(tinted, None, 24)
    kept = [value for what, value in found.items() if "departure" in what or "chroma" in what]
    assert all(value > 0 for value in kept)
    assert found["straight lines: largest range along them"] == 1
    assert found["line art to x4: bytes of its PNG, over bicubic's"] > 1.2
    assert found["the same with --wrap"] is None
