"""Whether a mining shows that its photographs were enlarged or blurred, and what that does to the prior.

    python workflows/studies/enlarged.py
    python workflows/studies/enlarged.py --images DIV2K --crops 400 --side 256  # full size

The middle of each crop is enlarged to the crop's size. `dgp-mine` warns if more than MOST_SMOOTH of the crops
with most detail have a sharpness below SMOOTH (dgp_mining/prior/soundness.py): this prints that share, and
what becomes of the fits.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from study import Variant, fit_variants, parse, print_rows, print_table, read_crops, summarise, write

from dgp_mining.fitting.content import measure_content
from dgp_mining.prior.soundness import MOST_SMOOTH, SMOOTH, smoothness

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
}


def main() -> None:
    options = parse(__doc__, "enlarged", crops=40, side=64)
    crops = read_crops(options)
    judged = []
    for name, change in VARIANTS.items():
        described = [measure_content(np.ascontiguousarray(change(crop.pixels))) for crop in crops]
        share, sharpness = smoothness(np.array(described))
        judged.append([name, f"{share:.0%}", f"{sharpness:.2f}", "yes" if share > MOST_SMOOTH else ""])
    variants = [Variant(name, change=change) for name, change in VARIANTS.items()]
    rows = [summarise(variant, fitted) for variant, fitted in fit_variants(variants, crops, options.quick)]
    print_rows(rows)
    print(f"the half of the crops with most detail; smooth: sharpness below {SMOOTH}:")
    print_table(["", "smooth", "median sharpness", "warning"], judged)
    write(options, rows, "")


if __name__ == "__main__":
    main()
