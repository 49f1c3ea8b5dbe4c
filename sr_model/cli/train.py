"""sr-train: train a super-resolution network on a mined dictionary."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from dgp_mining.command_line import (
    FINISHED_WITH_FAILURES,
    announce_renaming,
    dry_run_option,
    images_option,
    option,
    out_option,
    prior_option,
    seed_option,
)
from dgp_mining.exit_status import status_after
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.signals import Stop, stop_at_signals
from dgp_mining.terminal import count, notify

from ..checkpoints.checkpoint import Checkpoint
from ..config.presets import PRESETS, RENAMED, Preset, default_preset, nearest_preset
from ..config.toml import Config, ConfigError, configured, read_config
from ..networks.registry import ARCHITECTURES, DEFAULT_ARCHITECTURE, architecture_name, needs_prior
from ..training.callbacks import TrainingCallback
from ..training.distributed import is_main_process, started_by_torchrun
from ..training.dry_run import estimate_training
from ..training.resumed import kept_checkpoint, reference_prior_of
from ..training.run import RunOptions
from ..training.samples import mined_from
from ..training.schedule import Budget
from ..training.start import differences, load_init
from ..training.tensorboard import TensorBoard
from ..training.train import train
from .command import Command
from .options import lr_option

FINISHING = "Finishing the step and saving; Ctrl-C again stops at once, with what was saved last."

UNCONFIGURED = frozenset({"config", "overrides", "allow_custom", "resume", "dry_run", "help", "version"})
"""Options that a file of --config cannot set."""


def read_options(ctx: click.Context, param: click.Parameter, path: Path | None) -> Config:
    """Take the options that the command line leaves out from the file of --config."""
    if path is None:
        return Config({}, {})
    names = [str(parameter.name) for parameter in ctx.command.params if parameter.name not in UNCONFIGURED]
    try:
        lists = [str(parameter.name) for parameter in ctx.command.params if parameter.multiple]
        config = read_config(path, names, lists)
    except ConfigError as error:
        raise click.UsageError(f"--config {error}", ctx) from error
    ctx.default_map = {
        name: [*map(str, value if isinstance(value, list) else [value])] if name in lists else str(value)
        for name, value in config.options.items()
    }
    return config


def preset_name(text: str) -> str:
    """Return a preset's present name; its name of the last release works too. Raises click.BadParameter."""
    if text in RENAMED:
        announce_renaming(f"--preset {text}", f"--preset {RENAMED[text]}")
        text = RENAMED[text]
    if text not in PRESETS:
        raise click.BadParameter(f"{text!r} is not one of {', '.join(PRESETS)}.")
    return text


