"""Warnings that a prior means little: of what was mined, and of the kernels made of it.

`dgp-mine fit`, `status`, `dictionary build` and the report all print these sentences, so that they say the
same. Each has the number, its likely cause and what to do; a mining without faults has none. The limits on
pixels are those at which `workflows/studies/soundness.py` tells changed photographs from others.
"""

from __future__ import annotations

import numpy as np

from ..fitting.content import CONTENT
from ..fitting.statistics import COUNTS
from ..store.crop_results import DONE, PENDING
from ..store.store import Store
from .condense import can_be_symmetric
from .distance import nearest
from .quality import REDUNDANT

MOST_DEAD = 0.5
"""Share of dead Gaussians above which there is a warning."""

FLAT_CONTRAST = 0.02
"""A crop whose pixels have a smaller standard deviation is flat: five grey levels of 8 bits. The rates of
the fits are for images that use their range; in others, Gaussians become narrower."""

MOST_FLAT = 0.75
"""Share of flat crops above which there is a warning; of photographs with large skies half may be."""

DETAILED = 0.25
"""Share of the crops, those with the largest gradients, that are looked at for detail: noise, rounding and
compression rule skies and shadows, which then look sharp in enlarged photographs, too."""

SMOOTH = 1.2
"""A crop of less `sharpness` (content.py) is smooth: it has no detail of one or two pixels."""

MOST_SMOOTH = 0.75
"""Share of smooth crops, among those with most detail, above which there is a warning."""

FEWEST_CROPS = 20
"""With fewer fitted crops there is a warning; `dictionary build` then cannot hold any out either."""

FEWEST_EACH = 10
"""Gaussians for each shape of a dictionary below which there is a warning: the mean of ten has an error of a
third of their spread."""

USUAL_SIZE = 730
"""Kernels of a dictionary, before one is built."""

MOST_REDUNDANT = 0.5
"""Share of redundant kernels above which there is a warning."""

OF_KERNELS = ("few_gaussians", "repeated")
"""Keys of the warnings that depend on the dictionary, too."""


def store_warnings(store: Store) -> dict[str, str]:
    """Return the warnings on the crops of a store that are fitted so far, as `mining_warnings` does.

    That they are few is said only once none is pending.

    >>> import tempfile
    >>> from PIL import Image
    >>> from dgp_mining import Settings, mine
    >>> folder = tempfile.mkdtemp()
    >>> Image.new("RGB", (64, 64)).save(f"{folder}/black.png")
    >>> settings = Settings(crop=16, max_crops=2, iterations=4)
    >>> store = mine(folder, f"{folder}/a.zarr", settings, scheduler="sync")
    >>> [*store_warnings(store)]
    ['dead', 'few_crops', 'few_gaussians']
    """
    status = store.status
    fitted = store.at(np.flatnonzero(status == DONE))
    found = mining_warnings(fitted.statistics.counts, fitted.content)
    growing = bool((status == PENDING).any())
    return {key: text for key, text in found.items() if not (growing and key.startswith("few_"))}


def mining_warnings(counts: np.ndarray, content: np.ndarray) -> dict[str, str]:
    """Return warnings on fitted crops, one sentence each.

    Args:
        counts: [n, 6] int64, columns COUNTS, of the fitted crops.
        content: [n, 6] float64, columns CONTENT, of the same.

    Returns {"dead": ..., "flat": ..., "smooth": ..., "few_crops": ..., "few_gaussians": ...}, without those
    that do not apply; the last one is of a dictionary of the usual size. No fitted crops, no warnings.
    """
    if not len(counts):
        return {}
    found = _of_range(counts, content) | _of_detail(content)
    if len(counts) < FEWEST_CROPS:
        found["few_crops"] = (
            f"Only {len(counts)} crop{'s' * (len(counts) > 1)} were fitted, too few for a prior "
            f"({FEWEST_CROPS} at least, usually hundreds): mine more images, or more of each with a larger "
            "max_crops= or a smaller crop=."
        )
    return found | few_gaussians(kept_gaussians(counts), USUAL_SIZE, can_be_symmetric("kmeans"))


