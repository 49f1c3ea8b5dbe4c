"""The report on a prior: one self-contained HTML page, for readers who know the paper."""

from __future__ import annotations

import math
import re
from collections import Counter
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np

from splat2d.atomic_write import atomic_write

from ..covariance import principal_axes
from ..fitting.content import CONTENT
from ..fitting.recipes import FastRecipe
from ..fitting.statistics import COUNTS
from ..images.reader import ImageError
from ..prior.build import build_dictionary, gaussians_of_both
from ..prior.dictionary import Dictionary, DictionaryError
from ..prior.quality import REDUNDANT, quality
from ..prior.soundness import OF_KERNELS, mining_warnings
from ..progress import ProgressCallback
from ..store.crop_results import PENDING
from ..store.store import Store
from ..store.versions import versions
from . import svg
from .errors import ReportError
from .fitted_crops import FittedCrop, fitted_crop, rendered, to_bytes
from .html import figure, html_table, mean_decibels, picture, rounded
from .pooled_statistics import PooledStatistics, read_pooled_statistics
from .sections import displacement, distributions, fit_quality, joint_densities, snapshots, symmetry

SHOWN_CROPS = 3
"""Number of best crops, and of worst crops, that are shown."""

PLAIN = 0.5
"""The share of the crops with the smallest gradients that are not shown among the best, as they are nearly
uniform."""

WINDOW = 48
"""Side in pixels of the window whose Gaussians are drawn."""

MOST_ITERATIONS = 2000
"""Fits with more iterations are not repeated to show them."""


def write_report(
    store: str | Path,
    out: str | Path,
    *,
    images: str | Path | None = None,
    dictionary: Dictionary | None = None,
    callback: ProgressCallback | None = None,
) -> None:
    """Write the report on the fitted crops of a store, a self-contained HTML page.

    Args:
        store: the store.
        out: the file to write.
        images: folder of the images, to show crops; default: the folder that was mined. If the images are
            missing, the page states that instead.
        dictionary: the dictionary to show; default: one built from the store, with fewer than 730 kernels if
            there are few Gaussians.
        callback: its `on_progress` is called.

    Raises StoreError if there is no store or no fitted crop in it, DictionaryError if there are too few
    Gaussians, or crops are pending and `dictionary` is not given, ReportError if `out` cannot be written.
    """
    callback = callback or ProgressCallback()
    opened = Store.open(store)
    pooled = read_pooled_statistics(opened, callback)
    callback.on_progress("Dictionary", 0, 1)
    dictionary = dictionary or _default_dictionary(opened, pooled)
    _, held_out = gaussians_of_both(store)
    fast = opened.settings.fit if isinstance(opened.settings.fit, FastRecipe) else None
    page = [
        _head(opened, pooled),
        _warnings(pooled, dictionary),
        distributions(pooled, fast.start_sigma if fast else None),
        joint_densities(pooled, fast.min_sigma if fast else None),
        symmetry(pooled),
        _dictionary(dictionary, held_out),
        fit_quality(pooled),
        displacement(pooled),
        snapshots(opened, pooled),
        _best_and_worst_crops(opened, pooled, images, callback),
        _provenance(opened, dictionary),
    ]
    title = f"Deep Gaussian Prior: {escape(Path(opened.path).name)}"
    css = files("dgp_mining").joinpath("report/report.css").read_text()
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{css}</style></head><body><main>{''.join(page)}</main></body></html>\n"
    )
    try:
        with atomic_write(out) as partial:
            partial.write_text(html, encoding="utf-8")
    except OSError as error:
        raise ReportError(
            f"{out} cannot be written ({error.strerror or error}): name another file with out=."
        ) from error


