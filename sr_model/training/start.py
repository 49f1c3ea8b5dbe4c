"""Where a training starts: fresh weights on the kernels of a prior, or the weights of a checkpoint."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dgp_mining.prior.dictionary import Dictionary

from ..checkpoints.checkpoint import FORMAT, Checkpoint
from ..checkpoints.foreign import describe_foreign
from ..checkpoints.tensor_file import CheckpointError, format_of
from ..config.presets import Preset
from ..networks.base import NetworkSettings
from ..networks.registry import architecture_name, with_prior
from .distributed import is_main_process
from .errors import TrainingError
from .state import FORMAT as STATE_FORMAT

log = logging.getLogger(__name__)

REFERENCE = "reference"
"""Name of the reference model, in place of a file."""


@dataclass(frozen=True)
class Start:
    """The network that a training starts with."""

    network: NetworkSettings
    """Its settings."""
    kernels: Tensor | None
    """[K, 3] float64: the kernels that it blends, as Cholesky factors in grid spacings; None without any."""
    prior: Mapping[str, Any] | None
    """Metadata of the dictionary of these kernels."""
    weights: Mapping[str, Tensor] | None = None
    """Its state dict; None for weights that are drawn from the seed."""
    encoder: Mapping[str, Tensor] | None = None
    """The encoder's state dict, if its weights are from a public file."""
    notes: Mapping[str, Any] | None = None
    """What every checkpoint of the training records of the one that it starts from."""
    recorded: Mapping[str, str] = field(default_factory=dict)
    """Digests of files that are gone, as the state of the run to resume has them."""

    def digests(self) -> dict[str, str | None]:
        """What identifies kernels and weights: SHA-256 of their bytes, or None."""
        return {
            "dictionary": None if self.kernels is None else _digest(self.kernels),
            "init": _digest_of(self.weights),
            "encoder_weights": _digest_of(self.encoder),
            **self.recorded,
        }


def start_from_prior(preset: Preset, prior: Dictionary | None) -> Start:
    """Start with fresh weights on the kernels that the network chooses of a prior; log the prior's warnings.

    Raises TrainingError.
    """
    if prior is not None and is_main_process():
        for sentence in prior.warnings.values():
            found, _, _ = sentence.partition(": ")  # what follows is for those who mine
            log.warning("the prior: %s ('dgp-mine dictionary show' says more)", found)
    try:
        network, dictionary = with_prior(preset.network, prior)
    except ValueError as error:
        raise TrainingError(f"This cannot be trained: {error}.") from error
    if dictionary is None:
        return Start(network, None, None)
    return Start(network, torch.tensor(dictionary.cholesky), _without_path(dictionary.metadata))


def start_from_checkpoint(
    init: Checkpoint | str | Path, preset: Preset, prior: Dictionary | None = None
) -> Start:
    """Start with the network, kernels and weights of a checkpoint; log how the preset's network differs.

    Args:
        init: a checkpoint, its file, or "reference".
        preset: its network must be of the same architecture, and does not count otherwise.
        prior: may be given if the checkpoint's kernels were chosen of it.

    Raises:
        CheckpointError: if `init` is not a checkpoint.
        TrainingError: if it cannot be trained on, or is of another architecture or on another prior.
    """
    name, checkpoint = describe(init), load_init(init)
    network, kernels = checkpoint.network, checkpoint.dictionary
    ours, theirs = architecture_name(network), architecture_name(preset.network)
    if ours != theirs:
        raise TrainingError(
            f"{name} holds a {ours}, but the preset is for {theirs}: name another with preset=."
        )
    if prior is not None and not _is_based_on(checkpoint, prior):
        raise TrainingError(
            f"{name} was trained with other kernels than those of prior=: leave out prior= to go on with its "
            "own, or init= to train anew on the others."
        )
    changed = differences(network, preset.network)
    log.info(
        "starting from %s%s", name, f", whose network replaces the preset's: {changed}" if changed else ""
    )
    converted = checkpoint.notes.get("converted")
    if licence := (converted or {}).get("license"):
        log.info("its weights are %s, and so are those trained from them", licence)
    notes = {"init": {"from": "/".join(Path(name).parts[-2:]), "step": checkpoint.notes.get("step")}}
    notes |= {"converted": converted} if converted else {}
    prior_of_kernels = checkpoint.notes.get("dictionary")
    return Start(network, kernels, _without_path(prior_of_kernels), checkpoint.weights, notes=notes)


