"""`dgp-mine status`: what a store holds."""

from __future__ import annotations

import json

import click

from .group import JSON_OPTION


@click.command()
@click.argument("store", default="dgp.zarr")
@JSON_OPTION
def status(store: str, as_json: bool) -> None:
    """Say how far a store is, how good its fits are and what has failed."""
    from ..console.store import status_text
    from ..store import Store
    from ..summary import summarise

    summary = summarise(Store.open(store))
    click.echo(json.dumps(summary, indent=2) if as_json else status_text(summary))
