"""sr-train: train a super-resolution network on a mined dictionary."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from pathlib import Path

import click

from dgp_mining.dictionary import Dictionary
from dgp_mining.images import list_images

from ..architectures import ARCHITECTURES, architecture
from ..data import hold_out, mined_from
from ..presets import PRESETS, default_preset
from ..schedule import Budget
from ..training import train
from . import INTERRUPTED, Command


@click.command(cls=Command)
@click.option(
    "--prior",
    type=click.Path(path_type=Path),
    help="The dictionary, dict.npz: what ContinuousSR blends. GSASR needs none; given one, it starts there.",
)
@click.option(
    "--arch",
    type=click.Choice(list(ARCHITECTURES)),
    help="The network's architecture.  [default: the preset's, else continuoussr]",
)
@click.option(
    "--images", metavar="DIR", help="Training images.  [default: those the dictionary was mined from]"
)
@click.option("--val", metavar="DIR", help="Validation images.  [default: some of --images, held out]")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="[default: the paper's on a GPU, else demo]")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="Steps to train.  [default: the preset's]")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), metavar="M", help="Or minutes to train.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="[default: runs/PRESET]")
@click.option("--resume", is_flag=True, help="Go on with the training in --out.")
@click.option(
    "--covariance",
    type=click.Choice(["dictionary", "learned", "direct", "bounded", "fixed"]),
    help="Of ContinuousSR: blend kernels from the dictionary, or for ablations: from one that is learned, "
    "regress them, directly or bounded to the dictionary's range, or use one round kernel everywhere.",
)
@click.option(
    "--encoder-weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Pretrained weights to start the encoder from, as EDSR, RDN, SwinIR and HAT are published.",
)
@click.option("--seed", default=0, show_default=True, help="Of the first weights and of the crops.")
def main(
    prior: Path | None,
    arch: str | None,
    images: str | None,
    val: str | None,
    preset: str | None,
    steps: int | None,
    minutes: float | None,
    out: Path | None,
    resume: bool,
    covariance: str | None,
    encoder_weights: Path | None,
    seed: int,
) -> None:
    """Train an arbitrary-scale super-resolution network on a mined dictionary of kernels."""
    if steps and minutes:
        raise click.UsageError("Give --steps or --minutes, not both.")
    preset = preset or default_preset(arch or next(iter(ARCHITECTURES)))
    chosen = PRESETS[preset]
    of_preset = architecture(chosen.network)
    if arch and arch != of_preset:
        raise click.UsageError(f"The preset {preset} is of {of_preset}, not of {arch}: leave one out.")
    if of_preset == "gsasr":
        if covariance:
            raise click.UsageError("--covariance is an option of continuoussr.")
        if not (prior or images):
            raise click.UsageError("Name training images with --images, or a dictionary with --prior.")
    elif not prior:
        raise click.UsageError("Name a dictionary with --prior: ContinuousSR blends its kernels.")
    if covariance:
        chosen = replace(chosen, network=replace(chosen.network, covariance=covariance))
    dictionary = Dictionary.load(prior) if prior else None
    training = list_images(images or mined_from(dictionary, prior))
    training, validation = (training, list_images(val)) if val else hold_out(training)
    stop = stop_at_signals()
    best = train(
        dictionary,
        training,
        chosen,
        out or Path("runs", f"{preset}-{covariance}" if covariance else preset),
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