@click.command("sr-train", cls=Command)
@prior_option(
    " ContinuousSR blends its kernels. Optional for GSASR, where it only sets the initial kernel.  "
    "[default: the reference prior]",
    type=click.Path(path_type=Path),
)
@option(
    "--arch",
    type=click.Choice(list(ARCHITECTURES)),
    help="Architecture of the network.  [default: the preset's, or continuoussr]",
)
@images_option("  [default: those that the prior was mined from, if it was built on this machine]")
@lr_option("  [default: they are made by bicubic interpolation or training.degradation]")
@option(
    "--val",
    metavar="DIR",
    help="Folder of validation images.  [default: some of --images are held out]",
)
@option(
    "--preset",
    type=preset_name,
    metavar=f"[{'|'.join(PRESETS)}]",
    help="Settings to start from.  [default: the paper's on a GPU, else demo; with --init, the one "
    "nearest to its network]",
)
@option(
    "--steps", type=click.IntRange(1), metavar="N", help="Train this many steps.  [default: the preset's]"
)
@option("--minutes", type=click.FloatRange(0, min_open=True), metavar="M", help="Or train this many minutes.")
@out_option(
    "the checkpoints and settings: a folder",
    "  [default: runs/PRESET, or runs/PRESET-from-CHECKPOINT]",
    type=click.Path(path_type=Path),
    metavar="DIR",
)
@option("--resume", is_flag=True, help="Continue the training in the folder --out.")
@option(
    "--covariance",
    type=click.Choice(["dictionary", "learned", "direct", "bounded", "fixed"]),
    help="How ContinuousSR gets its covariances: it blends the kernels of the dictionary; or, for ablations, "
    "learned kernels, regressed covariances (direct), these bounded to the dictionary's range, or one fixed "
    "round kernel.  [default: the preset's]",
)
@option(
    "--encoder-weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Pretrained weights to start the encoder from, as published for EDSR, RDN, SPAN, RLFN, SAFMN, "
    "SwinIR and HAT.",
)
@option(
    "--encoder-key",
    default="",
    metavar="KEY",
    argument=["key"],
    show_default=False,
    help="Where in that file to take them from, such as params.  "
    "[default: wherever they are; averaged weights, such as params_ema, before others]",
)
@option(
    "--init",
    metavar="CHECKPOINT",
    help="Start from the weights of this checkpoint, a file of sr-train or sr-convert, or 'reference', the "
    "reference model. Its network and kernels are taken, too; the learning rate is a tenth of the preset's.",
)
@option(
    "--freeze",
    type=click.Choice(["encoder"]),
    help="Part of the network whose weights are not trained.  [default: none]",
)
@seed_option("the initial weights and of the training crops")
@option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    is_eager=True,
    callback=read_options,
    help="TOML file with options, and with settings in the tables [network] and [training]. The command line "
    "takes precedence. Every run writes such a file, settings.toml.",
)
@option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change one setting, such as training.learning_rate=1e-4 or training.degradation.noise.sigma=0,15; "
    "may be given several times.",
)
@option(
    "--allow-custom",
    is_flag=True,
    help="Let the file of --config name a Python function to run, training.degradation.custom. --set may "
    "always.",
)
@option(
    "--cache",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder in which decoded images are kept for other runs.  [default: the user's cache]",
)
@option(
    "--tensorboard",
    is_flag=True,
    help="Also write curves for TensorBoard into --out. Needs 'dgp-mining[tensorboard]'.",
)
@dry_run_option("memory and time. Also write the first batch as a picture.")
@click.pass_context
def main(
    ctx: click.Context,
    prior: Path | None,
    arch: str | None,
    images: str | None,
    lr: tuple[str, ...],
    val: str | None,
    preset: str | None,
    steps: int | None,
    minutes: float | None,
    out: Path | None,
    resume: bool,
    covariance: str | None,
    encoder_weights: Path | None,
    encoder_key: str,
    init: str | None,
    freeze: str | None,
    seed: int,
    config: Config,
    overrides: tuple[str, ...],
    allow_custom: bool,
    cache: Path | None,
    tensorboard: bool,
    dry_run: bool,
) -> None:
    """Train a network for super-resolution at any scale on a mined dictionary of kernels.

    Several processes train together: torchrun --nproc-per-node 8 --no-python sr-train ...

    Exit status 3: finished, without some images, which cannot be read or are too small. Under torchrun, which
    takes this status for a crash, it is 0.
    """
    asked = {"network.covariance": covariance, "training.freeze": freeze}
    overrides = (*(f"{setting}={value}" for setting, value in asked.items() if value), *overrides)
    if init:
        checkpoint = load_init(kept_checkpoint(init, out) if resume and out else init)
        name, chosen = choose_for(checkpoint, arch, preset, config, overrides, allow_custom)
    else:
        name, chosen = choose(arch, preset, covariance, config, overrides, allow_custom)
    budget = length(ctx, steps, minutes)
    if not is_main_process():
        logging.getLogger("sr_model").setLevel(logging.WARNING)
    if prior:
        images = images or str(mined_from(Dictionary.load(prior), prior))
    if images is None:
        raise click.UsageError(
            "Name training images with --images."
            if init
            else "Name training images with --images, or a dictionary with --prior."
        )
    out = out or Path("runs", run_name(name, covariance, init))
    kernels: Dictionary | Path | None = prior
    if not (prior or init) and needs_prior(chosen.network):
        kernels = reference_prior_of(out, chosen) if resume else Dictionary.reference()
        _print("Without --prior the kernels of the reference prior are blended.")
    run = (kernels, images, chosen, out)
    how: RunOptions = {
        "lr": lr,
        "val": val or (),
        "hold_out": not val,
        "budget": budget,
        "seed": seed,
        "resume": resume,
        "init": init,
        "encoder_weights": encoder_weights,
        "encoder_key": encoder_key,
        "cache": cache,
    }
    if dry_run:
        _print(*estimate_training(*run, **how).lines())
        return
    boards = [TensorBoard(out / "tensorboard")] if tensorboard else []
    skipped = CountSkipped()
    with stop_at_signals(notify_once, FINISHING) as stop:
        best = train(*run, **how, callbacks=[StopWhenAsked(stop), skipped, *boards])
    if stop.asked:
        notify_once(
            f"Interrupted: everything is kept in {best.parent}; the same command with --resume continues."
        )
        raise SystemExit(status_after(stop.interruption()))
    _print(best)
    notify_once(f"Next: sr-upscale IMAGE --scale 4 --model {best}")
    if skipped.count:
        notify_once(f"Trained without {count(skipped.count, 'image')} named above, which cannot be used.")
        if not started_by_torchrun():  # which takes every status but 0 for a crash
            raise SystemExit(FINISHED_WITH_FAILURES)


def choose(
    arch: str | None,
    name: str | None,
    covariance: str | None,
    config: Config,
    overrides: tuple[str, ...],
    allow_custom: bool,
) -> tuple[str, Preset]:
    """The preset's name, and the preset with the requested settings. Raises click.UsageError."""
    name = name or default_preset(arch or DEFAULT_ARCHITECTURE)
    preset = PRESETS[name]
    of_preset = architecture_name(preset.network)
    if arch and arch != of_preset:
        raise click.UsageError(
            f"The preset {name} is for {of_preset}, not for {arch}: leave out --preset or --arch."
        )
    if covariance and not hasattr(preset.network, "covariance"):
        raise click.UsageError(f"--covariance does not apply to {of_preset}.")
    return name, _configured(preset, config, overrides, allow_custom)


def choose_for(
    init: Checkpoint,
    arch: str | None,
    name: str | None,
    config: Config,
    overrides: tuple[str, ...],
    allow_custom: bool,
) -> tuple[str, Preset]:
    """The preset for going on from a checkpoint, whose network counts, and the preset's name.

    Raises click.UsageError for settings that ask for another network.
    """
    if arch and arch != architecture_name(init.network):
        raise click.UsageError(
            f"The network of --init is a {architecture_name(init.network)}: leave out --arch {arch}."
        )
    preset = PRESETS[name or nearest_preset(init.network)].for_fine_tuning()
    asked = _configured(replace(preset, network=init.network), config, overrides, allow_custom)
    if changed := differences(asked.network, init.network):
        raise click.UsageError(
            f"The network of --init cannot be changed ({changed}): leave out settings of the network."
        )
    if name is None:
        return nearest_preset(init.network), asked
    return name, replace(asked, network=preset.network)  # the library says what differs


def _configured(preset: Preset, config: Config, overrides: tuple[str, ...], allow_custom: bool) -> Preset:
    try:
        return configured(preset, config.settings, overrides, allow_custom=allow_custom)
    except ConfigError as error:
        of_file = config.path and str(error).startswith(config.path)
        raise click.UsageError(f"--config {error}" if of_file else str(error)) from error


def run_name(preset: str, covariance: str | None, init: str | None) -> str:
    """The name of a run's folder that --out does not give.

    >>> run_name("light", None, "runs/a/best.safetensors"), run_name("demo", "fixed", None)
    ('light-from-best', 'demo-fixed')
    """
    return "-".join([preset, *filter(None, [covariance]), *(["from", Path(init).stem] if init else [])])


def length(ctx: click.Context, steps: int | None, minutes: float | None) -> Budget | None:
    """How long to train, None if not given; the command line takes precedence over a file."""
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


def _print(*lines: object) -> None:
    """Print lines, once for all processes that train together."""
    if is_main_process():
        click.echo("\n".join(map(str, lines)))


class StopWhenAsked(TrainingCallback):
    """Ends the training once `stop` is requested; its state is saved."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def should_stop(self) -> bool:
        """Whether a stop was requested."""
        return self.stop.asked


class CountSkipped(TrainingCallback):
    """Counts the images that cannot be used."""

    def __init__(self) -> None:
        self.count = 0

    def on_skipped(self, sentence: str) -> None:
        """Count one more."""
        self.count += 1


def notify_once(text: str) -> None:
    """Print a line on stderr, once for all processes that train together."""
    if is_main_process():
        notify(text)
