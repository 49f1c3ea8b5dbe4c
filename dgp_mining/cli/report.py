"""`dgp-mine report` and `export-field`: inspect a store."""

from __future__ import annotations

import click

from ..command_line import (
    REPLACED,
    NewFile,
    former_argument,
    images_option,
    option,
    out_option,
    prior_option,
    store_option,
)
from .group import Command

NOT_MOVED = "  [default: the folder that was mined]"


@click.command(cls=Command)
@store_option()
@former_argument("store")
@out_option("the HTML page", REPLACED, default="report.html", type=NewFile())
@images_option(NOT_MOVED)
@prior_option("  [default: one built from the store]", former=["--dictionary"], argument=["dictionary"])
def report(store: str, out: str, images: str | None, prior: str | None) -> None:
    """Write an HTML page about a store.

    It shows distributions, symmetry, fit quality and example crops, and is self-contained.
    """
    from ..prior.dictionary import Dictionary
    from ..report.report import write_report
    from .progress import progress

    loaded = Dictionary.load(prior) if prior else None
    with progress() as callback:
        write_report(store, out, images=images, dictionary=loaded, callback=callback)
    click.echo(f"{out}: open it in a browser.")


@click.command("export-field", cls=Command)
@store_option()
@former_argument("store")
@option(
    "--index",
    required=True,
    type=click.IntRange(0),
    metavar="I",
    former=["--crop"],
    argument=["crop"],
    help="Index of the crop in the store, from 0.",
)
@out_option(
    "the field: a .png (rendered), .safetensors, or .ply (for splat viewers)",
    REPLACED,
    required=True,
    type=NewFile(),
    former=["--to"],
    argument=["path"],
)
@images_option(NOT_MOVED)
def export_field(store: str, index: int, out: str, images: str | None) -> None:
    """Write the field of one crop to a file.

    If the store keeps no fields, the crop is fitted again.

    Viewers of .ply files blend splats by opacity, whereas a field is a plain sum of Gaussians: compare shapes
    and positions there, not colours.
    """
    from ..report.export import check_format, export_field
    from ..report.fitted_crops import fitted_crop
    from ..store.store import Store

    check_format(out)
    shown = fitted_crop(Store.open(store), index, images)
    export_field(shown, out)
    row, column = shown.position
    count = shown.field.means.shape[1]
    click.echo(f"{out}: {count:,} Gaussians of {shown.name}, row {row}, column {column}.")
