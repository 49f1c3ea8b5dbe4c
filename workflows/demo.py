"""`make demo`: mine a prior, train a network on it and upscale a photograph that neither has seen.

Runs the commands that a user would type, on the sample photographs, and leaves everything in `demo/`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import matplotlib
import numpy as np
import torch
from PIL import Image

matplotlib.use("agg")
import matplotlib.pyplot as plt

from splat2d.atomic_write import atomic_write
from splat2d.matlab_imresize import imresize

ROOT = Path(os.path.relpath(Path(__file__).resolve().parents[1]))
MINING = ROOT / "data" / "samples" / "mining"
HELDOUT = ROOT / "data" / "samples" / "heldout" / "chelsea.png"
SCALES = (4.0, 3.7)
DETAIL = (120, 88, 208, 144)
"""The part shown in close-up: left, top, width, height in pixels of the original."""


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--minutes", default=1.6, show_default=True, help="Training time.")
@click.option("--crops", default=29, show_default=True, help="Crops to mine.")
def main(out: Path, minutes: float, crops: int) -> None:
    """Mine, train, upscale, compare; minutes on two CPU cores."""
    began = time.monotonic()
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    store, prior, model = out / "dgp.zarr", out / "dict.npz", out / "run" / "best.safetensors"

    heading("1. Mine: fit 2D Gaussians to crops of the sample photographs, with two Dask workers")
    command("dgp-mine", "fit", "--images", MINING, "--store", store, "--max-crops", crops, "--workers", 2)
    heading("2. Condense their statistics into a dictionary of 730 kernels")
    command("dgp-mine", "dictionary", "build", "--store", store, "--out", prior)
    command("dgp-mine", "dictionary", "show", prior, "--plot", out / "prior.png")
    heading(f"3. Train a network on it for {minutes:g} minutes")
    command("sr-train", "--prior", prior, "--preset", "demo", "--minutes", minutes, "--out", out / "run")
    heading(f"4. Upscale {HELDOUT.name}, which was neither mined nor trained on")
    upscaled = {scale: upscale(scale, model, out) for scale in SCALES}
    scales = ",".join(f"{scale:g}" for scale in SCALES)
    arguments = ("--model", model, "--images", HELDOUT.parent, "--scales", scales, "--protocol", "benchmark")
    command("sr-eval", *arguments)
    figures = json.loads(command("sr-eval", *arguments, "--json", quiet=True))["mean"]
    draw(upscaled[SCALES[0]], figures[f"x{SCALES[0]:g}"], out / "before-after.png")

    heading(f"Done in {(time.monotonic() - began) / 60:.1f} minutes. Look at:")
    for path, what in [
        (
            "before-after.png",
            "the small photograph, upscaled by bicubic interpolation and by the network, and the original",
        ),
        ("prior.png", "the prior: how the fitted Gaussians' shapes are distributed, and its kernels"),
        ("upscaled-x4.png", f"the whole photograph at x4; x{SCALES[1]:g} is next to it"),
    ]:
        click.echo(f"   {out / path}  {what}")
    for scale, row in figures.items():
        gain = row["psnr"] - row["bicubic_psnr"]
        click.echo(f"   {scale}: {row['psnr']:.2f} dB, bicubic {row['bicubic_psnr']:.2f} dB ({gain:+.2f})")
    if not all(row["psnr"] > row["bicubic_psnr"] for row in figures.values()):
        click.echo("   The network does not beat bicubic: train for longer with --minutes.")
        raise SystemExit(1)


def heading(line: str) -> None:
    """Print a bold line after an empty one."""
    click.secho(f"\n{line}", bold=True)


def command(name: str, *arguments: object, quiet: bool = False) -> str:
    """Run one of our commands as a user would, printing it first; return its output if `quiet`."""
    words = [name, *map(str, arguments)]
    if not quiet:
        click.secho(f"$ {shlex.join(words)}", fg="cyan")
    sys.stdout.flush()
    program = Path(sys.executable).parent / name
    output = subprocess.PIPE if quiet else None
    done = subprocess.run([str(program), *words[1:]], stdout=output, stderr=output, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{done.stderr or ''}{name} ended with status {done.returncode}")
    return done.stdout or ""


def upscale(scale: float, model: Path, out: Path) -> dict[str, np.ndarray]:
    """Downscale the photograph, upscale the result, and return all images with bicubic's version."""
    original = np.asarray(Image.open(HELDOUT).convert("RGB"))
    small_size = tuple(int(extent / scale) for extent in original.shape[:2])
    size = tuple(round(extent * scale) for extent in small_size)
    original = original[: size[0], : size[1]]
    small = to_bytes(imresize(to_planes(original), size=small_size))
    small_path, large_path = out / f"small-x{scale:g}.png", out / f"upscaled-x{scale:g}.png"
    with atomic_write(small_path) as partial:
        Image.fromarray(small).save(partial, "PNG")
    command("sr-upscale", small_path, "--out", large_path, "--scale", f"{scale:g}", "--model", model)
    return {
        "small": small,
        "bicubic": to_bytes(imresize(to_planes(small), size=size)),
        "network": np.asarray(Image.open(large_path)),
        "original": original,
    }


def to_planes(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)


def to_bytes(planes: torch.Tensor) -> np.ndarray:
    return (planes.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def draw(images: dict[str, np.ndarray], figures: dict[str, float], path: Path) -> None:
    """Draw four panels of the same detail."""
    left, top, width, height = DETAIL
    titles = {
        "small": "input",
        "bicubic": f"bicubic x4, {figures['bicubic_psnr']:.2f} dB",
        "network": f"dgp-mining x4, {figures['psnr']:.2f} dB",
        "original": "the original",
    }
    figure, axes = plt.subplots(1, 4, figsize=(16, 3.4), constrained_layout=True)
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        image = images[name]
        ratio = image.shape[1] / images["original"].shape[1]
        box = [round(edge * ratio) for edge in (left, top, left + width, top + height)]
        axis.imshow(image[box[1] : box[3], box[0] : box[2]], interpolation="nearest")
        axis.set_title(title)
        axis.axis("off")
    with atomic_write(path) as partial:
        figure.savefig(partial, format="png", dpi=110)


if __name__ == "__main__":
    main()
