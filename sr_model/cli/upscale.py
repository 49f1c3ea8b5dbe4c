"""sr-upscale: enlarge images with a trained network."""

from __future__ import annotations

from pathlib import Path

import click

from dgp_mining.images.reader import ImageError

from ..image_io.writer import FORMATS
from ..networks.base import Network
from ..scaling import Scale
from ..upscaling.files import Request, is_field, upscale_file, upscale_folder
from ..upscaling.upscale import network
from . import FAILED_PARTLY, Command
from .progress import ProgressLine
from .types import Scales2D, Size, Window


@click.command(cls=Command)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("target", metavar="[OUTPUT]", required=False, type=click.Path(path_type=Path))
@click.option("--scale", type=Scales2D(), help="Any factor such as 4, 3.7 or 0.5; or 2x3, width by height.")
@click.option("--size", type=Size(), help="Or the size of the result, such as 1920x1080.")
@click.option("--window", type=Window(), help="Enlarge only this part, in pixels of INPUT.")
@click.option(
    "--model", type=click.Path(path_type=Path), help="A checkpoint.  [default: the reference model]"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help="Of OUTPUT.  [default: by its ending, else png]",
)
@click.option(
    "--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="Of JPEG and WebP."
)
@click.option("--overwrite", is_flag=True, help="Replace what exists.")
@click.option(
    "--save-field", type=click.Path(path_type=Path), help="Keep the Gaussians, to zoom into them later."
)
@click.option(
    "--tile", type=click.IntRange(16), metavar="N", help="Encode parts of NxN pixels.  [default: by memory]"
)
@click.option(
    "--memory",
    type=click.FloatRange(0, min_open=True),
    metavar="GB",
    help="Memory to use.  [default: what is free]",
)
def main(
    source: Path,
    target: Path | None,
    scale: Scale | None,
    size: tuple[int, int] | None,
    window: tuple[float, float, float, float] | None,
    model: Path | None,
    form: str | None,
    quality: int,
    overwrite: bool,
    save_field: Path | None,
    tile: int | None,
    memory: float | None,
) -> None:
    """Enlarge INPUT, an image or a folder of images, into OUTPUT.

    OUTPUT is by default a PNG file, or a folder, beside INPUT. Transparency, 16 bits, grey, colour profile,
    EXIF and resolution are kept where the format can keep them.

    INPUT may also be a field that --save-field has kept: it is rendered again, at any
    scale, without the network.
    """
    if scale and size:
        raise click.UsageError("Give --scale or --size, not both.")
    if not (scale or size or save_field):
        raise click.UsageError("Give --scale or --size.")
    budget = int(memory * 1e9) if memory else None
    request = Request(scale, size, window, tile, budget, quality, overwrite, save_field)
    line = ProgressLine()
    if source.is_dir():
        if save_field or window:
            raise click.UsageError("--save-field and --window are for a single image, and INPUT is a folder.")
        target = target or source.resolve().with_name(f"{source.resolve().name}_{_name(scale, size)}")
        _enlarge_all(source, target, request, network(model), form or "png", line)
        return
    if form and target and target.suffix.lower() not in FORMATS[form].suffixes:
        raise click.UsageError(f"--format {form} is at odds with the ending of {target}.")
    if target is None and request.enlarges:
        suffix = FORMATS[form or "png"].suffixes[0]
        target = source.with_name(f"{source.stem}_{_name(scale, size)}{suffix}")
    done = upscale_file(source, target, request, None if is_field(source) else network(model), line)
    line.clear()
    if save_field:
        click.echo(f"{save_field}: the field")
    if done:
        click.echo(f"{target}: {done[1]}x{done[0]} pixels")


def _enlarge_all(
    source: Path, target: Path, request: Request, model: Network, form: str, line: ProgressLine
) -> None:
    count = failed = 0
    for _, into, result in upscale_folder(source, target, request, model, form, line):
        line.clear()
        count += 1
        if isinstance(result, ImageError):
            failed += 1
            click.echo(f"failed: {result}", err=True)
        else:
            click.echo(f"{into}: {result[1]}x{result[0]} pixels")
    if failed:
        click.echo(f"{failed} of {count} images failed; the others are in {target}.", err=True)
        raise SystemExit(FAILED_PARTLY)


def _name(scale: Scale | None, size: tuple[int, int] | None) -> str:
    """What a result is called after: x4, x2x3 or 1920x1080, width first."""
    if size:
        return f"{size[1]}x{size[0]}"
    return f"x{scale[1]:g}x{scale[0]:g}" if isinstance(scale, tuple) else f"x{scale:g}"
