"""sr-train: train a super-resolution network on a mined dictionary."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path

import click
from click.core import ParameterSource

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary

from ..config.presets import PRESETS, Preset, default_preset
from ..config.toml import Config, ConfigError, configured, read_config
from ..image_io.reader import pictures_in
from ..networks.registry import ARCHITECTURES, DEFAULT_ARCHITECTURE, architecture_name, needs_prior
from ..training.distributed import is_main_process
from ..training.dry_run import estimate_training
from ..training.samples import hold_out, mined_from
from ..training.schedule import Budget
from ..training.tensorboard import TensorBoard
from ..training.train import train
from . import INTERRUPTED, Command

UNCONFIGURED = frozenset({"config", "overrides", "resume", "dry_run", "help"})
"""Options that a file does not give."""


def read_options(ctx: click.Context, param: click.Parameter, path: Path | None) -> Config:
    """Let the file of --config give whatever options the command line does not."""
    if path is None:
        return Config({}, {})
    names = [parameter.name for parameter in ctx.command.params if parameter.name not in UNCONFIGURED]
    try:
        config = read_config(path, names)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    ctx.default_map = {name: str(value) for name, value in config.options.items()}
    return config


@click.command(cls=Command)
@click.option(
    "--prior",
    type=click.Path(path_type=Path),
    help="The dictionary, dict.npz: what ContinuousSR blends. GSASR needs none; given one, it starts there.  "
    "[default: the reference prior]",
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
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    is_eager=True,
    callback=read_options,
    help="A TOML file of options, and of settings in tables [network] and [training]; what the command line "
    "says counts. Every run writes one, settings.toml.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    help="One setting, such as training.learning_rate=1e-4 or training.degradation.noise.sigma=0,15.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where decoded images are kept for other runs.  [default: the user's cache]",
)
@click.option("--tensorboard", is_flag=True, help="Write curves for TensorBoard into --out (an extra).")
@click.option(
    "--dry-run", is_flag=True, help="Only say what it takes, and write the first batch as a picture."
)
@click.pass_context
def main(
    ctx: click.Context,
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
    config: Config,
    overrides: tuple[str, ...],
    cache: Path | None,
    tensorboard: bool,
    dry_run: bool,
) -> None:
    """Train an arbitrary-scale super-resolution network on a mined dictionary of kernels.

    Several processes train together: torchrun --nproc-per-node 8 --no-python sr-train ...
    """
    name, chosen = choose(arch, preset, covariance, config, overrides)
    if not (prior or images):
        raise click.UsageError("Name training images with --images, or a dictionary with --prior.")
    budget = length(ctx, steps, minutes)
    if not is_main_process():
        logging.getLogger("sr_model").setLevel(logging.WARNING)
    dictionary = Dictionary.load(prior) if prior else None
    if dictionary is None and needs_prior(chosen.network):
        dictionary = Dictionary.reference()
        _say("No --prior: the reference prior's kernels are blended.")
    training = list_images(images or mined_from(dictionary, prior))
    training, validation = (training, pictures_in(Path(val), "--val")) if val else hold_out(training)
    out = out or Path("runs", f"{name}-{covariance}" if covariance else name)
    run = (dictionary, training, chosen, out)
    how = {
        "validation": validation,
        "budget": budget,
        "seed": seed,
        "resume": resume,
        "encoder_weights": encoder_weights,
        "cache": cache,
    }
    if dry_run:
        _say(*estimate_training(*run, **how).lines())
        return
    board = TensorBoard(out / "tensorboard") if tensorboard else None
    stop = stop_at_signals()
    try:
        best = train(*run, **how, stop=stop, observe=board or (lambda step, figures: None))
    finally:
        if board:
            board.close()
    if stop.is_set():
        click.echo(
            f"Interrupted; all is kept in {best.parent}: the same command with --resume goes on.", err=True
        )
        raise SystemExit(INTERRUPTED)
    _say(best)
    if is_main_process():
        click.echo(f"Next: sr-upscale IMAGE --scale 4 --model {best}", err=True)


def choose(
    arch: str | None, name: str | None, covariance: str | None, config: Config, overrides: tuple[str, ...]
) -> tuple[str, Preset]:
    """The preset's name, and the preset with the settings that were asked for. Raises click.UsageError."""
    name = name or default_preset(arch or DEFAULT_ARCHITECTURE)
    preset = PRESETS[name]
    of_preset = architecture_name(preset.network)
    if arch and arch != of_preset:
        raise click.UsageError(f"The preset {name} is of {of_preset}, not of {arch}: leave one out.")
    if covariance and not hasattr(preset.network, "covariance"):
        raise click.UsageError(f"--covariance is not an option of {of_preset}.")
    if covariance:
        overrides = (f"network.covariance={covariance}", *overrides)
    try:
        return name, configured(preset, config.settings, overrides)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error


def length(ctx: click.Context, steps: int | None, minutes: float | None) -> Budget | None:
    """How long to train, None where nothing was said; the command line counts more than a file."""
    if steps and minutes:
        given = [
            name
            for name in ("steps", "minutes")
            if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT_MAP
        ]
        if len(given) != 1:
            raise click.UsageError("Give --steps or --minutes, not both.")
        steps, minutes = (steps, None) if given == ["steps"] else (None, minutes)
    return Budget(steps, minutes) if steps or minutes else None


def _say(*lines: object) -> None:
    """Print lines, once for all processes that train together."""
    if is_main_process():
        click.echo("\n".join(map(str, lines)))


def stop_at_signals() -> threading.Event:
    """An event that the first Ctrl-C or SIGTERM sets; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def ask(number: int, frame: object) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop
