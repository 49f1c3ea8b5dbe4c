"""What a training is made of while it runs, and how it is put down and taken up again to the bit."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dgp_mining.dictionary import Dictionary

from .architectures import Settings, build_network
from .checkpoint import CheckpointError, read_tensors, write_tensors
from .network import Network, scale_between
from .settings import TrainSettings

FORMAT = "sr_model-training/1"
WARM_EMA = 10
"""The averaged weights forget faster at first: their decay is at most (1 + step) / (WARM_EMA + step)."""


class TrainingError(ValueError):
    """A training that cannot start or go on; the message is one sentence saying what to do."""


@dataclass
class TrainingState:
    """Everything that a training step reads and writes; random numbers depend on the step alone."""

    model: Network
    """The network being trained."""
    average: Network
    """The exponential moving average of its weights: what is validated and used."""
    optimiser: torch.optim.Adam
    """Adam over the model's parameters."""
    step: int = 0
    """Steps taken."""
    seconds: float = 0.0
    """Wall clock spent, over all sessions, when the state was last written."""
    best: float = -math.inf
    """Highest validation PSNR so far, dB."""

    @staticmethod
    def fresh(
        settings: Settings, dictionary: Dictionary | None, seed: int, device: torch.device
    ) -> TrainingState:
        """Step 0: weights drawn from `seed`. Raises TrainingError where the start kernel cannot be had."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                kernels = None if dictionary is None else torch.tensor(dictionary.cholesky)
                model = build_network(settings, kernels)
            except ValueError as error:
                raise TrainingError(f"This dictionary cannot be trained on: {error}.") from error
        model = model.to(device)
        average = copy.deepcopy(model).eval().requires_grad_(False)
        return TrainingState(model, average, torch.optim.Adam(model.parameters()))

    def learn(self, lr: Tensor, hr: Tensor, rate: float, settings: TrainSettings, bf16: bool) -> float:
        """One step on a batch at learning rate `rate`; returns the loss. TrainingError if it diverges."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(lr.device.type, torch.bfloat16, enabled=bf16):
            field = self.model(lr, scale_between(lr.shape[2:], hr.shape[2:]))
        try:
            rendered = field.render((hr.shape[2], hr.shape[3]))
        except ValueError as error:  # a field with something in it that is not a number
            raise self._diverged() from error
        loss = reconstruction_loss(rendered, hr, settings)
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            raise self._diverged()
        self.optimiser.step()
        self.step += 1
        decay = min(settings.ema, (1 + self.step) / (WARM_EMA + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        return loss.item()

    def _diverged(self) -> TrainingError:
        return TrainingError(
            f"The training diverged (a loss that is not a number) at step {self.step}: "
            "its checkpoints hold an earlier state, and another --seed may avoid it."
        )

    def save(self, path: Path, identity: Mapping[str, Any], budget: Mapping[str, Any]) -> None:
        """Write everything that `restore` needs, whole or not at all."""
        progress = {"step": self.step, "seconds": self.seconds, "best": self.best}
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        header = {"identity": identity, "budget": budget, "progress": progress}
        write_tensors(path, tensors, FORMAT, header)

    def restore(self, path: Path, identity: Mapping[str, Any]) -> dict[str, Any]:
        """Take up what `save` wrote and return its budget. Raises TrainingError where `identity` differs."""
        try:
            tensors, header = read_tensors(path, FORMAT, "the state of a training to resume")
        except CheckpointError as error:
            raise TrainingError(f"{error} To train afresh, leave --resume out.") from error
        before = header["identity"]
        differing = sorted(
            key for key in identity.keys() | before.keys() if identity.get(key) != before.get(key)
        )
        if differing:
            raise TrainingError(
                f"The run in {path.parent} was begun with other settings ({', '.join(differing)}): "
                "resume it with those, or name another folder with --out."
            )
        self.model.load_state_dict(_under("model.", tensors))
        self.average.load_state_dict(_under("average.", tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("adam.", tensors).items():
            index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        for name, value in header["progress"].items():
            setattr(self, name, value)
        return header["budget"]


def reconstruction_loss(rendered: Tensor, hr: Tensor, settings: TrainSettings) -> Tensor:
    """L1 over pixels and, weighted, over the coefficients of their unnormalised 2D Fourier transforms."""
    loss = (rendered - hr).abs().mean()
    if settings.frequency_loss:
        spectrum = torch.fft.rfft2(rendered - hr)
        loss = loss + settings.frequency_loss * torch.view_as_real(spectrum).abs().mean()
    return loss


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