def _without_path(prior: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Metadata of a dictionary without the folder of its images, which earlier releases recorded.

    Checkpoints are passed on, and what a folder is called on the machine of the miner is nobody's business.
    """
    return None if prior is None else {name: value for name, value in prior.items() if name != "images"}


def load_init(init: Checkpoint | str | Path) -> Checkpoint:
    """Return the checkpoint to start from.

    Raises:
        CheckpointError: if a file is not a checkpoint, and TrainingError if it holds nothing to start from.
    """
    if isinstance(init, Checkpoint):
        checkpoint = init
    elif init == REFERENCE:  # a Path of that name is a file
        checkpoint = Checkpoint.reference("init=")
    else:
        checkpoint = _read(Path(init))
    try:
        checkpoint.build()
    except ValueError as error:
        raise CheckpointError(f"{describe(init)} cannot be used: {error}.") from error
    if checkpoint.notes.get("step") == 0 and "init" not in checkpoint.notes:
        raise TrainingError(
            f"{describe(init)} was written before its training began: leave out init= to start anew."
        )
    return checkpoint


def _read(path: Path) -> Checkpoint:
    if not path.exists():
        raise CheckpointError(f"{path} does not exist: name a checkpoint, or {REFERENCE}, with init=.")
    form = format_of(path)
    if form == STATE_FORMAT:
        raise CheckpointError(
            f"{path} is the state of a training: name best.safetensors beside it with init=, or continue "
            "that training with resume=True."
        )
    if form != FORMAT:
        unknown = (
            f"{path} is not a checkpoint of sr-train or sr-convert: convert a released one with sr-convert "
            "first, or give the weights of an encoder alone with encoder_weights=."
        )
        raise CheckpointError(describe_foreign(path) or unknown)
    return Checkpoint.load(path)


def describe(init: Checkpoint | str | Path) -> str:
    """Name a checkpoint in messages."""
    return "the checkpoint" if isinstance(init, Checkpoint) else str(init)


def differences(ours: NetworkSettings, theirs: NetworkSettings) -> str:
    """List the settings that differ, in words; empty if none does.

    >>> from dataclasses import replace
    >>> from sr_model import PRESETS
    >>> light = PRESETS["light"].network
    >>> differences(light, replace(light, width=48, trunk=(64,)))
    'width 64 instead of 48, trunk () instead of (64,)'
    """
    pairs = ((one.name, getattr(ours, one.name), getattr(theirs, one.name)) for one in fields(ours))
    return ", ".join(f"{name} {mine} instead of {other}" for name, mine, other in pairs if mine != other)


def _is_based_on(checkpoint: Checkpoint, prior: Dictionary) -> bool:
    """Whether the network of a checkpoint is the one that its settings give on `prior`."""
    try:
        network, dictionary = with_prior(checkpoint.network, prior)
    except ValueError:  # it blends more kernels than the prior has
        return False
    if network != checkpoint.network or dictionary is None or checkpoint.dictionary is None:
        return network == checkpoint.network and dictionary is None and checkpoint.dictionary is None
    return torch.equal(torch.tensor(dictionary.cholesky), checkpoint.dictionary)


def _digest_of(weights: Mapping[str, Tensor] | None) -> str | None:
    return None if weights is None else _digest(*(weights[name] for name in sorted(weights)))


def _digest(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
