"""As a program: train small networks for ten deterministic steps, and print the loss of the last one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from small_networks import SMALL_NETWORKS

from dgp_mining.prior.dictionary import Dictionary
from sr_model import PRESETS
from sr_model.networks.registry import with_prior
from sr_model.training.distributed import DistributedContext
from sr_model.training.sample_workers import sample_workers
from sr_model.training.samples import Batch
from sr_model.training.state import TrainingState

NETWORKS = ("demo/edsr", "demo/span", "demo/rlfn", "demo/safmn", "paper/swinir", "gsasr-paper/rdn")


def last_loss(name: str) -> float:
    """The loss of the tenth step on noise, images at x3."""
    settings = replace(PRESETS["demo"].train, deterministic=True, precision="float32")
    network, dictionary = with_prior(SMALL_NETWORKS[name], Dictionary.reference())
    kernels = None if dictionary is None else torch.tensor(dictionary.cholesky)
    context, random = DistributedContext(torch.device("cpu")), np.random.default_rng(0)
    with sample_workers(settings, context) as workers:
        state = TrainingState.new(network, kernels, settings, 0, context)
        state.workers = workers
        for _ in range(10):
            lr, hr = (torch.from_numpy(random.random((2, 3, n, n), np.float32)) for n in (8, 24))
            loss = state.train_step([Batch(lr, (hr,))], 1e-3, settings)
    return loss


if __name__ == "__main__":
    for name in NETWORKS:
        print(name, last_loss(name))
