"""`render`, the one public entry to all implementations, and its registration with torch."""

from __future__ import annotations

from torch import Tensor

from . import reference

DEFAULT_CUTOFF = 3.33
"""Mahalanobis radius beyond which a Gaussian is dropped: weight below 1/255 (GaussianImage)."""


def render(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    size: tuple[int, int],
    *,
    counts: Tensor | None = None,
    cutoff: float = DEFAULT_CUTOFF,
) -> Tensor:
    return reference.render(means, cholesky, colors, size, counts, cutoff)
