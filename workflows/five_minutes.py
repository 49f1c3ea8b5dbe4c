# %% [markdown]
# # Five minutes with dgp-mining
#
# From photographs to a prior, one fit in close-up, and one photograph upscaled. Run the file as a script,
#
#     python workflows/five_minutes.py
#
# or cell by cell in Jupyter, VS Code or Spyder. Pictures go to `five_minutes/`. The last line compares the
# PSNR with that of bicubic interpolation. `--quick` shrinks everything, to see that it runs.

# %% Settings
from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import matplotlib

if __name__ == "__main__" and not hasattr(sys, "ps1"):
    matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Ellipse
from PIL import Image

import dgp_mining
import sr_model
from dgp_mining.covariance import covariance_from_cholesky, principal_axes
from dgp_mining.fitting.fit import held_out_psnr
from dgp_mining.prior.plot import plot_dictionary
from splat2d import imresize

QUICK = "--quick" in sys.argv
OUT = Path("five_minutes-quick" if QUICK else "five_minutes")
SAMPLES = Path(dgp_mining.__file__).resolve().parents[1] / "data" / "samples"
OUT.mkdir(exist_ok=True)

# %% [markdown]
# ## 1. Mine a prior
#
# `mine` fits 2D Gaussians to crops of photographs and keeps their statistics in a Zarr store. Run this cell
# twice: the second time there is nothing left to do. `scheduler="sync"` fits in this process; the default
# starts one worker per core.

# %%
settings = dgp_mining.Settings(
    crop=32 if QUICK else 128, max_crops=20, iterations=20 if QUICK else None, seed=0
)
progress = dgp_mining.TqdmCallback() if find_spec("tqdm") else None
store = dgp_mining.mine(SAMPLES / "mining", OUT / "dgp.zarr", settings, scheduler="sync", callback=progress)
summary = dgp_mining.summarise(store)
print(f"{summary['done']} crops fitted, mean PSNR {summary['psnr']['mean']:.2f} dB")

# %% [markdown]
# `build_dictionary` condenses the fitted Gaussians into kernels: this is the Deep Gaussian Prior that a
# network blends. Its unit is the grid spacing, 1/sqrt(Gaussians per pixel).

# %%
prior = dgp_mining.build_dictionary(store.path, size=64 if QUICK else 730)
prior.save(OUT / "dict.npz")
plot_dictionary(prior, OUT / "prior.png")
print(f"{len(prior)} kernels, mean (l11, l21, l22) = {prior.cholesky.mean(axis=0).round(3)}")

# %% [markdown]
# ## 2. Look at one fit
#
# A fit turns pixels into a field that renders at any size. Its Gaussians have moved, turned and stretched
# from the regular grid on which they started.

# %%
photograph = np.asarray(Image.open(SAMPLES / "heldout" / "chelsea.png").convert("RGB"))
side = 32 if QUICK else 96
crop = (photograph[88 : 88 + side, 120 : 120 + side] / 255).astype(np.float32)
fit = dgp_mining.fit_image(crop, iterations=20 if QUICK else None)
large = fit.field.scale(4).render((4 * side, 4 * side))[0]

figure, axes = plt.subplots(1, 3, figsize=(12, 4.3), layout="constrained")
axes[0].imshow(crop)
axes[0].set_title(f"{side}x{side} pixels")
axes[1].imshow(large.clamp(0, 1).permute(1, 2, 0))
axes[1].set_title(f"its field at x4, {fit.psnr:.1f} dB at x1")
means, colors = fit.field.means[0].numpy(), fit.field.colors[0].numpy()
long_axis, short_axis, degrees = principal_axes(covariance_from_cholesky(fit.field.cholesky[0].numpy()))
for mean, long, short, angle, color in zip(means, long_axis, short_axis, degrees, colors, strict=True):
    # A pixel's colour is a sum over several Gaussians: doubled, a single one's is about as bright.
    axes[2].add_patch(Ellipse(mean, 2 * long, 2 * short, angle=angle, facecolor=np.clip(2 * color, 0, 1)))
axes[2].set(title=f"its {len(means):,} Gaussians at one sigma", xlim=(0, side), ylim=(side, 0))
axes[2].set_aspect("equal")
figure.savefig(OUT / "fit.png", dpi=110)

# %% [markdown]
# PSNR on the fitted pixels does not tell whether the field is right between them. *Held-out-pixel PSNR* does:
# fit the crop downsampled by two, render at x2, and compare with the pixels that the fit never saw. From a
# narrow start, a fit can match the pixels and miss everything else.

# %%
for recipe in ("fast", "lattice"):
    on = dgp_mining.fit_image(crop, recipe=recipe, iterations=20 if QUICK else None).psnr
    between = held_out_psnr(crop, recipe=recipe, iterations=20 if QUICK else None)
    print(f"recipe {recipe:8s} PSNR {on:.2f} dB, held-out-pixel PSNR {between:.2f} dB")

# %% [markdown]
# ## 3. Upscale a photograph
#
# The reference model was trained on a prior mined in the same way. The photograph is first downscaled by
# four, so that the result can be compared with the original.

# %%
original = photograph[: 64 if QUICK else 296, : 96 if QUICK else 448]
small = imresize(torch.from_numpy(original.copy()).permute(2, 0, 1), scale=0.25)
bicubic = imresize(small, scale=4).permute(1, 2, 0).numpy()
upscaled = sr_model.upscale(small.permute(1, 2, 0).numpy(), 4)
Image.fromarray(upscaled).save(OUT / "upscaled.png")


def psnr(image: np.ndarray) -> float:
    """PSNR against the original in dB, all channels."""
    return float(-10 * np.log10(np.mean((image / 255 - original / 255) ** 2)))


figure, axes = plt.subplots(1, 3, figsize=(14, 3.6), layout="constrained")
for axis, image, title in (
    (axes[0], bicubic, f"bicubic x4, {psnr(bicubic):.2f} dB"),
    (axes[1], upscaled, f"reference model x4, {psnr(upscaled):.2f} dB"),
    (axes[2], original, "original"),
):
    axis.imshow(image)
    axis.set_title(title)
    axis.axis("off")
figure.savefig(OUT / "upscaled-comparison.png", dpi=110)
print(f"x4: bicubic {psnr(bicubic):.2f} dB, reference model {psnr(upscaled):.2f} dB")

# %% [markdown]
# Next: train a network on your own prior with `sr-train --prior five_minutes/dict.npz --images DIR`, or read
# on in `dgp_mining/README.md` and `sr_model/README.md`.
