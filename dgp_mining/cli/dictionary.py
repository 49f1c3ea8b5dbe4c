"""`dgp-mine dictionary`: build and show."""

from __future__ import annotations

import json

import click

from .group import JSON_OPTION, STORE_OPTION


@click.group()
def dictionary() -> None:
    """Build and look at kernel dictionaries."""


@dictionary.command()
@STORE_OPTION
@click.option("--out", default="dict.npz", type=click.Path(dir_okay=False), help="The file to write.")
@click.option("--size", default=730, type=click.IntRange(8, 100_000), help="Number of kernels.")
@click.option("--method", default="marginal", type=click.Choice(["marginal", "sample", "kmeans", "grid"]))
@click.option("--seed", default=0, type=click.IntRange(0), help="Of what is drawn.")
def build(store: str, out: str, size: int, method: str, seed: int) -> None:
    """Condense the Gaussians of a finished store into a dictionary."""
    from ..console.store import progress_bar
    from ..prior import build_dictionary

    with progress_bar("Reading") as on_progress:
        built = build_dictionary(store, size, method, seed, on_progress=on_progress)
    built.save(out)
    about = built.metadata
    click.echo(
        f"{out}: {len(built)} kernels ({method}) from {about['gaussians']:,} Gaussians of "
        f"{about['crops']:,} crops.\nNext: sr-train --prior {out}"
    )


@dictionary.command()
@click.argument("path", metavar="DICT.NPZ")
@JSON_OPTION
@click.option("--plot", metavar="FILE.png", help="Draw the distributions and the kernels.")
def show(path: str, as_json: bool, plot: str | None) -> None:
    """Say what a dictionary holds and where it comes from."""
    from ..console.dictionary import dictionary_text
    from ..dictionary import Dictionary
    from ..prior import describe

    loaded = Dictionary.load(path)
    described = describe(loaded)
    click.echo(json.dumps(described, indent=2) if as_json else dictionary_text(described))
    if plot:
        from ..plots import plot_dictionary

        plot_dictionary(loaded, plot)
