"""What limits additions sees exactly the pixels around each pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sr_model.networks.continuoussr.flatness import REACH, largest_around


def test_thelargest_around_value_around_a_pixel_is_that_of_a_square_within_the_image():
    image = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(largest_around(image), F.max_pool2d(image, 2 * REACH + 1, stride=1, padding=REACH))
