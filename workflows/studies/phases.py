"""What in the prior comes from photographs: crops, the same with random phases, and white noise.

    python workflows/studies/phases.py
    python workflows/studies/phases.py --images DIV2K --crops 400 --side 256  # full size

Random phases keep the spectrum and the relation between the channels, and destroy every edge. What noise
shows too, such as a preference for the diagonals, comes from the grid.
"""

from collections.abc import Sequence

import numpy as np
from study import (
    Fitted,
    Variant,
    fit_variants,
    mean_over_images,
    parse,
    print_rows,
    read_crops,
    summarise,
    within,
    write,
)

from dgp_mining.fitting.statistics import BINS, ENTRIES, RANGES
from dgp_mining.report.bootstrap import BootstrapEstimate


def random_phases(pixels: np.ndarray) -> np.ndarray:
    """Add the same random phases in all channels; clip to [0, 1]."""
    noise = np.random.default_rng(0).normal(size=pixels.shape[:2])
    turn = np.exp(1j * np.angle(np.fft.rfft2(noise)))[..., None]
    turn[0, 0] = 1  # the mean stays
    mixed = np.fft.irfft2(np.fft.rfft2(pixels, axes=(0, 1)) * turn, pixels.shape[:2], axes=(0, 1))
    return mixed.clip(0, 1).astype(np.float32)


def white_noise(pixels: np.ndarray) -> np.ndarray:
    """Return noise with each channel's mean and variance, clipped to [0, 1]."""
    noise = np.random.default_rng(0).normal(size=pixels.shape)
    return (pixels.mean(axis=(0, 1)) + noise * pixels.std(axis=(0, 1))).clip(0, 1).astype(np.float32)


def diagonal(fitted: Sequence[Fitted]) -> BootstrapEstimate:
    """Return the percentage of directions that are closer to a diagonal of the grid than to an axis."""
    angle = ENTRIES.index("angle")
    edges = np.linspace(*RANGES[angle], BINS + 1)
    is_near = np.abs(np.abs(edges[:-1] + edges[1:]) / 2 - 45) < 22.5
    counts = np.array([one.statistics.histograms[0, angle] for one in fitted])
    total = counts.sum(axis=1)
    return mean_over_images(
        [one.image for one in fitted], 100 * (counts @ is_near) / np.maximum(total, 1), total
    )


def main() -> None:
    options = parse(__doc__, "phases")
    variants = [
        Variant("photographs"),
        Variant("random phases", change=random_phases),
        Variant("white noise", change=white_noise),
    ]
    fitted = list(fit_variants(variants, read_crops(options), options.quick))
    rows = [summarise(variant, ones) for variant, ones in fitted]
    print_rows(rows)
    print("directions closer to a diagonal of the grid than to an axis; 50 % if all are equally frequent:")
    for variant, ones in fitted:
        print(f"{variant.name:<15}{within(diagonal(ones), 1)} %")
    write(options, rows, "")


if __name__ == "__main__":
    main()
