"""`dgp-mine dictionary`: build, show, compare; the released layout in and out."""

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
@click.option(
    "--method",
    default="kmeans",
    type=click.Choice(["kmeans", "marginal", "sample", "grid"]),
    help="A codebook, the paper's Eq. 6, mined Gaussians, the released code's layout.",
)
@click.option("--seed", default=0, type=click.IntRange(0), help="Of what is drawn.")
@click.option(
    "--symmetric/--asymmetric",
    default=None,
    help="Hold every kernel's mirror images and transpose, too, or not.  [default: do, but for grid]",
)
def build(store: str, out: str, size: int, method: str, seed: int, symmetric: bool | None) -> None:
    """Condense the Gaussians of a finished store into a dictionary."""
    from ..prior.build import build_dictionary
    from .progress import progress_bar

    with progress_bar("Reading") as on_progress:
        built = build_dictionary(store, size, method, seed, symmetric, on_progress=on_progress)
    built.save(out)
    about = built.metadata
    how = f"symmetric {method}" if about["symmetric"] else method
    click.echo(
        f"{out}: {len(built)} kernels ({how}) from {about['gaussians']:,} Gaussians of "
        f"{about['crops']:,} crops.\nNext: sr-train --prior {out}"
    )


@dictionary.command()
@click.argument("path", metavar="DICT.NPZ")
@JSON_OPTION
@click.option("--plot", metavar="FILE.png", help="Draw the distributions and the kernels.")
def show(path: str, as_json: bool, plot: str | None) -> None:
    """Say what a dictionary holds and where it comes from."""
    from ..prior.build import describe
    from ..prior.dictionary import Dictionary
    from .dictionary_output import dictionary_text

    loaded = Dictionary.load(path)
    described = describe(loaded)
    click.echo(json.dumps(described, indent=2) if as_json else dictionary_text(described))
    if plot:
        from ..prior.plot import plot_dictionary

        plot_dictionary(loaded, plot)


@dictionary.command()
@click.argument("a", metavar="A.NPZ")
@click.argument("b", metavar="B.NPZ")
@click.option("--store", help="Judge both by the Gaussians of this store's held-out crops, too.")
@JSON_OPTION
def compare(a: str, b: str, store: str | None, as_json: bool) -> None:
    """Say how two dictionaries differ: kernels, what each can blend of the other, provenance."""
    from ..prior.build import gaussians_of_both
    from ..prior.dictionary import Dictionary
    from ..prior.quality import compare as compare_dictionaries
    from .dictionary_output import comparison_text
    from .progress import progress_bar

    pair, gaussians = [Dictionary.load(path) for path in (a, b)], None
    if store:
        with progress_bar("Reading") as on_progress:
            _, gaussians = gaussians_of_both(store, on_progress=on_progress)
    compared = compare_dictionaries(*pair, gaussians)
    click.echo(json.dumps(compared, indent=2) if as_json else comparison_text((a, b), compared))


@dictionary.command("import")
@click.argument("source", metavar="FILE", required=False)
@click.option("--released", is_flag=True, help="The released dictionary itself, instead of a file.")
@click.option("--out", default="dict.npz", type=click.Path(dir_okay=False), help="The file to write.")
def import_(source: str | None, released: bool, out: str) -> None:
    """Make a dictionary of a table in the layout of ContinuousSR's released code.

    FILE is an .npy file [K, 3], or text with three numbers a line: l11, l21, l22 in pixels at x4.
    """
    from ..prior.continuoussr_table import read_released, released_dictionary

    if released == bool(source):
        raise click.UsageError("Name a FILE, or take --released.")
    imported = released_dictionary() if released else read_released(source)
    imported.save(out)
    widened = imported.metadata["widened"]
    click.echo(f"{out}: {len(imported)} kernels" + (f", {widened} of them singular" if widened else "") + ".")


@dictionary.command("export")
@click.argument("path", metavar="DICT.NPZ")
@click.option("--to", required=True, metavar="FILE", help="The file to write: .npy, else text.")
def export(path: str, to: str) -> None:
    """Write a dictionary in the layout of ContinuousSR's released code: a table in pixels at x4."""
    from ..prior.continuoussr_table import write_released
    from ..prior.dictionary import Dictionary

    loaded = Dictionary.load(path)
    write_released(loaded, to)
    click.echo(f"{to}: {len(loaded)} rows of l11, l21, l22 in pixels at x4.")
