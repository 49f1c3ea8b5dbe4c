"""sr-convert: make a checkpoint of this project of a released one."""

from __future__ import annotations

from pathlib import Path

import click

from ..checkpoints.convert_continuoussr import convert_continuoussr
from ..checkpoints.convert_gsasr import convert_gsasr
from . import Command


@click.command(cls=Command)
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.argument("target", metavar="DST", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace DST where it exists.")
def main(source: Path, target: Path, overwrite: bool) -> None:
    """Convert SRC, a released checkpoint, to DST, a .safetensors file for --model.

    SRC is the .pth file of a ContinuousSR, or the folder with encoder.pth and decoder.pth of a GSASR.
    """
    converted = (convert_gsasr if source.is_dir() else convert_continuoussr)(
        source, target, overwrite=overwrite
    )
    terms = ": not for commercial use" if "NC" in converted.licence else ""
    click.echo(
        f"{target}: {converted.architecture} on {converted.encoder}, {converted.parameters:,} parameters; "
        f"the released weights are {converted.licence}{terms}"
    )
