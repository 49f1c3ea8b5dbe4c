"""Where a network extrapolates, its Gaussians fade into those of bicubic interpolation, its start.

What a network adds to interpolated colours is of the size of the contrast around, on the images that it was
trained on. On patterns that none of them has, such as a black and white checkerboard of pixels for a network
of photographs, a trained network was seen to add 266 times white, with positions and kernels as odd: the
picture clips and loses its mean.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from .flatness import largest_around, to_cells

FLOOR = 0.2
"""Added to the contrast, in units of white, with which additions are compared: where photographs have little
contrast, additions are several times as large."""
BELIEVED = 1.5
"""Additions, in units of contrast and FLOOR, that every network is believed, and those up to which one is
whose checkpoint says nothing of its training images. On photographs networks seldom add more, in
checkerboards of pixels many times as much."""
RATE = 0.02
"""Weight of a training step in the running mean of the largest additions: it follows the last 50."""
_one_thread = threading.Lock()


class Extrapolation(nn.Module):
    """How large the additions are that a network may be believed: as large as on its training images.

    Training notes the largest of each step. Noting it changes nothing that is saved, and noting it twice is
    noting it once, so that backward passes may compute a network's forward pass again.

    >>> known = Extrapolation()
    >>> known(torch.tensor([1.5, 1.75, 2.0]))
    tensor([1.0000, 0.5000, 0.0000])
    >>> for _ in range(300):
    ...     known.begin_step()
    ...     known.note(torch.tensor([0.1, 3.0]))
    ...     known.end_step()
    >>> known(torch.tensor([2.9, 4.0]))
    tensor([1., 0.])
    """

    believed: Tensor
    """[] float32, the largest believed additions, in units of contrast and FLOOR; saved with the weights."""
    largest: Tensor
    """[] float32, the largest of this training step."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("believed", torch.tensor(BELIEVED))
        self.register_buffer("largest", torch.zeros(()), persistent=False)
        self.register_load_state_dict_pre_hook(_supply_believed)  # type: ignore[no-untyped-call]  # torch's

    def forward(self, additions: Tensor) -> Tensor:
        """Say how far what makes such `relative_additions` is to be believed, from 0, not at all, to 1."""
        unbelieved = self.believed * 4 / 3
        return ((unbelieved - additions) / (unbelieved - self.believed)).clamp(0, 1)

    def begin_step(self) -> None:
        """Forget what has been noted since the last step, as while CUDA graphs are recorded."""
        self.largest.zero_()

    @torch.no_grad()
    def note(self, additions: Tensor) -> None:
        """Note the `relative_additions` of some training images, which several threads may do at once."""
        largest = additions.amax()
        with _alone():
            self.largest.copy_(torch.maximum(self.largest, largest))

    def end_step(self, over_processes: Callable[[Tensor], None] = lambda largest: None) -> None:
        """Let what was noted in this step count, but no more than twice what is believed: a freak fades away.

        Processes that train together note their own shares of the batch; `over_processes` replaces a tensor
        by its maximum over all of them.
        """
        over_processes(self.largest)
        counting = torch.minimum(self.largest.clamp(min=BELIEVED), 2 * self.believed)
        self.believed.lerp_(counting, RATE)


def _alone() -> AbstractContextManager[object]:
    """Keep other threads out; torch.compile, which takes no locks, compiles for a single one."""
    return nullcontext() if torch.compiler.is_compiling() else _one_thread


def _supply_believed(module: Extrapolation, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    state.setdefault(f"{prefix}believed", torch.tensor(BELIEVED))  # older checkpoints lack it


@torch.no_grad()
def relative_additions(largest: Tensor, image: Tensor) -> Tensor:
    """Compare what a network adds to interpolated colours, at most within REACH, with the contrast there.

    Args:
        largest: [B, 1, h, w], what it adds at most in each LR pixel.
        image: [B, 3, h, w], the LR image in [0, 1].

    Returns:
        [B, 1, h, w] in units of contrast and FLOOR.

    >>> image = torch.tensor([0.0, 1.0]).repeat(4).expand(1, 3, 8, 8)
    >>> relative_additions(torch.full((1, 1, 8, 8), 2.4), image).unique()
    tensor([2.])
    """
    added = largest_around(largest)
    contrast = (largest_around(image) + largest_around(-image)).amax(1, keepdim=True)
    return added / (contrast + FLOOR)


def faded(parts: list[tuple[Tensor, Tensor]], believed: Tensor, cells: int) -> list[Tensor]:
    """Mix what a network predicts with what it starts from: [(start, predicted)], each [B, N, n] or [N, n].

    What is fully believed, by `believed` [B, 1, h, w] being 1, keeps its bits.
    """
    weight = to_cells(believed, cells).flatten(1)[..., None]
    return [torch.lerp(start.expand_as(predicted), predicted, weight) for start, predicted in parts]
