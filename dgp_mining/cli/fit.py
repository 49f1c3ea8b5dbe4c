"""`dgp-mine fit`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .group import FINISHED_WITH_FAILURES, INTERRUPTED, STORE_OPTION


@click.command()
@click.option("--images", required=True, metavar="DIR", help="Folder of photographs, with its subfolders.")
@STORE_OPTION
@click.option("--crop", default=256, help="Side of the square crops, pixels.")
@click.option(
    "--max-crops", type=int, metavar="N", help="Most crops, spread over all images.  [default: all]"
)
@click.option("--density", default=0.25, metavar="D", help="Gaussians per pixel.")
@click.option("--recipe", default="fast", type=click.Choice(["fast", "gaussianimage"]), help="How to fit.")
@click.option("--iterations", type=int, metavar="N", help="Optimiser steps.  [default: the recipe's]")
@click.option("--scheduler", default="local", metavar="local|sync|tcp://...", help="Where to fit.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Local processes.  [default: cores]")
@click.option("--seed", default=0, help="Of the choice of crops and of all that is random.")
@click.option("--keep-fields", is_flag=True, help="Store every Gaussian, not only statistics.")
@click.option("--overwrite", is_flag=True, help="Delete the store first.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, how long it takes and how much disk.")
def fit(
    images: str,
    store: str,
    scheduler: str,
    workers: int | None,
    overwrite: bool,
    dry_run: bool,
    **settings: Any,
) -> None:
    """Fit 2D Gaussians to crops of photographs; go on where an earlier run stopped."""
    from ..console.fit import FitReport, describe_plan, estimate_text
    from ..estimate import estimate
    from ..executors import available_cores
    from ..mining import mine, plan_run
    from ..plan import Settings

    if scheduler not in ("local", "sync") and "://" not in scheduler:
        raise click.UsageError(
            f"--scheduler is 'local', 'sync' or an address such as tcp://..., not {scheduler!r}."
        )
    if workers and scheduler != "local":
        raise click.UsageError("--workers is for --scheduler local only.")
    try:
        chosen = Settings(**settings)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if dry_run:
        plan = plan_run(images, chosen)
        click.echo(describe_plan(plan))
        click.echo(estimate_text(estimate(plan), workers or available_cores()))
        return
    report = FitReport()
    try:
        mine(
            images,
            store,
            chosen,
            scheduler=scheduler,
            workers=workers,
            overwrite=overwrite,
            on_plan=report.plan,
            on_progress=report.progress,
        )
    except KeyboardInterrupt:
        report.interrupted()
        sys.exit(INTERRUPTED)
    if report.finished():
        sys.exit(FINISHED_WITH_FAILURES)
