"""`dgp-mine fit`."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..command_line import (
    FINISHED_WITH_FAILURES,
    dry_run_option,
    images_option,
    in_options,
    option,
    overwrite_option,
    seed_option,
    store_option,
)
from ..exit_status import status_after
from ..reading_options import parse_window, reading_options
from .group import Command

if TYPE_CHECKING:
    from ..planning.settings import Settings


@click.command(cls=Command)
@images_option(required=True)
@store_option()
@option("--crop", default=256, metavar="N", help="Side of the square crops in pixels.")
@option(
    "--max-crops",
    type=int,
    metavar="N",
    help="Fit at most this many crops, spread evenly over the images.  [default: all that do not overlap]",
)
@option("--density", default=0.25, metavar="D", help="Gaussians per pixel.")
@option(
    "--recipe",
    default="fast",
    type=click.Choice(["fast", "lattice", "gaussianimage"]),
    help="How to fit: fast, for priors; lattice, for the highest PSNR on the fitted pixels; gaussianimage, "
    "GaussianImage's own recipe.",
)
@option("--iterations", type=int, metavar="N", help="Optimiser steps for each crop.  [default: the recipe's]")
@option(
    "--target-psnr",
    type=float,
    metavar="DB",
    help="End the fit of a crop once its PSNR reaches this value in dB.  [default: never]",
)
@option(
    "--scheduler",
    default="local",
    metavar="WHERE",
    help="Where to fit: 'local' (processes), 'gpu' (one process for each visible GPU), 'sync' (in this "
    "process), or the address of a Dask scheduler, tcp://... or tls://....",
)
@option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Number of local processes.  [default: one for each core, or GPU]",
)
@option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    help="Device that workers fit on.  [default: cuda with --scheduler gpu, else cpu]",
)
@option(
    "--tls-ca",
    metavar="FILE.pem",
    argument=["tls"],
    help="Certificate of the authority (CA) of a tls:// scheduler.  [default: Dask's]",
)
@option("--tls-cert", metavar="FILE.pem", help="This client's certificate.  [default: Dask's]")
@option("--tls-key", metavar="FILE.pem", help="This client's private key.  [default: Dask's]")
@seed_option("the choice of crops and of all randomness in the fits")
@option("--keep-fields", is_flag=True, help="Store every Gaussian, not only their statistics.")
@option(
    "--snapshots",
    metavar="I,I,...",
    help="Also store the statistics after these iterations.  [default: none]",
)
@option(
    "--held-out-share",
    type=float,
    metavar="S",
    help="Share of the crops whose held-out-pixel PSNR is measured.  [default: 1 up to 100 crops, then 0.25]",
)
@reading_options()
@overwrite_option(" The store stays until the new one has its first crops.")
@option("--retry-failed", is_flag=True, help="Fit failed crops again.")
@option("--strict", is_flag=True, help="Stop at the first crop that fails or image that cannot be mined.")
@option(
    "--log",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to which the log of the run is appended.  [default: STORE.log]",
)
@dry_run_option("crops, how images are read, time and disk space.")
def fit(images: str, store: str, log: Path | None, dry_run: bool, **options: Any) -> None:
    """Fit 2D Gaussians to crops of images.

    Resumes an earlier run on the same store.
    Exit status 3: finished, with crops that failed or images that were skipped.
    """
    from ..mining import mine
    from .fit_output import ConsoleCallback
    from .run_log import default_log

    settings, how = _split(options)
    if dry_run:
        _estimate(images, store, settings, how)
        return
    console = ConsoleCallback(log or default_log(store))
    console.log.check()
    try:
        mine(images, store, settings, **how, callback=console)
    except KeyboardInterrupt as error:
        console.interrupted()
        sys.exit(status_after(error))
    except Exception as error:
        console.stopped(error)
        raise
    if console.failed:
        sys.exit(FINISHED_WITH_FAILURES)


def _split(options: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Split options into the settings, which determine the results, and arguments of `mine`.

    Raises UsageError if they are wrong or contradict each other.
    """
    from ..planning.settings import Settings
    from ..workers.executors import check_executor
    from ..workers.memory import check_memory

    names = {field.name for field in fields(Settings)}
    how = {name: value for name, value in options.items() if name not in names}
    scheduler, tls = how["scheduler"], [how.pop(f"tls_{part}") for part in ("ca", "cert", "key")]
    how["tls"] = tuple(tls)
    options["snapshots"] = _iterations(options["snapshots"])
    parse_window(options)
    try:
        check_executor(scheduler, how["workers"], how["device"], how["tls"])
        how["device"] = how["device"] or ("cuda" if scheduler == "gpu" else "cpu")
        settings = Settings(**{name: options[name] for name in names})
        check_memory(settings, scheduler, how["workers"])
        return settings, how
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _iterations(text: str | None) -> tuple[int, ...] | None:
    try:
        return tuple(int(part) for part in text.split(",")) if text else None
    except ValueError as error:
        raise click.UsageError(f"--snapshots is a list such as 0,50,100, not {text!r}.") from error


def _estimate(images: str, store: str, settings: Settings, how: dict[str, Any]) -> None:
    """Print the plan, what the store has of it, and an estimate of the run, for --dry-run."""
    from ..estimate import estimate
    from ..mining import look_ahead, plan_run
    from ..workers.executors import default_workers
    from ..workers.memory import TaskMemory
    from .fit_output import ahead_text, describe_kinds, describe_plan, estimate_text
    from .progress import progress

    with progress() as callback:
        plan = plan_run(images, settings, how["device"], None if how["overwrite"] else store, callback)
    click.echo(in_options(f"{describe_plan(plan)}\n{describe_kinds(plan)}"))
    options = {name: how[name] for name in ("overwrite", "retry_failed", "strict")}
    ahead = look_ahead(store, plan, **options)
    if text := ahead_text(store, ahead):
        click.echo(text)
    if crops := ahead.pending + ahead.added:
        workers = how["workers"] or default_workers(how["scheduler"], TaskMemory(plan).most)
        click.echo(estimate_text(estimate(plan, crops=crops), min(workers, ahead.chunks), settings))
