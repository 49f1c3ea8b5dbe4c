"""Checkpoints: safetensors files of a network's weights, its settings and its dictionary."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dgp_mining.schema import as_kind, shortened
from dgp_mining.shipped import MODEL, shipped_file

from ..networks.base import Network, NetworkSettings
from ..networks.bounded import TooLarge, bounded
from ..networks.registry import DEFAULT_ARCHITECTURE, architecture_name, build_network, settings_from
from .earlier_conversions import put_right
from .foreign import describe_foreign
from .tensor_file import CheckpointError, format_of, read_tensors, write_tensors

FORMAT = "sr_model-checkpoint/1"
DICTIONARY = "dictionary.cholesky"
WEIGHTS = "network."
SPARE_NUMBERS, SPARE_PARAMETERS = 1_000_000, 100
"""What a network may have more than the file of its weights, so that the first difference can be named."""
SPARE_BYTES = 200_000_000
"""Bytes of the tables of positions that attention has beside its weights, more than twice theirs."""
NUMBERS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""Types of weights; those of networks are float32, to which the others are converted."""
NOTES: Mapping[str, Any] = {
    "step": int,
    "seed": int,
    "training": dict[str, Any],
    "validation": dict[str, Any],
    "init": dict[str, Any],
    "converted": dict[str, Any],
    "dictionary": dict[str, Any] | None,
}
"""Types of the notes that are read here; there may be others."""


@dataclass(frozen=True)
class Checkpoint:
    """A network ready for use: everything except the state of its training.

    >>> from dgp_mining.shipped import MODEL, shipped_file
    >>> with shipped_file(MODEL) as path:
    ...     checkpoint = Checkpoint.load(path)
    >>> checkpoint.network.encoder, checkpoint.dictionary.shape
    ('span', torch.Size([64, 3]))
    """

    network: NetworkSettings
    """Its architecture and shape."""
    dictionary: Tensor | None
    """[K, 3] float64: Cholesky factors in grid spacings; None for architectures that blend no kernels."""
    weights: Mapping[str, Tensor]
    """The network's state dict."""
    notes: Mapping[str, Any]
    """Further JSON-serialisable facts: step, PSNR, the dictionary's metadata, training settings."""

    def build(self) -> Network:
        """Return the network with its weights, in evaluation mode and without gradients.

        Raises:
            ValueError: if the weights belong to another network, or are no finite numbers.
        """
        check_numbers(self.weights)
        model = self._fresh()
        try:
            model.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            first = first_difference(self.weights, model.state_dict())
            raise ValueError(
                f"the checkpoint's weights are not those of the network it describes: {first}"
            ) from error
        return model.eval().requires_grad_(False)

    def _fresh(self) -> Network:
        """Return the network with fresh weights. Raises ValueError if it is larger than `weights` allow."""
        numbers = sum(tensor.numel() for tensor in self.weights.values())
        room = bounded(
            numbers + SPARE_NUMBERS,
            len(self.weights) + SPARE_PARAMETERS,
            2 * sum(tensor.nbytes for tensor in self.weights.values()) + SPARE_BYTES,
        )
        try:
            with room:
                return build_network(self.network, self.dictionary)
        except TooLarge as error:
            raise ValueError(
                f"its settings describe a larger network than its {len(self.weights):,} arrays of weights "
                f"({numbers:,} numbers) make: {error}"
            ) from error
        except ValueError:
            raise
        except (RuntimeError, TypeError, ArithmeticError, MemoryError) as error:  # of torch, for huge layers
            raise ValueError(
                f"the network that its settings describe cannot be made ({shortened(str(error))})"
            ) from error

    def save(self, path: str | Path) -> None:
        """Write the file atomically.

        Raises:
            CheckpointError: if it cannot be written, or could not be read again.
        """
        try:
            check_notes(self.notes)
        except ValueError as error:
            raise CheckpointError(
                f"{path} is not written, since it could not be read again: {error}."
            ) from error
        tensors = {WEIGHTS + name: tensor for name, tensor in self.weights.items()}
        if self.dictionary is not None:
            tensors[DICTIONARY] = self.dictionary
        write_tensors(path, tensors, FORMAT, self.header)

    @property
    def header(self) -> dict[str, Any]:
        """What its file says of the tensors: the network's settings, and the notes."""
        settings = {"architecture": architecture_name(self.network), "network": asdict(self.network)}
        return {**settings, **self.notes}

    @staticmethod
    def load(path: str | Path) -> Checkpoint:
        """Read a file that `save` wrote.

        What an earlier release of `sr-convert` got wrong is put right, with a warning in the log.

        Raises:
            CheckpointError: if it is not a checkpoint, or is one of a newer version.
        """
        try:
            tensors, notes = read_tensors(path, FORMAT, "a network that sr-train wrote")
        except CheckpointError as error:
            other = "" if format_of(path) == FORMAT else describe_foreign(path)
            raise CheckpointError(other or str(error)) from error
        try:
            if "network" not in notes:
                raise ValueError("its header lacks network")
            name = as_kind(notes.pop("architecture", DEFAULT_ARCHITECTURE), str, "architecture")
            network = as_kind(notes.pop("network"), dict[str, Any], "network")
            check_notes(notes)
            settings = settings_from(name, put_right(path, name, network, notes))
            dictionary = tensors.pop(DICTIONARY, None)
            if dictionary is not None:
                check_kernels(dictionary)
        except ValueError as error:
            raise CheckpointError(
                f"{path} was written by another version of sr-train, or is damaged: {error}."
            ) from error
        weights = {name.removeprefix(WEIGHTS): tensor for name, tensor in tensors.items()}
        return Checkpoint(settings, dictionary, weights, notes)

    @staticmethod
    def reference(argument: str = "model=") -> Checkpoint:
        """Read the reference model.

        Raises:
            CheckpointError: if it is not installed; it says to name a checkpoint with `argument`.

        >>> Checkpoint.reference().network.width
        48
        """
        with reference_file(argument) as path:
            return Checkpoint.load(path)


