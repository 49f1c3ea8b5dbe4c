"""sr-upscale: enlarge an image with a trained network."""

from __future__ import annotations

from pathlib import Path

import click

from ..upscaling import upscale_file
from . import Command, Scale, Size


@click.command(cls=Command)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("target", metavar="[OUTPUT]", required=False, type=click.Path(path_type=Path))
@click.option("--scale", type=Scale(), help="Any factor above 0, such as 4 or 3.7.")
@click.option("--size", type=Size(), help="Or the size of the result, such as 1920x1080.")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="A checkpoint of sr-train.")
def main(
    source: Path, target: Path | None, scale: float | None, size: tuple[int, int] | None, model: Path
) -> None:
    """Enlarge INPUT and write OUTPUT, 8 bits per channel; by default a PNG file beside INPUT."""
    if (scale is None) == (size is None):
        raise click.UsageError("Give either --scale or --size.")
    if target is None:
        suffix = f"x{scale:g}" if scale else f"{size[1]}x{size[0]}"
        target = source.with_name(f"{source.stem}_{suffix}.png")
    height, width = upscale_file(source, target, scale, size=size, model=model)
    click.echo(f"{target}: {width}x{height} pixels")
