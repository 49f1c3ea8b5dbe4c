"""Stopping a training after some steps, and comparing two of them."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from sr_model import TrainingCallback


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
