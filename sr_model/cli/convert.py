"""sr-convert: make a checkpoint of this project from a released one."""

from __future__ import annotations

from pathlib import Path

import click

from dgp_mining.command_line import former_argument, option, out_option, overwrite_option

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
@option(
    "--key",
    default="",
    metavar="KEY",
    help="Where in the file to take the weights from, such as params or model.sd.  "
    "[default: wherever they are; averaged weights, such as params_ema, before others]",
    show_default=False,
)
@overwrite_option()
def main(source: Path, out: Path, key: str, overwrite: bool) -> None:
    """Convert a released checkpoint.

    SOURCE is the file of a ContinuousSR, or the folder with encoder.pth and decoder.pth of a GSASR: files of
    torch.save or safetensors, whatever wraps the weights in them.
    """
    convert = convert_gsasr if source.is_dir() else convert_continuoussr
    converted = convert(source, out, overwrite=overwrite, key=key)
    terms = ": not for commercial use" if "NC" in converted.licence else ""
    click.echo(
        f"{out}: {converted.architecture} on {converted.encoder}, {converted.parameters:,} parameters; "
        f"the released weights are {converted.licence}{terms}"
    )
