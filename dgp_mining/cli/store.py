"""`dgp-mine status`, `verify` and `merge`: what stores hold, whether it is sound, and one of several."""

from __future__ import annotations

import dataclasses
import json
import sys

import click

from .group import FINISHED_WITH_FAILURES, JSON_OPTION

DAMAGED = 1


@click.command()
@click.argument("store", default="dgp.zarr")
@JSON_OPTION
def status(store: str, as_json: bool) -> None:
    """Say how far a store is, how good its fits are and what has failed.

    Exit status 3: finished, with crops that failed or images that were skipped.
    """
    from ..store.store import Store
    from ..store.summary import summarise
    from .progress import progress_bar
    from .store_output import status_text

    with progress_bar("Reading") as on_progress:
        summary = summarise(Store.open(store), on_progress)
    click.echo(json.dumps(summary, indent=2) if as_json else status_text(summary))
    if not summary["pending"] and (summary["failed"] or summary["skipped"]):
        sys.exit(FINISHED_WITH_FAILURES)


@click.command()
@click.argument("store", default="dgp.zarr")
@click.option("--images", multiple=True, metavar="DIR", help="Compare the image files, too; may be repeated.")
@click.option("--repair", is_flag=True, help="Have what is damaged fitted again by the next 'fit'.")
@JSON_OPTION
def verify(store: str, images: tuple[str, ...], repair: bool, as_json: bool) -> None:
    """Check every checksum and number of a store, and whether it is complete.

    Exit status 1: something is damaged, or an image file is not what it was when it was fitted.
    """
    from ..store import verify as verification
    from .progress import progress_bar
    from .store_output import verification_text

    with progress_bar("Verifying") as on_progress:
        found = verification.verify(store, images, repair=repair, on_progress=on_progress)
    as_dict = {"store": store, "sound": found.sound, **dataclasses.asdict(found)}
    click.echo(json.dumps(as_dict, indent=2) if as_json else verification_text(store, found))
    if not found.sound:
        sys.exit(DAMAGED)


@click.command()
@click.argument("stores", nargs=-1, required=True, metavar="STORE...")
@click.option("--out", required=True, metavar="STORE", help="The store to write.")
def merge(stores: tuple[str, ...], out: str) -> None:
    """Write the crops of several finished stores of equal settings into one, each crop once."""
    from ..store import merge as merging
    from .progress import progress_bar

    with progress_bar("Merging") as on_progress:
        merged = merging.merge(stores, out, on_progress=on_progress)
    click.echo(f"{out}: {len(merged):,} crops.\nNext: dgp-mine dictionary build --store {out}")
