"""sr-convert: make a checkpoint of this project from a released one."""

from __future__ import annotations

from pathlib import Path

import click

from dgp_mining.command_line import former_argument, out_option, overwrite_option

from ..checkpoints.convert_continuoussr import convert_continuoussr
from ..checkpoints.convert_gsasr import convert_gsasr
from .command import Command


@click.command("sr-convert", cls=Command)
@click.argument("source", metavar="SOURCE", type=click.Path(path_type=Path))
@former_argument("out")
@out_option(
    "the checkpoint, a .safetensors file for --model of the other commands",
    type=click.Path(path_type=Path),
    required=True,
    argument=["target"],
)
@overwrite_option()
def main(source: Path, out: Path, overwrite: bool) -> None:
    """Convert a released checkpoint.

    SOURCE is the .pth file of a ContinuousSR, or the folder with encoder.pth and decoder.pth of a GSASR.
    """
    converted = (convert_gsasr if source.is_dir() else convert_continuoussr)(source, out, overwrite=overwrite)
    terms = ": not for commercial use" if "NC" in converted.licence else ""
    click.echo(
        f"{out}: {converted.architecture} on {converted.encoder}, {converted.parameters:,} parameters; "
        f"the released weights are {converted.licence}{terms}"
    )
