"""`dgp-mine dictionary`: build, show and compare dictionaries; read and write ContinuousSR's table."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..command_line import (
    REPLACED,
    NewFile,
    in_options,
    json_option,
    option,
    out_option,
    overwrite_option,
    refuse_existing,
    seed_option,
    store_option,
)
from ..terminal import count, notify, printable
from .group import Command, Group


@click.group(cls=Group)
def dictionary() -> None:
    """Build dictionaries of kernels and look at them."""


@dictionary.command(cls=Command)
@store_option()
@out_option("the dictionary", REPLACED, default="dict.npz", type=NewFile())
@option(
    "--kernels",
    "size",
    default=730,
    type=click.IntRange(8, 100_000),
    metavar="N",
    former=["--size"],
    help="Number of kernels.",
)
@option(
    "--method",
    default="kmeans",
    type=click.Choice(["kmeans", "marginal", "sample", "grid"]),
    help="How to choose the kernels: kmeans, k-means centroids; marginal, the paper's Eq. 6; sample, random "
    "mined Gaussians; grid, the layout of the ContinuousSR table.",
)
@seed_option("k-means and of the random draws")
@option(
    "--symmetric/--asymmetric",
    default=None,
    help="Whether to include the mirror image and the transpose of every kernel.  [default: symmetric, "
    "except for grid]",
)
def build(store: str, out: str, size: int, method: str, seed: int, symmetric: bool | None) -> None:
    """Condense a finished store into a dictionary."""
    from ..prior.build import build_dictionary
    from ..prior.mined_from import record_images
    from ..store.store import Store
    from .progress import progress
    from .store_output import warning_lines

    with progress() as callback:
        built = build_dictionary(store, size, method, seed, symmetric, callback=callback)
    replaced = " It replaces the former one." if Path(out).exists() else ""
    built.save(out)
    folder = Store.open(store).folder
    images = "" if folder and record_images(out, folder) else " --images DIR"
    about = built.metadata
    for line in warning_lines(built.warnings):
        notify(in_options(line))
    how = f"symmetric {method}" if about["symmetric"] else method
    click.echo(
        f"{out}: {len(built)} kernels ({how}) from {about['gaussians']:,} Gaussians of "
        f"{count(about['crops'], 'crop')}.{replaced}\nNext: sr-train --prior {out}{images}"
    )


@dictionary.command(cls=Command)
@click.argument("path", metavar="DICT.NPZ")
@json_option()
@option(
    "--plot",
    type=NewFile(),
    metavar="FILE.png",
    help="Draw the distributions and the kernels into this file." + REPLACED,
)
def show(path: str, as_json: bool, plot: str | None) -> None:
    """Show the content and provenance of a dictionary."""
    from ..prior.build import describe
    from ..prior.dictionary import Dictionary
    from .dictionary_output import dictionary_text, with_new_keys

    loaded = Dictionary.load(path)
    described = with_new_keys(describe(loaded))
    described |= {"warnings": {key: in_options(text) for key, text in loaded.warnings.items()}}
    text = json.dumps(described, indent=2) if as_json else in_options(dictionary_text(described))
    click.echo(printable(text))
    if plot:
        from ..prior.plot import plot_dictionary

        plot_dictionary(loaded, plot)


@dictionary.command(cls=Command)
@click.argument("a", metavar="A.NPZ")
@click.argument("b", metavar="B.NPZ")
@option(
    "--store",
    metavar="STORE",
    help="The store of fits. Also compares both dictionaries with the Gaussians of its held-out crops.  "
    "[default: none]",
)
@json_option()
def compare(a: str, b: str, store: str | None, as_json: bool) -> None:
    """Show how two dictionaries differ.

    Compares their kernels, the share of the other's kernels that each can blend, and their metadata.
    """
    from ..prior.build import gaussians_of_both
    from ..prior.dictionary import Dictionary
    from ..prior.quality import compare as compare_dictionaries
    from .dictionary_output import comparison_text, with_new_keys
    from .progress import progress

    one, other, gaussians = Dictionary.load(a), Dictionary.load(b), None
    if store:
        with progress() as callback:
            _, gaussians = gaussians_of_both(store, callback=callback)
    compared = compare_dictionaries(one, other, gaussians)
    compared["metadata"] = with_new_keys(compared["metadata"])
    click.echo(printable(json.dumps(compared, indent=2) if as_json else comparison_text((a, b), compared)))


@dictionary.command("import", cls=Command)
@click.argument("source", metavar="[FILE]", required=False)
@option("--released", is_flag=True, help="Take the ContinuousSR table itself instead of a file.")
@out_option("the dictionary", default="dict.npz", type=NewFile())
@overwrite_option()
def import_(source: str | None, released: bool, out: str, overwrite: bool) -> None:
    """Make a dictionary from a table in ContinuousSR's layout.

    FILE is an .npy file [K, 3], or text with three numbers per line: l11, l21, l22 in pixels at x4.
    """
    from ..prior.continuoussr_table import continuoussr_dictionary, read_continuoussr_table

    if released == bool(source):
        raise click.UsageError("Name a FILE, or give --released.")
    refuse_existing(out, overwrite)
    imported = read_continuoussr_table(source) if source else continuoussr_dictionary()
    imported.save(out)
    widened = imported.metadata["widened"]
    singular = f", {widened} of them singular" if widened else ""
    click.echo(f"{out}: {count(len(imported), 'kernel')}{singular}.")


@dictionary.command("export", cls=Command)
@click.argument("path", metavar="DICT.NPZ")
@out_option("the table: an .npy file, or else text", REPLACED, required=True, former=["--to"], type=NewFile())
def export(path: str, out: str) -> None:
    """Write a dictionary as a table in ContinuousSR's layout.

    It has one row per kernel: l11, l21, l22 in pixels at x4, as in ContinuousSR's code.
    """
    from ..prior.continuoussr_table import write_continuoussr_table
    from ..prior.dictionary import Dictionary

    loaded = Dictionary.load(path)
    write_continuoussr_table(loaded, out)
    click.echo(f"{out}: {count(len(loaded), 'row')} of l11, l21, l22 in pixels at x4.")