def check_notes(notes: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the note, if one that is read has another type, or a number is not finite.

    >>> check_notes({"step": 3, "validation": {"psnr": float("inf")}})
    >>> check_notes({"step": 3.5})
    Traceback (most recent call last):
    ValueError: step must be a whole number, not a number
    """
    for note in NOTES.keys() & notes.keys():
        value = notes[note]
        if note == "validation" and isinstance(value, dict):  # the PSNR of equal images is infinite
            value = {name: score for name, score in value.items() if score != math.inf}
        as_kind(value, NOTES[note], note)


def check_numbers(weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError, naming the first such weight, if some are no numbers of a network, or not finite."""
    for name, tensor in weights.items():
        if tensor.dtype not in NUMBERS:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ValueError(f"its weights {shortened(name)} are {kind} numbers, not float32")
        if not torch.isfinite(tensor).all():
            raise ValueError(
                f"its weights {shortened(name)} are not finite, as a training that diverged leaves behind"
            )


def check_kernels(kernels: Tensor) -> None:
    """Raise ValueError unless `kernels` are Cholesky factors, [K, 3], all finite."""
    if kernels.ndim != 2 or kernels.shape[1] != 3 or not len(kernels) or not kernels.is_floating_point():
        kind = str(kernels.dtype).removeprefix("torch.")
        raise ValueError(f"its {DICTIONARY} is not [K, 3] numbers, but {list(kernels.shape)} {kind}")
    if not torch.isfinite(kernels).all():
        raise ValueError(f"its {DICTIONARY} holds numbers that are not finite")


def first_difference(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """Say in what weights differ from a network's own, by the first tensor that does.

    Missing ones come last: some, which older checkpoints lack, are supplied on loading.

    >>> first_difference({"a": torch.zeros(2, 3)}, {"a": torch.zeros(4, 3)})
    'a is 2x3 and not 4x3'
    """
    for name in own:
        if name in weights and weights[name].shape != own[name].shape:
            theirs, ours = ("x".join(map(str, t.shape)) or "one number" for t in (weights[name], own[name]))
            return f"{name} is {theirs} and not {ours}"
    for name in weights:
        if name not in own:
            return f"{name} does not belong to it"
    return f"{next(name for name in own if name not in weights)} is missing"


def load(path: str | Path, device: torch.device | str | None = None) -> Network:
    """Return the network of a checkpoint, in evaluation mode.

    Args:
        path: a file that `sr-train` or `Checkpoint.save` wrote.
        device: of its weights; default: a GPU if there is one.

    Raises:
        CheckpointError: if the file is not a checkpoint or does not fit the network it describes.

    >>> from dgp_mining.shipped import MODEL, shipped_file
    >>> with shipped_file(MODEL) as path:
    ...     network = load(path, "cpu")
    >>> field = network(torch.rand(1, 3, 8, 8))
    >>> field.render((32, 28)).shape
    torch.Size([1, 3, 32, 28])
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint = Checkpoint.load(path)
    try:
        return checkpoint.build().to(device)
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}.") from error


def load_reference() -> Network:
    """Return the network of the reference model.

    Raises:
        CheckpointError: if it is not installed.
    """
    with reference_file("model=") as path:
        return load(path)


@contextlib.contextmanager
def reference_file(argument: str) -> Iterator[Path]:
    """Yield the path of the reference model's checkpoint.

    Raises CheckpointError if it is not installed, which says to name another with `argument`.
    """
    with contextlib.ExitStack() as stack:
        try:
            path = stack.enter_context(shipped_file(MODEL))
        except FileNotFoundError as error:
            raise CheckpointError(
                f"No reference model is installed here: name a checkpoint with {argument}."
            ) from error
        yield path
