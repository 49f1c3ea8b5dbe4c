"""What enlarged or blurred photographs do to a prior, and those that use little of their range: the warnings.

    python workflows/studies/soundness.py
    python workflows/studies/soundness.py --images DIV2K --crops 400 --side 256  # full size

The middle of each crop is enlarged to the crop's size. `dgp-mine` warns if more than MOST_SMOOTH of the crops
with most detail have a sharpness below SMOOTH, more than MOST_FLAT of all crops a contrast below
FLAT_CONTRAST, or more than MOST_DEAD of the Gaussians are dead (dgp_mining/prior/soundness.py): this prints
these shares.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from study import Variant, fit_variants, parse, print_rows, print_table, read_crops, summarise, write

from dgp_mining.fitting.content import measure_content
from dgp_mining.prior.soundness import dead_share, flat_share, mining_warnings, smoothness

Change = Callable[[np.ndarray], np.ndarray]


def to_image(pixels: np.ndarray) -> Image.Image:
    """Round [H, W, 3] in [0, 1] to 8 bits."""
    return Image.fromarray(np.round(255 * pixels.clip(0, 1)).astype(np.uint8))


def to_pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32) / 255


def compressed(quality: int) -> Change:
    """Compress by JPEG, with colours at half the resolution."""

    def change(pixels: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        to_image(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        return to_pixels(Image.open(file))

    return change


def enlarged(scale: float, method: Image.Resampling = Image.Resampling.BICUBIC) -> Change:
    """Enlarge the middle of the crop to its size."""

    def change(pixels: np.ndarray) -> np.ndarray:
        side = len(pixels)
        part = round(side / scale)
        first = (side - part) // 2
        middle = to_image(pixels[first : first + part, first : first + part])
        return to_pixels(middle.resize((side, side), method))

    return change


def blurred(sigma: float) -> Change:
    """Blur by a Gaussian of this standard deviation, pixels."""
    return lambda pixels: to_pixels(to_image(gaussian_filter(pixels, (sigma, sigma, 0))))


def darkened(divisor: float) -> Change:
    """Divide all values, as if white were a number that no pixel comes near; not rounded."""
    return lambda pixels: pixels / np.float32(divisor)


VARIANTS: dict[str, Change] = {
    "as they are": np.asarray,
    "JPEG 75": compressed(75),
    "JPEG 20": compressed(20),
    "blurred by 0.7 px": blurred(0.7),
    "blurred by 1 px": blurred(1),
    "bicubic x1.5": enlarged(1.5),
    "bicubic x2": enlarged(2),
    "bicubic x2, JPEG 75": lambda pixels: compressed(75)(enlarged(2)(pixels)),
    "bilinear x2": enlarged(2, Image.Resampling.BILINEAR),
    "bicubic x4": enlarged(4),
    "1/4 of the range": darkened(4),
    "1/16 of the range": darkened(16),
    "1/256 of the range": darkened(256),
}


def main() -> None:
    options = parse(__doc__, "soundness", crops=40, side=64)
    crops = read_crops(options)
    variants = [Variant(name, change=change) for name, change in VARIANTS.items()]
    rows, judged = [], []
    for variant, fitted in fit_variants(variants, crops, options.quick):
        pixels = (np.ascontiguousarray(variant.change(crop.pixels)) for crop in crops)
        content = np.array([measure_content(changed) for changed in pixels])
        counts = np.array([one.statistics.counts for one in fitted])
        smooth, sharpness = smoothness(content)
        found = [key for key in mining_warnings(counts, content) if not key.startswith("few")]
        shares = [f"{share:.0%}" for share in (smooth, flat_share(content), dead_share(counts))]
        judged.append([variant.name, f"{sharpness:.2f}", *shares, ", ".join(found)])
        rows.append(summarise(variant, fitted))
    print_rows(rows)
    print("sharpness: median of the quarter of the crops with most detail, in which smooth crops are counted")
    print_table(["", "sharpness", "smooth", "flat", "dead", "warnings"], judged)
    write(options, rows, "")


if __name__ == "__main__":
    main()
