"""`dgp-mine report` and `export`: a store to look at."""

from __future__ import annotations

import click


@click.command()
@click.argument("store", default="dgp.zarr")
@click.option("--out", default="report.html", type=click.Path(dir_okay=False), help="The file to write.")
@click.option("--images", metavar="DIR", help="Where the photographs are now.  [default: where they were]")
@click.option("--dictionary", metavar="DICT.NPZ", help="The one to show.  [default: the store's own]")
def report(store: str, out: str, images: str | None, dictionary: str | None) -> None:
    """Write one self-contained HTML page on what was mined: distributions, symmetry, quality, pictures."""
    from ..prior.dictionary import Dictionary
    from ..report.report import write_report
    from .progress import stages

    loaded = Dictionary.load(dictionary) if dictionary else None
    with stages() as on_progress:
        write_report(store, out, images=images, dictionary=loaded, on_progress=on_progress)
    click.echo(f"{out}: open it in a browser.")


@click.command()
@click.argument("store", default="dgp.zarr")
@click.option("--crop", required=True, type=int, metavar="I", help="Number of the crop, from 0.")
@click.option(
    "--to", required=True, metavar="FILE", help="A .png (rendered), .safetensors or .ply (for splat viewers)."
)
@click.option("--images", metavar="DIR", help="Where the photographs are now.  [default: where they were]")
def export(store: str, crop: int, to: str, images: str | None) -> None:
    """Write the field of one crop; it is fitted again where the store keeps no fields.

    Viewers of .ply composite splats with opacity, where a field is a plain sum: look at shapes and places
    there, not at colours.
    """
    from ..report.export import check_format, export_field
    from ..report.fitted_crops import fitted_crop
    from ..store.store import Store

    check_format(to)
    shown = fitted_crop(Store.open(store), crop, images)
    export_field(shown, to)
    row, column = shown.position
    count = shown.field.means.shape[1]
    click.echo(f"{to}: {count:,} Gaussians of {shown.name}, row {row}, column {column}.")
