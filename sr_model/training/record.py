"""The record of what a run was started with, `settings.toml`, from which `sr-train --config` repeats it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.schema import shortened
from dgp_mining.terminal import count
from splat2d.atomic_write import atomic_write
from splat2d.version import __version__

from ..checkpoints.checkpoint import Checkpoint
from ..config.presets import Preset
from ..config.toml import as_toml, as_toml_value
from ..networks.registry import architecture_name
from .errors import TrainingError
from .pair_samples import PairSet
from .samples import ImageSet
from .schedule import Budget
from .start import Start

SETTINGS = "settings.toml"


@dataclass(frozen=True)
class Given:
    """The arguments of a run, as they were given."""

    prior: Dictionary | str | Path | None
    """The dictionary, or its file."""
    init: Checkpoint | str | Path | None
    """The checkpoint to start from, its file or its name."""
    images: str | Path | Sequence[str | Path]
    """Training images: a folder or a list of files."""
    lr: Sequence[str | Path]
    """Folders of LR images."""
    val: str | Path | Sequence[str | Path]
    """Validation images, likewise."""
    hold_out: bool
    """Whether some of `images` are validated in their place."""
    encoder_weights: str | Path | None
    """The file of the encoder's weights."""
    encoder_key: str
    """Where in that file they are; "" if that was not given."""
    out: Path
    """The folder of the run."""
    budget: Budget
    """How long to train."""
    seed: int
    """The seed."""


def settings_text(
    preset: Preset, given: Given, start: Start, samples: ImageSet | PairSet, held_out: Sequence[Path]
) -> str:
    """The text of settings.toml: options of sr-train, then all settings.

    What an option cannot hold, such as a list of files, stands in a comment, as do the images that were
    `held_out` of those given.
    """
    options = {
        "arch": architecture_name(preset.network),
        "prior": given.prior,
        "init": given.init,
        "images": given.images,
        "val": given.val or None,
        "encoder_weights": given.encoder_weights,
        "encoder_key": given.encoder_key or None,
        "steps": given.budget.steps,
        "minutes": given.budget.minutes,
        "seed": given.seed,
        "out": given.out,
    }
    lines = [f"# Written by sr-train {__version__}, which repeats this training with --config."]
    for name, value in options.items():
        if isinstance(value, str | int | float | Path):
            lines.append(f"{name} = {as_toml_value(str(value) if isinstance(value, Path) else value)}")
        elif value is not None:
            lines.append(f"# {name}: {_in_words(value)}")
    if given.lr:
        lines.append(f"lr = {as_toml_value([str(folder) for folder in given.lr])}")
    if not (given.val or given.hold_out):
        lines.append("# val: none; sr-train holds out some of the images, if there are enough")
    lines += _remarks(start, samples, held_out)
    return "\n".join([*lines, "", as_toml(preset), ""])


def write_settings(path: Path, text: str) -> None:
    """Write settings.toml. Raises TrainingError if that is impossible."""
    try:
        with atomic_write(path) as partial:
            partial.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise TrainingError(f"{path} cannot be written ({error.strerror or error}).") from error


def _remarks(start: Start, samples: ImageSet | PairSet, held_out: Sequence[Path]) -> Iterator[str]:
    yield f"# {count(len(samples), samples.noun)} to train on"
    if held_out:
        yield f"# held out for validation: {', '.join(repr(path.name) for path in held_out)}"
    if start.kernels is not None:
        fingerprint = (start.prior or {}).get("fingerprint")
        named = "".join(letter for letter in shortened(str(fingerprint), 80) if letter.isprintable())
        mined = f", mined by the run {named}" if fingerprint else ""
        yield f"# {count(len(start.kernels), 'kernel')} to blend{mined}"


def _in_words(value: Dictionary | Checkpoint | Sequence[str | Path]) -> str:
    if isinstance(value, Dictionary):
        return f"a dictionary of {count(len(value), 'kernel')}"
    if isinstance(value, Checkpoint):
        return "a checkpoint that was not in a file"
    names = [Path(path).name for path in value]
    return f"{count(len(names), 'file')}, from {names[0]!r} to {names[-1]!r}"
