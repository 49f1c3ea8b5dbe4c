"""Options that several of the commands `sr-*` have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import click

from dgp_mining.command_line import Function, option

from ..upscaling.consistency import Reduction


def model_option() -> Callable[[Function], Function]:
    """--model."""
    return option(
        "--model",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The checkpoint of a network.  [default: the reference model]",
    )


def reduction_option(what: str) -> Callable[[Function], Function]:
    """--reduction, of the images called `what`."""
    text = f"Kernel by which {what} made smaller: results, made smaller by it again, give them back. Or none."
    text += "  [default: bicubic for networks that start as bicubic interpolation, else none]"
    return option("--reduction", type=click.Choice(get_args(Reduction)), help=text)


def lr_option(more: str = "") -> Callable[[Function], Function]:
    """--lr, which may be given several times."""
    text = "Folder of LR images, paired with HR images by name; their sizes give the scales."
    text += " May be given several times."
    return option("--lr", multiple=True, metavar="DIR", help=text + more)
