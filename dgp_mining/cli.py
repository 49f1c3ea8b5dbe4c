"""`dgp-mine`: mine photographs into a store, look at it, condense it into a kernel dictionary."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

# What the commands need is imported in them: `dgp-mine status` should not wait for torch or Dask.

INTERRUPTED = 130
FINISHED_WITH_FAILURES = 3


class Commands(click.Group):
    """A group in which every error that the library raises is one sentence and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            from .executors import ExecutorError

            if isinstance(error, (ValueError, OSError, ExecutorError)):
                raise click.ClickException(str(error)) from error
            raise


STORE_OPTION = click.option("--store", default="dgp.zarr", show_default=True, help="The store of the fits.")
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Mine the Deep Gaussian Prior: fit 2D Gaussians to photographs and condense them into a dictionary."""


@main.command()
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
    from .console import FitReport, describe_plan, estimate_text
    from .estimate import estimate
    from .executors import available_cores
    from .mining import mine, plan_run
    from .plan import Settings

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


@main.command()
@click.argument("store", default="dgp.zarr")
@JSON_OPTION
def status(store: str, as_json: bool) -> None:
    """Say how far a store is, how good its fits are and what has failed."""
    from .console import status_text
    from .store import Store
    from .summary import summarise

    summary = summarise(Store.open(store))
    click.echo(json.dumps(summary, indent=2) if as_json else status_text(summary))


@main.group()
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
    from .prior import build_dictionary

    built = build_dictionary(store, size, method, seed)
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
    from .console import dictionary_text
    from .dictionary import Dictionary
    from .prior import describe

    loaded = Dictionary.load(path)
    described = describe(loaded)
    click.echo(json.dumps(described, indent=2) if as_json else dictionary_text(described))
    if plot:
        from .plots import plot_dictionary

        plot_dictionary(loaded, plot)
