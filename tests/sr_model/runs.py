"""Stopping a training after some steps, and comparing two of them, or their samples."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from sr_model import TrainingCallback
from sr_model.config.training_settings import TrainSettings
from sr_model.training.pair_samples import PairSet
from sr_model.training.samples import ImageSet

Samples = ImageSet | PairSet


def assert_seed_and_step_decide(first: Samples, second: Samples, settings: TrainSettings) -> None:
    """Two sets of the same samples draw the same batch of a step, and others of other steps and seeds."""
    first.batch(settings, seed=0, step=3)
    ours, theirs = first.batch(settings, 0, 7), second.batch(settings, 0, 7)
    assert torch.equal(ours.lr, theirs.lr)
    assert torch.equal(ours.hr[0], theirs.hr[0])
    assert not torch.equal(ours.lr, first.batch(settings, 0, 8).lr)
    assert not torch.equal(ours.lr, first.batch(settings, 1, 7).lr)


class StopAfter(TrainingCallback):
    """Asks a training to stop once so many steps have begun."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


def difference(run: Path, other: Path) -> float:
    """Distance between the running means of two runs' gradients, relative to their length.

    Weights are less suitable: Adam amplifies the rounding of gradients near 0, and ignores their scale.
    """
    states = [load_file(folder / "state.safetensors") for folder in (run, other)]
    assert states[0].keys() == states[1].keys()
    ours, theirs = (
        torch.cat([t.flatten() for name, t in sorted(state.items()) if name.endswith(".exp_avg")])
        for state in states
    )
    return ((ours - theirs).norm() / ours.norm()).item()
