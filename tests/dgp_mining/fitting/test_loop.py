"""The loop stops each crop at its target, and keeps the fields of the requested iterations."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from dgp_mining.fitting.loop import MOST_AT_ONCE, block_ends, optimise
from splat2d import GaussianField


@dataclass
class CountingRun:
    """Crop k reaches 10 (k + 1) dB after 30 iterations; its field's only mean is the iterations done."""

    targets: Tensor = field(default_factory=lambda: torch.zeros(2, 1, 2, 2))
    done: int = 0
    blocks: list[tuple[int, int]] = field(default_factory=list)

    def advance(self, begin: int, end: int) -> Tensor:
        assert begin == self.done
        self.blocks.append((begin, end))
        self.done = end
        decibels = torch.tensor([[10.0], [20.0]]).double() * (end >= 30)
        return 4 * 10 ** (-decibels / 10).expand(2, end - begin)

    def field(self, crop: int) -> GaussianField:
        mean = torch.full((1, 1, 2), float(self.done))
        return GaussianField(mean, torch.ones(1, 1, 3), torch.ones(1, 1, 1), size=(2, 2))


def test_each_crop_keeps_its_snapshots_and_its_end() -> None:
    run = CountingRun()
    for fields in optimise(run, 25, snapshots=(0, 7, 25, 99)):
        assert {at: kept.means[0, 0, 0].item() for at, kept in fields.items()} == {0: 0, 7: 7, 25: 25}
    assert run.blocks == [(0, 7), (7, 25)]


def test_a_crop_ends_at_its_target_while_others_go_on() -> None:
    easy, hard = reversed(optimise(CountingRun(), 100, target_psnr=15.0, snapshots=(20, 40, 60)))
    assert list(easy) == [20, 30]
    assert list(hard) == [20, 40, 60, 100]


def test_the_loop_ends_when_every_crop_has() -> None:
    run = CountingRun()
    assert [list(fields) for fields in optimise(run, 100, target_psnr=9.0)] == [[30], [30]]
    assert run.blocks[-1] == (20, 30)


@pytest.mark.parametrize("iterations", [1, MOST_AT_ONCE, 2 * MOST_AT_ONCE + 1])
def test_long_runs_can_be_interrupted_between_blocks(iterations: int) -> None:
    ends = block_ends(iterations, (), MOST_AT_ONCE)
    assert ends[-1] == iterations
    assert max(b - a for a, b in zip([0, *ends], ends, strict=False)) <= MOST_AT_ONCE