def kernel_warnings(kernels: np.ndarray, gaussians: int, method: str, symmetric: bool) -> dict[str, str]:
    """Return warnings on kernels [K, 3], Cholesky factors, condensed of this number of Gaussians.

    Returns {"few_gaussians": ..., "repeated": ...}, without those that do not apply. Only k-means tries to
    keep its kernels apart; of the other methods most kernels repeat, however good the mining.
    """
    found = few_gaussians(gaussians, len(kernels), symmetric)
    if method != "kmeans" or len(kernels) == 1:
        return found
    redundant = float((nearest(kernels, kernels, skip=1) < REDUNDANT).mean())
    if redundant > MOST_REDUNDANT:
        found["repeated"] = (
            f"{redundant:.0%} of the {len(kernels)} kernels nearly repeat another one (within 7 % along each "
            "axis), since the mined shapes are too alike for so many: build fewer, or mine images with more "
            "detail."
        )
    return found


def few_gaussians(gaussians: int, size: int, symmetric: bool) -> dict[str, str]:
    """Return the warning that these Gaussians are too few for a dictionary of `size` kernels, if they are.

    Of a symmetric dictionary one kernel in four is a shape of its own; the others are its mirror images.
    """
    versions = 4 if symmetric else 1
    each = gaussians * versions / size
    if each >= FEWEST_EACH:
        return {}
    most = gaussians * versions // FEWEST_EACH
    fewer = f", or build at most {most} kernels" if most >= 8 else ""
    return {
        "few_gaussians": f"{gaussians:,} Gaussians are about {each:.1f} for each shape of a dictionary of "
        f"{size} kernels ({FEWEST_EACH} at least), so that its shapes are those of chance: mine more "
        f"crops{fewer}."
    }


def kept_gaussians(counts: np.ndarray) -> int:
    """Return about how many Gaussians of crops with these counts [n, 6] a dictionary can be made of.

    Exact for crops of which all Gaussians are sampled; of others it is the expected number.
    """
    number = dict(zip(COUNTS, counts.T.astype(np.float64), strict=True))
    living = number["gaussians"] - number["degenerate"] - number["outside"] - number["dead"]
    interior = (living - number["border"]) / np.maximum(living, 1)
    return round(float((number["sampled"] * interior).sum()))


def smoothness(content: np.ndarray) -> tuple[float, float]:
    """Return the share of smooth crops, and the median sharpness, of those with most detail.

    `content` is [n, 6], columns CONTENT. Both are 0 if fewer than three crops have most detail.
    """
    gradient, sharpness = (content[:, CONTENT.index(name)] for name in ("gradient", "sharpness"))
    detailed = sharpness[(gradient >= np.quantile(gradient, 1 - DETAILED)) & (gradient > 0)]
    if len(detailed) < 3:
        return 0.0, 0.0
    return float((detailed < SMOOTH).mean()), float(np.median(detailed))


def dead_share(counts: np.ndarray) -> float:
    """Return the share of dead Gaussians in crops with these counts [n, 6]."""
    total, dead = (int(counts[:, COUNTS.index(name)].sum()) for name in ("gaussians", "dead"))
    return dead / max(total, 1)


def flat_share(content: np.ndarray) -> float:
    """Return the share of flat crops among those with this content [n, 6]."""
    return float((content[:, CONTENT.index("contrast")] < FLAT_CONTRAST).mean())


def _of_range(counts: np.ndarray, content: np.ndarray) -> dict[str, str]:
    advice = (
        "if their numbers use a small part of the possible range, mine them anew and say which one is white "
        "with white=, or which ones are black and white with window="
    )
    if (dead := dead_share(counts)) > MOST_DEAD:
        return {
            "dead": f"{dead:.0%} of the Gaussians are dead, fainter than half a grey level of 8 bits, since "
            f"the images are nearly black as they are read; {advice}."
        }
    if (flat := flat_share(content)) > MOST_FLAT:
        return {
            "flat": f"{flat:.0%} of the crops are nearly flat, with a contrast (standard deviation) below "
            f"5 of 255 grey levels, and Gaussians become too narrow there; {advice}."
        }
    return {}


def _of_detail(content: np.ndarray) -> dict[str, str]:
    share, typical = smoothness(content)
    if share <= MOST_SMOOTH:
        return {}
    return {
        "smooth": f"{share:.0%} of the crops with most detail show nothing as fine as a pixel (sharpness "
        f"{typical:.2f}, of photographs about 2): the images look enlarged or blurred, so that Gaussians "
        "keep the round shape they start with; mine the originals, or reduce the images to the size at which "
        "they are sharp."
    }
