"""Networks whose heads are linear have them computed at once by the C++ library where it applies."""

from __future__ import annotations

import pytest
import torch
from random_weights import FLAT, random_continuoussr

from sr_model.native import library
from tests.sr_model.native_library import needs_library

pytestmark = needs_library

LINEAR = {**FLAT, "neck": (24,), "hidden": ()}
"""Settings of a small network with linear heads, as the preset `span` has."""
PARTS = ("means", "cholesky", "colors")

CHANGES = [
    {},
    {"cells": 4},
    {"cells": 1, "drift": 0.5},
    {"activated_offsets": True, "margin": 0},
    {"contrast": 0.0},
    {"upsampler": False},
    {"covariance": "learned", "blending": "covariance"},
    {"blending": "cholesky"},
    {"keys": "plain", "interpolate": False, "phase": "corner", "contrast": 0.0, "upsampler": False},
]
OTHERS = [
    {"neck": ()},
    {"trunk": (8,)},
    {"hidden": (8,), "offset_hidden": ()},
    {"offset_hidden": (8,)},
    {"query_size": 3},
    {"positions": "initial"},
    {"positions": "offsets", "interpolate": False, "contrast": 0.0, "upsampler": False},
    {"covariance": "direct"},
    {"covariance": "fixed"},
    {"encoder": "edsr", "neck": ()},
]


def image() -> torch.Tensor:
    return torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def called(monkeypatch):
    """The names of the library's functions that have been called."""
    names: list[str] = []
    original = library.call

    def noting(name, arguments):
        names.append(name)
        original(name, arguments)

    monkeypatch.setattr(library, "call", noting)
    return names


@pytest.mark.parametrize("changes", CHANGES, ids=str)
@torch.no_grad()
def test_the_gaussians_are_those_of_torch(dictionary, called, changes):
    network = random_continuoussr(dictionary, **{**LINEAR, **changes})
    found = network(image())
    assert called.count("heads") == 1
    with library.torch_alone():
        expected = network(image())
    for part in PARTS:
        torch.testing.assert_close(getattr(found, part), getattr(expected, part), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", OTHERS, ids=str)
@torch.no_grad()
def test_other_heads_are_left_to_torch(dictionary, called, changes):
    random_continuoussr(dictionary, **{**LINEAR, **changes})(image())
    assert "heads" not in called


@pytest.mark.filterwarnings("ignore")  # of tracing
def test_gradients_autocast_and_programs_are_left_to_torch(dictionary, called):
    network = random_continuoussr(dictionary, **LINEAR)
    network(image())
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            network(image())
        with library.torch_alone():
            network(image())
        torch.jit.trace(lambda given: network(given).means, image(), check_trace=False)
    assert "heads" not in called


@pytest.mark.parametrize("name", ["to_cells", "to_cells.2", "colour", "offset.0", "kernels", "kernels.query"])
@torch.no_grad()
def test_who_watches_a_head_sees_it_called(dictionary, name):
    network = random_continuoussr(dictionary, **LINEAR)
    unwatched, seen = network(image()), []
    watch = network.get_submodule(name).register_forward_hook(lambda *_: seen.append(name))
    watched = network(image())
    assert seen
    torch.testing.assert_close(watched.colors, unwatched.colors, rtol=1e-4, atol=1e-5)
    watch.remove()
    seen.clear()
    assert torch.equal(network(image()).colors, unwatched.colors)
    assert not seen


@torch.no_grad()
def test_a_replaced_layer_is_used(dictionary, called):
    network = random_continuoussr(dictionary, **LINEAR)
    network.colour = torch.nn.Sequential(network.colour, torch.nn.Tanh())
    network(image())
    assert "heads" not in called
