"""sr-upscale: upscale images with a trained network."""

from __future__ import annotations

from pathlib import Path

import click

from dgp_mining.command_line import (
    FINISHED_WITH_FAILURES,
    former_argument,
    in_options,
    option,
    out_option,
    overwrite_option,
)
from dgp_mining.images.reader import ImageError
from dgp_mining.terminal import ProgressLine, count, notify

from ..image_io.writer import FORMATS
from ..scaling import RequestedSize, Scale
from ..upscaling.files import UpscaleRequest, upscale_file, upscale_folder
from . import types
from .command import Command
from .options import model_option


@click.command("sr-upscale", cls=Command)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@former_argument("out")
@out_option(
    "the result: a file, or a folder if INPUT is one",
    "  [default: next to INPUT, named after the scale]",
    type=click.Path(path_type=Path),
    metavar="OUTPUT",
    argument=["target"],
)
@option(
    "--scale",
    type=types.scale_by_axis,
    metavar="SCALE",
    help="Any factor such as x4, 3.7 or 0.5; or 2x3, width by height.",
)
@option(
    "--size",
    type=types.size,
    metavar="WxH",
    help="Or the size of the result in pixels: 1920x1080; or 1920x or x1080, to keep the aspect ratio.",
)
@option(
    "--window",
    type=types.window,
    metavar="X,Y,W,H",
    help="Upscale only this part: left, top, width and height in pixels of INPUT.",
)
@model_option()
@option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help="Format of the result.  [default: the one that --out ends in, else png]",
)
@option(
    "--quality", type=click.IntRange(1, 100), metavar="1-100", default=95, help="Quality of JPEG and WebP."
)
@overwrite_option()
@option(
    "--save-field",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also keep the Gaussians in this .safetensors file, to zoom into them later.",
)
@option(
    "--tile",
    type=click.IntRange(16),
    metavar="N",
    help="Encode the image in tiles of NxN pixels.  [default: as memory allows]",
)
@option(
    "--memory",
    type=click.FloatRange(0, min_open=True),
    metavar="GB",
    help="Memory to use in GB.  [default: what is free]",
)
def main(
    source: Path,
    out: Path | None,
    scale: Scale | None,
    size: RequestedSize | None,
    window: tuple[float, float, float, float] | None,
    model: Path | None,
    form: str | None,
    quality: int,
    overwrite: bool,
    save_field: Path | None,
    tile: int | None,
    memory: float | None,
) -> None:
    """Upscale INPUT, an image or a folder of images.

    Transparency, 16 bits, grey, colour profile, EXIF and resolution are kept if the format of the result can
    hold them.

    INPUT may also be a field that --save-field has kept. It is rendered at any scale without the network.

    Exit status 3: some images of the folder failed.
    """
    if scale and size:
        raise click.UsageError("Give --scale or --size, not both.")
    if not (scale or size or save_field):
        raise click.UsageError("Give --scale or --size.")
    budget = int(memory * 1e9) if memory else None
    request = UpscaleRequest(scale, size, window, tile, budget, quality, overwrite, save_field)
    line = ProgressLine()
    if source.is_dir():
        if save_field or window:
            raise click.UsageError("--save-field and --window are for a single image, and INPUT is a folder.")
        out = out or source.resolve().with_name(f"{source.resolve().name}_{_name(scale, size)}")
        _upscale_all(source, out, request, model, form or "png", line)
        return
    if form and out and out.suffix.lower() not in FORMATS[form].suffixes:
        raise click.UsageError(f"--format {form} does not agree with the ending of {out}.")
    if out is None and request.makes_image:
        out = source.with_name(f"{source.stem}_{_name(scale, size)}{FORMATS[form or 'png'].suffixes[0]}")
    done = upscale_file(source, out, request, model, line)
    line.clear()
    if save_field:
        click.echo(f"{save_field}: the field")
    if done:
        click.echo(f"{out}: {done[1]}x{done[0]} pixels")


def _upscale_all(
    source: Path, out: Path, request: UpscaleRequest, model: Path | None, form: str, line: ProgressLine
) -> None:
    images = failed = 0
    for _, target, result in upscale_folder(source, out, request, model, form, line):
        line.clear()
        images += 1
        if isinstance(result, ImageError):
            failed += 1
            notify(f"failed: {in_options(str(result))}")
        else:
            click.echo(f"{target}: {result[1]}x{result[0]} pixels")
    if failed:
        others = f"the others are in {out}" if failed < images else "none is upscaled"
        notify(f"{failed} of {count(images, 'image')} failed; {others}.")
        raise SystemExit(FINISHED_WITH_FAILURES)


def _name(scale: Scale | None, size: RequestedSize | None) -> str:
    """The end of a result's file name: x4, x2x3, 1920x1080 or 1920x, width first."""
    if size:
        height, width = size
        return f"{width or ''}x{height or ''}"
    return f"x{scale[1]:g}x{scale[0]:g}" if isinstance(scale, tuple) else f"x{scale:g}"
