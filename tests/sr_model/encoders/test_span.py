"""SPAN's shortcuts compute what its layers say, with and without gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sr_model.encoders import SPAN


def _plain(encoder, image):
    """The encoder as published, layer by layer."""
    shallow = features = encoder.first(image - encoder.mean)
    made = []
    for block in encoder.blocks:
        inner = F.silu(block.first(features))
        result = block.third(F.silu(block.second(inner)))
        features = (result + features) * (torch.sigmoid(result) - 0.5)
        made.append(features)
    return encoder.fuse(torch.cat([shallow, encoder.tail(features), made[0], inner], 1))


def _encoder_and_image(layout=torch.channels_last):
    torch.manual_seed(0)
    encoder = SPAN(8, 3).to(memory_format=layout)
    return encoder, torch.rand(2, 3, 9, 7).contiguous(memory_format=layout)


def test_the_fused_layers_give_the_features_of_the_separate_ones_in_any_memory_layout():
    for layout in (torch.channels_last, torch.contiguous_format):
        encoder, image = _encoder_and_image(layout)
        expected = _plain(encoder, image)
        torch.testing.assert_close(encoder(image), expected)
        with torch.inference_mode():
            torch.testing.assert_close(encoder(image), expected)


def test_the_fused_layers_work_in_bfloat16_without_gradients():
    encoder, image = _encoder_and_image()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = encoder(image)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), _plain(encoder, image), atol=0.01, rtol=0.05)


def test_the_image_is_not_changed_in_place():
    encoder, image = _encoder_and_image()
    before = image.clone()
    with torch.inference_mode():
        encoder(image)
    assert torch.equal(image, before)


def test_gradients_of_all_layers_are_those_of_the_separate_ones():
    encoder, image = _encoder_and_image()
    encoder(image).square().sum().backward()
    found = [parameter.grad.clone() for parameter in encoder.parameters()]
    encoder.zero_grad()
    _plain(encoder, image).square().sum().backward()
    for gradient, parameter in zip(found, encoder.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)


def test_a_frozen_encoder_may_feed_layers_that_are_trained():
    encoder, image = _encoder_and_image()
    encoder.requires_grad_(False)
    head = torch.nn.Conv2d(8, 1, 1)
    head(encoder(image)).sum().backward()
    assert head.weight.grad.abs().sum() > 0
