"""`dgp-mine fit`."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .group import FINISHED_WITH_FAILURES, INTERRUPTED, STORE_OPTION

if TYPE_CHECKING:
    from ..planning.settings import Settings


@click.command()
@click.option("--images", required=True, metavar="DIR", help="Folder of photographs, with its subfolders.")
@STORE_OPTION
@click.option("--crop", default=256, help="Side of the square crops, pixels.")
@click.option(
    "--max-crops", type=int, metavar="N", help="Most crops, spread over all images.  [default: all]"
)
@click.option("--density", default=0.25, metavar="D", help="Gaussians per pixel.")
@click.option(
    "--recipe", default="fast", type=click.Choice(["fast", "lattice", "gaussianimage"]), help="How to fit."
)
@click.option("--iterations", type=int, metavar="N", help="Optimiser steps.  [default: the recipe's]")
@click.option(
    "--target-psnr", type=float, metavar="DB", help="End each fit once it reaches this, dB.  [default: never]"
)
@click.option(
    "--scheduler",
    default="local",
    metavar="WHERE",
    help="Where to fit: 'local' (processes), 'gpu' (one for each visible GPU), 'sync' (here), or the address "
    "of a Dask scheduler, tcp://... or tls://....",
)
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Local processes.  [default: cores, or GPUs]"
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    help="What workers fit on.  [default: cuda with --scheduler gpu, else cpu]",
)
@click.option("--tls-ca", metavar="FILE.pem", help="Who signs for a tls:// scheduler.  [default: Dask's]")
@click.option("--tls-cert", metavar="FILE.pem", help="This client's certificate.  [default: Dask's]")
@click.option("--tls-key", metavar="FILE.pem", help="This client's key.  [default: Dask's]")
@click.option("--seed", default=0, help="Of the choice of crops and of all that is random.")
@click.option("--keep-fields", is_flag=True, help="Store every Gaussian, not only statistics.")
@click.option("--snapshots", metavar="I,I,...", help="Store statistics at these iterations, too.")
@click.option("--overwrite", is_flag=True, help="Delete the store first.")
@click.option("--retry-failed", is_flag=True, help="Try the crops again that have failed.")
@click.option("--strict", is_flag=True, help="Stop at the first crop or image that fails.")
@click.option(
    "--log", type=click.Path(path_type=Path), metavar="FILE", help="Appended to.  [default: STORE.log]"
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, how long it takes and how much disk.")
def fit(images: str, store: str, log: Path | None, dry_run: bool, **options: Any) -> None:
    """Fit 2D Gaussians to crops of photographs; go on where an earlier run stopped."""
    from ..mining import mine
    from .fit_output import FitReport
    from .run_log import log_beside

    settings, how = _split(options)
    if dry_run:
        _estimate(images, settings, how)
        return
    report = FitReport(log or log_beside(store))
    try:
        mine(
            images,
            store,
            settings,
            **how,
            on_plan=report.plan,
            on_progress=report.progress,
            say=report.say,
        )
    except KeyboardInterrupt:
        report.interrupted()
        sys.exit(INTERRUPTED)
    except Exception as error:
        report.stopped(error)
        raise
    if report.finished():
        sys.exit(FINISHED_WITH_FAILURES)


def _split(options: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """The options that determine the results, and those that say how to come by them. Raises UsageError."""
    from ..planning.settings import Settings

    names = {field.name for field in fields(Settings)}
    how = {name: value for name, value in options.items() if name not in names}
    scheduler, tls = how["scheduler"], [how.pop(f"tls_{part}") for part in ("ca", "cert", "key")]
    if scheduler not in ("local", "gpu", "sync") and not scheduler.startswith(("tcp://", "tls://")):
        raise click.UsageError(
            "--scheduler is 'local', 'gpu', 'sync', or an address such as tcp://... or tls://..., "
            f"not {scheduler!r}."
        )
    if how["workers"] and scheduler not in ("local", "gpu"):
        raise click.UsageError("--workers is for --scheduler local and gpu only.")
    if any(tls) and not scheduler.startswith("tls://"):
        raise click.UsageError("--tls-ca, --tls-cert and --tls-key are for --scheduler tls://... only.")
    how["tls"] = tuple(tls)
    options["snapshots"] = _iterations(options["snapshots"])
    how["device"] = how["device"] or ("cuda" if scheduler == "gpu" else "cpu")
    if scheduler == "gpu" and how["device"] == "cpu":
        raise click.UsageError("--scheduler gpu fits on GPUs: leave out --device cpu.")
    try:
        return Settings(**{name: options[name] for name in names}), how
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _iterations(text: str | None) -> tuple[int, ...] | None:
    try:
        return tuple(int(part) for part in text.split(",")) if text else None
    except ValueError as error:
        raise click.UsageError(f"--snapshots is a list such as 0,50,100, not {text!r}.") from error


def _estimate(images: str, settings: Settings, how: dict[str, Any]) -> None:
    """What --dry-run does."""
    from ..estimate import estimate
    from ..mining import plan_run
    from ..workers.executors import default_workers
    from .fit_output import describe_plan, estimate_text

    plan = plan_run(images, settings, how["device"])
    click.echo(describe_plan(plan))
    click.echo(estimate_text(estimate(plan), how["workers"] or default_workers(how["scheduler"])))
