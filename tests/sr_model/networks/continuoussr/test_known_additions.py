"""In training, a network notes how much it adds to images; later it is believed as much as that."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from random_weights import FLAT, random_continuoussr

from sr_model.networks.continuoussr.extrapolation import BELIEVED, RATE, Extrapolation
from sr_model.networks.mlp import output_layer

PARTS = ("means", "cholesky", "colors")
NAME = "extrapolation.believed"


def alone(largest: torch.Tensor) -> None:
    """The maximum over a single process."""


@pytest.fixture
def network(dictionary):
    """A network that adds two to three times the contrast and FLOOR to noise."""
    network = random_continuoussr(dictionary, 0.1, **FLAT)
    output_layer(network.colour).weight *= 25
    return network


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def take_steps(known: Extrapolation, additions: list[float]) -> float:
    for addition in additions:
        known.begin_step()
        known.note(torch.tensor([0.0, addition]))
        known.end_step(alone)
    return known.believed.item()


def test_what_is_believed_is_the_running_mean_of_the_largest_additions():
    known = Extrapolation()
    assert take_steps(known, [2.5]) == pytest.approx(BELIEVED + RATE * (2.5 - BELIEVED))
    assert take_steps(known, [2.5] * 400) == pytest.approx(2.5, abs=1e-3)
    assert take_steps(known, [0.0] * 400) == pytest.approx(BELIEVED, abs=1e-3)  # and never less
    assert take_steps(known, [1e6]) == pytest.approx(BELIEVED * (1 + RATE), abs=1e-2)


def test_it_fades_from_what_is_believed_to_a_third_more():
    known = Extrapolation()
    known.believed.fill_(3.0)
    assert known(torch.tensor([0.0, 3.0, 3.25, 4.0, 9.0])).tolist() == [1, 1, 0.75, 0, 0]


def test_a_step_counts_the_largest_of_all_its_parts_once():
    parts, whole = Extrapolation(), Extrapolation()
    parts.note(torch.tensor(1e9))  # before the step, as while CUDA graphs are recorded
    for known, batches in ((parts, ([2.0], [2.75, 1.0], [2.75], [0.5])), (whole, ([2.0, 2.75, 1.0],))):
        known.begin_step()
        for batch in batches:
            known.note(torch.tensor(batch))
        known.end_step(alone)
    assert torch.equal(parts.believed, whole.believed)


def test_threads_that_note_at_once_lose_nothing(monkeypatch):
    known, maximum = Extrapolation(), torch.maximum

    def slow_maximum(one, other):
        found = maximum(one, other)
        time.sleep(0.05)
        return found

    monkeypatch.setattr(torch, "maximum", slow_maximum)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(known.note, (torch.tensor(addition) for addition in (3.0, 2.0, 1.0))))
    assert known.largest == 3


def test_processes_count_the_largest_of_all():
    known = Extrapolation()
    known.note(torch.tensor([2.0]))
    known.end_step(lambda largest: largest.fill_(2.8))
    assert known.believed.item() == pytest.approx(BELIEVED + RATE * (2.8 - BELIEVED))


def test_training_fades_nothing_and_changes_nothing_that_is_saved_before_a_step_ends(network, noise):
    network.train()
    saved = network.state_dict()[NAME].clone()
    trained = network(noise)
    assert torch.equal(network.extrapolation.believed, saved)
    assert 2 < network.extrapolation.largest < 4
    network.eval()
    assert not torch.equal(network(noise).colors, trained.colors)
    network.extrapolation.believed.fill_(4.0)
    for part in PARTS:
        assert torch.equal(getattr(network(noise), part), getattr(trained, part))


def test_evaluation_notes_nothing(network, noise):
    network(noise)
    assert network.extrapolation.largest == 0
    network.end_step(alone)
    assert network.extrapolation.believed == BELIEVED


def test_what_was_noted_in_steps_is_believed_afterwards(network, noise):
    before = network(noise)
    for _ in range(300):
        network.train()
        network.begin_step()
        trained = network(noise)
        network.end_step(alone)
    network.eval()
    known = network.extrapolation
    assert known.believed.item() == pytest.approx(known.largest.item(), rel=1e-2)
    assert (before.colors - trained.colors).abs().max() > 0.1
    assert (network(noise).colors - trained.colors).abs().max() < 0.05


def test_gradients_pass_what_would_fade_in_training_alone(network, noise):
    network.requires_grad_(True)
    network.extrapolation.believed.fill_(1e-9)
    layer = output_layer(network.colour)
    for training in (True, False):
        layer.weight.grad = None
        network.train(training)(noise).colors.square().sum().backward()
        assert bool(layer.weight.grad.any()) == training


def test_without_contrast_there_is_nothing_to_know(dictionary):
    network = random_continuoussr(dictionary, 0.1, **{**FLAT, "contrast": 0.0}).train()
    network.begin_step()
    network.end_step(alone)
    assert NAME not in network.state_dict()


def test_an_older_state_is_believed_as_much_as_any_and_an_unknown_one_is_refused(network):
    state = network.state_dict()
    del state[NAME]
    network.extrapolation.believed.fill_(3.0)
    network.load_state_dict(state)
    assert network.extrapolation.believed == BELIEVED
    assert NAME not in state
    state["extrapolation.other"] = torch.zeros(())
    with pytest.raises(RuntimeError, match=r"extrapolation\.other"):
        network.load_state_dict(state)
