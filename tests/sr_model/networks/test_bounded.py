"""Networks are built up to a size, and building stops at the first layer beyond it."""

import threading

import pytest
import torch
from torch import nn

from sr_model.networks.bounded import TooLarge, bounded


def test_what_is_within_the_limits_is_built():
    with bounded(numbers=12, parameters=2, buffer_bytes=40):
        nn.Linear(3, 3)
        nn.Module().register_buffer("table", torch.zeros(10))


@pytest.mark.parametrize("limits", [(11, 2, 0), (12, 1, 0)])
def test_parameters_beyond_a_limit_stop_it_and_none_outside(limits):
    with bounded(*limits), pytest.raises(TooLarge):
        nn.Linear(3, 3)
    nn.Linear(100, 100)


def test_buffers_beyond_a_limit_stop_it():
    with bounded(0, 0, 39), pytest.raises(TooLarge, match="constants"):
        nn.Module().register_buffer("table", torch.zeros(10))


def test_other_threads_build_what_they_like():
    made = []
    with bounded(0, 0, 0):
        thread = threading.Thread(target=lambda: made.append(nn.Linear(9, 9)))
        thread.start()
        thread.join()
    assert made