def _default_dictionary(store: Store, pooled: PooledStatistics) -> Dictionary:
    if (store.status == PENDING).any():
        raise DictionaryError(
            f"{store.path} still has crops to fit: finish it, or name a dictionary with dictionary=."
        )
    size = min(730, int(pooled.weight[:, 0].sum()) // 2, len(pooled.sample) // 2)
    return build_dictionary(store.path, max(size, 8))


def _head(store: Store, pooled: PooledStatistics) -> str:
    settings, means = store.settings, pooled.means()
    sooner = f", or fewer if they reach {settings.target_psnr:g} dB" if settings.target_psnr else ""
    count = int(pooled.counts[:, COUNTS.index("gaussians")].sum())
    number = len(pooled.crops)
    tiles = {
        "crops": f"{number:,}",
        "images": f"{pooled.image.max() + 1:,}",
        "Gaussians fitted": rounded(count),
        "PSNR, dB": f"{pooled.psnr.mean():.2f}",
        "held-out-pixel PSNR, dB": mean_decibels(pooled.held_out_psnr),
        "mean long axis, spacings": f"{means['long_axis']:.3f}",
        "mean axis ratio": f"{means['ratio']:.3f}",
    }
    drawn = "".join(
        f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for name, value in tiles.items()
    )
    return (
        "<h1>A Deep Gaussian Prior</h1>"
        f'<p class="lead">The shapes of 2D Gaussians fitted to {number:,} crops of {settings.crop}×'
        f"{settings.crop} pixels, with {settings.density:g} Gaussians per pixel by the "
        f"<code>{escape(settings.recipe)}</code> recipe in {settings.iterations:,} iterations"
        f"{sooner}. Lengths are in grid spacings, 1/√(Gaussians per pixel); widths and axes are standard "
        "deviations.</p>"
        f'<div class="tiles">{drawn}</div>'
    )


def _warnings(pooled: PooledStatistics, dictionary: Dictionary) -> str:
    """List what `dgp-mine status` and `dictionary build` warn of, if anything."""
    found = mining_warnings(pooled.counts, pooled.content)
    found.pop("few_gaussians", None)
    of_dictionary = dictionary.metadata.get("warnings", {})
    found |= {key: of_dictionary[key] for key in OF_KERNELS if key in of_dictionary}
    items = "".join(f"<li>{escape(_in_options(sentence))}</li>" for sentence in found.values())
    return f"<h2>Warnings</h2><ul>{items}</ul>" if found else ""


def _in_options(sentence: str) -> str:
    """Name options of `dgp-mine` instead of Python arguments: 'max_crops=' becomes '--max-crops'."""
    return re.sub(r"\b[a-z_]+=", lambda found: f"--{found[0].replace('_', '-')[:-1]}", sentence)


def _dictionary(dictionary: Dictionary, gaussians: np.ndarray) -> str:
    found = quality(dictionary, gaussians)
    about, longest = dictionary.metadata, principal_axes(dictionary.covariance)[0].max()
    rows = [
        [space, f"{shares['dictionary']:.1%}", f"{shares['box_corners']:.1%}"]
        for space, shares in found["coverage"].items()
    ]
    symmetric = "symmetric " if about.get("symmetric") else ""
    method = f", {symmetric}<code>{escape(str(about['method']))}</code>" if "method" in about else ""
    return (
        f"<h2>The dictionary</h2><p>{len(dictionary)} kernels{method}, at one sigma and at the same scale, "
        "from the smallest to the largest: round ones blue, long ones red; the longest axis is "
        f"{longest:.2f} spacings. A network blends them: it reaches their convex hull in the space in which "
        "it blends, and nothing else. <em>Coverage</em> is the share of the Gaussians of held-out crops in "
        "that hull, here compared with the hull of the eight corners of the dictionary's bounding box in "
        "Cholesky space. If that box is wide in ℓ₂₁, all its corners have a large S_yy = ℓ₂₁² + ℓ₂₂², and "
        "cover little in the other spaces.</p>"
        + figure(svg.kernels(dictionary.covariance), "")
        + html_table(["blending space", "dictionary", "eight corners"], rows)
        + "<p>The affine-invariant distance of Gaussians to the nearest kernel is "
        f"{found['quantisation']:.3f} (root mean square; 0.1 is 7 % along each axis); "
        f"{found['redundant']:.1%} of the kernels have another one within {REDUNDANT:g}. "
        f"Condition numbers: median {found['condition_median']:.1f}, largest "
        f"{found['condition_max']:,.0f}.</p>"
    )


def _best_and_worst_crops(
    store: Store, pooled: PooledStatistics, images: str | Path | None, callback: ProgressCallback
) -> str:
    heading = "<h2>Best and worst crops</h2>"
    if not store.settings.keep_fields and store.settings.iterations > MOST_ITERATIONS:
        return heading + "<p>Not shown: to show fits as long as these, mine with --keep-fields.</p>"
    best, worst = _best_and_worst(pooled)
    shown = []
    for done, row in enumerate([*best, *worst]):
        callback.on_progress("Crops", done, len(best) + len(worst))
        try:
            one = fitted_crop(store, int(pooled.crops[row]), images)
        except ImageError as error:
            reason = str(error).replace("images=", "--images (images= in Python)")
            return heading + f"<p>Not shown: {escape(reason)}</p>"
        shown.append(_one_crop(one, pooled.psnr[row], pooled.held_out_psnr[row]))
    callback.on_progress("Crops", len(shown), len(shown))
    groups = {"Best": shown[: len(best)], "Worst": shown[len(best) :]}
    return (
        heading
        + "<p>The crops with the highest and the lowest PSNR, from different photographs if possible: the "
        f"crop, its rendered field, and the Gaussians of the central {WINDOW}×{WINDOW} pixels, as centres "
        "and as outlines at one sigma. The half of the crops with the smallest gradients, such as skies and "
        "shadows, is not shown among the best.</p>"
        + "".join(
            f'<h3>{name}</h3><div class="crops">{"".join(crops)}</div>'
            for name, crops in groups.items()
            if crops
        )
        + f'<p class="note"><code>dgp-mine export-field --store {escape(Path(store.path).name)} --index I '
        "--out FILE</code> writes the field of a crop: rendered (.png), for splat2d (.safetensors), or for "
        "splat viewers (.ply). Viewers blend splats by opacity, whereas a field is a plain sum of Gaussians: "
        "compare shapes and positions there, not colours.</p>"
    )


def _best_and_worst(pooled: PooledStatistics) -> tuple[list[int], list[int]]:
    """Return the rows of the best and of the worst crops, at most SHOWN_CROPS each, from many images."""
    order = np.argsort(pooled.psnr, kind="stable")
    gradient = pooled.content[:, CONTENT.index("gradient")]
    good = order[gradient[order] >= np.quantile(gradient, PLAIN)][::-1]
    best = _of_most_images(good, pooled.image)[: min(SHOWN_CROPS, len(order) // 2) or 1]
    return best, _of_most_images(order[~np.isin(order, best)], pooled.image)[:SHOWN_CROPS]


def _of_most_images(rows: np.ndarray, image: np.ndarray) -> list[int]:
    """Reorder rows: the first row of each image, then the second row of each, and so on."""
    seen: Counter[int] = Counter()
    earlier = []  # number of earlier rows of the same image
    for one in image[rows].tolist():
        earlier.append(seen[one])
        seen[one] += 1
    return rows[np.argsort(earlier, kind="stable")].tolist()


def _one_crop(shown: FittedCrop, psnr: float, held_out_psnr: float) -> str:
    reconstruction = to_bytes(rendered(shown.field))
    original = reconstruction if shown.pixels is None else to_bytes(shown.pixels)
    side = min(WINDOW, *original.shape[:2])
    top, left = ((extent - side) // 2 for extent in original.shape[:2])
    window = original[top : top + side, left : left + side]
    means, cholesky = shown.field.means[0].numpy(), shown.field.cholesky[0].numpy()
    row, column = shown.position
    where = f"Crop {shown.crop}: {escape(shown.name)}, row {row}, column {column}"
    return (
        figure(
            picture(original, "the crop"),
            where if shown.pixels is not None else f"{where} (image not available)",
        )
        + figure(
            picture(reconstruction, "its field"),
            f"PSNR {psnr:.2f} dB, held-out-pixel PSNR "
            + (f"{held_out_psnr:.2f} dB" if math.isfinite(held_out_psnr) else "not measured"),
        )
        + figure(svg.gaussians(means, cholesky, window, (left, top)), "Gaussians at one sigma")
    )


def _provenance(store: Store, dictionary: Dictionary) -> str:
    settings = store.settings.to_json()
    flat = {
        "store": Path(store.path).name,
        # Its name alone: a report is passed on.
        "images": Path(store.folder).resolve().name if store.folder else "of several folders",
        "crops fingerprint": dictionary.metadata.get("fingerprint", "-"),
        "settings fingerprint": store.fingerprint,
        **{f"{name}": value for name, value in settings.items() if not isinstance(value, dict)},
        **{f"fit: {name}": value for name, value in settings["fit"].items()},
        **{f"versions: {name}": value for name, value in versions().items()},
    }
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{escape(str(v))}</td></tr>" for k, v in flat.items())
    return f'<h2>Provenance</h2><div class="scroll"><table class="about">{rows}</table></div>'
