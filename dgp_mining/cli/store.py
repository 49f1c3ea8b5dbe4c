"""`dgp-mine status`, `verify` and `merge`: show stores, check them, and write one from several."""

from __future__ import annotations

import dataclasses
import json
import sys

import click

from ..command_line import (
    FAILED,
    FINISHED_WITH_FAILURES,
    former_argument,
    images_option,
    in_options,
    json_option,
    option,
    out_option,
    store_option,
)
from ..terminal import count, printable
from .group import Command


@click.command(cls=Command)
@store_option()
@former_argument("store")
@json_option()
def status(store: str, as_json: bool) -> None:
    """Show progress, fit quality and failures.

    Exit status 3: finished, with crops that failed or images that were skipped.
    """
    from ..prior.soundness import store_warnings
    from ..store.store import Store
    from ..store.summary import summarise
    from .progress import progress
    from .store_output import status_text, with_old_keys

    with progress() as callback:
        opened = Store.open(store)
        summary = summarise(opened, callback)
        summary["warnings"] = store_warnings(opened)
    if as_json:
        summary["warnings"] = {key: in_options(text) for key, text in summary["warnings"].items()}
        click.echo(json.dumps(with_old_keys(summary), indent=2))
    else:
        click.echo(printable(in_options(status_text(summary))))
    if not summary["pending"] and (summary["failed"] or summary["skipped"]):
        sys.exit(FINISHED_WITH_FAILURES)


@click.command(cls=Command)
@store_option()
@former_argument("store")
@images_option(
    " Compares its files with those that were fitted; may be given several times.  [default: none]",
    multiple=True,
)
@option("--repair", is_flag=True, help="Mark damaged crops as pending, for the next 'dgp-mine fit'.")
@json_option()
def verify(store: str, images: tuple[str, ...], repair: bool, as_json: bool) -> None:
    """Check a store for damage.

    Verifies the checksums, values and completeness of all its data.

    Exit status 1: something is damaged, an image file has changed since it was fitted, or all are missing.
    """
    from ..store import verify as verification
    from .progress import progress
    from .store_output import verification_text

    with progress() as callback:
        found = verification.verify(store, images, repair=repair, callback=callback)
    as_dict = {"store": store, "sound": found.sound, **dataclasses.asdict(found)}
    click.echo(printable(json.dumps(as_dict, indent=2) if as_json else verification_text(store, found)))
    if not found.sound:
        sys.exit(FAILED)


@click.command(cls=Command)
@click.argument("stores", nargs=-1, required=True, metavar="STORE...")
@out_option("the merged store", metavar="STORE", required=True)
def merge(stores: tuple[str, ...], out: str) -> None:
    """Merge finished stores into one.

    They must have the same settings. A crop that is in several of them is taken once.
    """
    from ..store import merge as merging
    from .progress import progress

    with progress() as callback:
        merged = merging.merge(stores, out, callback=callback)
    click.echo(f"{out}: {count(len(merged), 'crop')}.\nNext: dgp-mine dictionary build --store {out}")
