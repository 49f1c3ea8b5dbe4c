"""What in the prior is the photographs': crops, the same with random phases, and white noise.

    python workflows/studies/phases.py
    python workflows/studies/phases.py --images DIV2K --crops 400 --side 256  # full size

Random phases keep the spectrum, and between the channels their relation, and destroy every edge.
"""

import numpy as np
from study import Arm, compare, parse, print_rows, read_crops, write


def random_phases(pixels: np.ndarray) -> np.ndarray:
    """The same phases are added in all channels; clipped to [0, 1]."""
    noise = np.random.default_rng(0).normal(size=pixels.shape[:2])
    turn = np.exp(1j * np.angle(np.fft.rfft2(noise)))[..., None]
    turn[0, 0] = 1  # the mean stays
    mixed = np.fft.irfft2(np.fft.rfft2(pixels, axes=(0, 1)) * turn, pixels.shape[:2], axes=(0, 1))
    return mixed.clip(0, 1).astype(np.float32)


def white_noise(pixels: np.ndarray) -> np.ndarray:
    """Of each channel's mean and variance; clipped to [0, 1]."""
    noise = np.random.default_rng(0).normal(size=pixels.shape)
    return (pixels.mean(axis=(0, 1)) + noise * pixels.std(axis=(0, 1))).clip(0, 1).astype(np.float32)


def main() -> None:
    options = parse(__doc__, "phases")
    arms = [
        Arm("photographs"),
        Arm("random phases", change=random_phases),
        Arm("white noise", change=white_noise),
    ]
    rows = compare(arms, read_crops(options), options.quick)
    print_rows(rows)
    write(options, rows, "")


if __name__ == "__main__":
    main()
