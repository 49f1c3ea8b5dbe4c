"""sr-train: train a super-resolution network on a mined dictionary."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from pathlib import Path

import click

from dgp_mining.dictionary import Dictionary
from dgp_mining.images import list_images

from ..data import hold_out, mined_from
from ..schedule import Budget
from ..settings import PRESETS, default_preset
from ..training import train
from . import INTERRUPTED, Command


@click.command(cls=Command)
@click.option("--prior", required=True, type=click.Path(path_type=Path), help="The dictionary, dict.npz.")
@click.option(
    "--images", metavar="DIR", help="Training images.  [default: those the dictionary was mined from]"
)
@click.option("--val", metavar="DIR", help="Validation images.  [default: some of --images, held out]")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="[default: paper on a GPU, else demo]")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="Steps to train.  [default: the preset's]")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), metavar="M", help="Or minutes to train.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="[default: runs/PRESET]")
@click.option("--resume", is_flag=True, help="Go on with the training in --out.")
@click.option(
    "--covariance",
    type=click.Choice(["dictionary", "learned", "direct", "bounded", "fixed"]),
    default="dictionary",
    show_default=True,
    help="Blend kernels from the dictionary, or for ablations: from one that is learned, regress them, "
    "directly or bounded to the dictionary's range, or use one round kernel everywhere.",
)
@click.option(
    "--encoder-weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Pretrained weights to start the encoder from, as EDSR, RDN, SwinIR and HAT are published.",
)
@click.option("--seed", default=0, show_default=True, help="Of the first weights and of the crops.")
def main(
    prior: Path,
    images: str | None,
    val: str | None,
    preset: str | None,
    steps: int | None,
    minutes: float | None,
    out: Path | None,
    resume: bool,
    covariance: str,
    encoder_weights: Path | None,
    seed: int,
) -> None:
    """Train an arbitrary-scale super-resolution network on a mined dictionary of kernels."""
    if steps and minutes:
        raise click.UsageError("Give --steps or --minutes, not both.")
    dictionary = Dictionary.load(prior)
    training = list_images(images or mined_from(dictionary, prior))
    training, validation = (training, list_images(val)) if val else hold_out(training)
    preset = preset or default_preset()
    chosen = replace(PRESETS[preset], network=replace(PRESETS[preset].network, covariance=covariance))
    stop = stop_at_signals()
    best = train(
        dictionary,
        training,
        chosen,
        out or Path("runs", preset if covariance == "dictionary" else f"{preset}-{covariance}"),
        validation=validation,
        budget=Budget(steps, minutes) if steps or minutes else None,
        seed=seed,
        resume=resume,
        encoder_weights=encoder_weights,
        stop=stop,
    )
    if stop.is_set():
        click.echo(
            f"Interrupted; all is kept in {best.parent}: the same command with --resume goes on.", err=True
        )
        raise SystemExit(INTERRUPTED)
    click.echo(best)


def stop_at_signals() -> threading.Event:
    """An event that the first Ctrl-C or SIGTERM sets; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def ask(number: int, frame: object) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop
