"""Training lowers the loss of a GSASR without a prior, resumes it bit-exactly, and averages the loss over
samples of several sizes."""

from __future__ import annotations

import torch
from random_weights import random_gsasr
from runs import StopAfter
from safetensors.torch import load_file

from dgp_mining.images.paths import list_images
from splat2d import GaussianField
from sr_model import Budget, Checkpoint, train
from sr_model.training.loss import batch_loss, reconstruction_loss, render_ragged
from sr_model.training.samples import ImageSet


def test_sizes_of_a_batch_are_rendered_in_one_call_as_each_would_be_alone():
    generator = torch.Generator().manual_seed(0)
    field = GaussianField(
        8 * torch.rand(3, 40, 2, generator=generator),
        torch.tensor([0.6, 0.2, 0.5]).expand(3, 40, 3),
        torch.rand(3, 40, 3, generator=generator),
        size=(8, 8),
    )
    sizes = [(8, 8), (29, 17), (12, 40)]
    together = render_ragged(field, sizes)
    assert together.shape == (3, 3, 29, 40)
    for index, (height, width) in enumerate(sizes):
        assert torch.equal(together[index, :, :height, :width], field.row(index).render((height, width))[0])


def test_the_loss_of_a_mixed_batch_is_the_mean_of_its_samples(tiny_gsasr, photographs):
    images = ImageSet(list_images(photographs), smallest=8, cache=photographs.parent / "cache")
    batch = images.batch(tiny_gsasr.train, seed=0, step=0)
    assert len({hr.shape[-1] for hr in batch.hr}) > 1
    network = random_gsasr(tiny_gsasr.network)
    losses, start = [], 0
    for hr in batch.hr:
        for sample in hr:
            field = network(batch.lr[start : start + 1], sample.shape[-1] / batch.lr.shape[-1])
            rendered = field.render(tuple(sample.shape[1:]))
            losses.append(reconstruction_loss(rendered, sample[None], tiny_gsasr.train))
            start += 1
    together = batch_loss(network(batch.lr, batch.scales()), batch, tiny_gsasr.train)
    torch.testing.assert_close(together, torch.stack(losses).mean())


def test_training_lowers_the_loss_without_a_prior_and_resumes_to_the_bit(tiny_gsasr, photographs, tmp_path):
    images = list_images(photographs)
    arguments = {"images": images, "preset": tiny_gsasr, "val": images, "cache": tmp_path / "cache"}
    start = train(None, out=tmp_path / "start", budget=Budget(steps=1), **arguments)
    whole = train(None, out=tmp_path / "whole", budget=Budget(steps=60), **arguments)
    before, after = (Checkpoint.load(path).notes["validation"]["psnr"] for path in (start, whole))
    assert after > before + 0.1
    train(None, out=tmp_path / "parts", budget=Budget(steps=60), callbacks=[StopAfter(30)], **arguments)
    train(None, out=tmp_path / "parts", resume=True, **arguments)
    whole, parts = (load_file(tmp_path / run / "last.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
