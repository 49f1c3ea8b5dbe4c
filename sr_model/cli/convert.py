"""sr-convert: make a checkpoint of this project of a released ContinuousSR checkpoint."""

from __future__ import annotations

from pathlib import Path

import click

from ..convert import LICENCE, convert
from . import Command


@click.command(cls=Command)
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.argument("target", metavar="DST", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace DST where it exists.")
def main(source: Path, target: Path, overwrite: bool) -> None:
    """Convert SRC, a released ContinuousSR checkpoint (.pth), to DST, a .safetensors file for --model."""
    converted = convert(source, target, overwrite=overwrite)
    click.echo(
        f"{target}: ContinuousSR on {converted.encoder}, {converted.parameters:,} parameters; "
        f"the released weights are {LICENCE}: not for commercial use"
    )
