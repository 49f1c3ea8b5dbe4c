"""Encoders have the published structures, counted by hand, and take images of any size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dgp_mining.prior.dictionary import Dictionary
from sr_model import PRESETS, ContinuousSR, ContinuousSRSettings
from sr_model.encoders import EDSR, HAT, RDN, RLFN, SAFMN, SPAN, Encoder, SwinIR, make_encoder


def parameters(make) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in make().parameters())


def conv(inputs: int, outputs: int, side: int = 3) -> int:
    return inputs * outputs * side**2 + outputs


def linear(inputs: int, outputs: int) -> int:
    return conv(inputs, outputs, 1)


def image_from(width: int, factor: int) -> int:
    """Parameters of an upsampler and of the convolution to three channels, which encoders lack."""
    return {2: 1, 4: 2}[factor] * conv(width, 4 * width) + conv(width, 3)


# Published, in millions: EDSR-PyTorch's table (EDSR-baseline x2 1.37 and x4 1.52, EDSR x2 40.7 and x4 43.1);
# SwinIR's README (11.9 at x4); comparisons that list HAT (20.8), HAT-L (40.8). RDN's 22.1 at x2 and those of
# SPAN, RLFN and SAFMN are widely quoted, but no source by their authors was at hand to check them. A
# transformer here has its upsampler, others have none.
@pytest.mark.parametrize(
    ("make", "beyond", "published"),
    [
        (lambda: EDSR(64, 16), image_from(64, 2), 1.37),
        (lambda: EDSR(64, 16), image_from(64, 4), 1.52),
        (lambda: EDSR(256, 32, 0.1), image_from(256, 2), 40.7),
        (lambda: EDSR(256, 32, 0.1), image_from(256, 4), 43.1),
        (lambda: RDN(64, 16), image_from(64, 2), 22.1),
        (lambda: SPAN(52, 6), conv(52, 3 * 4), 0.481),
        (lambda: SPAN(52, 6), conv(52, 3 * 16), 0.498),
        (lambda: RLFN(52, 6), conv(52, 3 * 4), 0.53),
        (lambda: RLFN(52, 6), conv(52, 3 * 16), 0.54),
        (lambda: RLFN(48, 6), conv(48, 3 * 4), 0.45),
        (lambda: RLFN(48, 6), conv(48, 3 * 16), 0.47),
        (lambda: SAFMN(36, 8), conv(36, 3 * 4), 0.228),
        (lambda: SAFMN(36, 8), conv(36, 3 * 16), 0.240),
        (lambda: SAFMN(128, 16), conv(128, 3 * 16), 5.60),
        (lambda: SwinIR(180, 6, 4), conv(64, 3), 11.9),
        (lambda: HAT(180, 6, 4), conv(64, 3), 20.8),
        (lambda: HAT(180, 12, 4), conv(64, 3), 40.8),
    ],
)
def test_whole_networks_have_the_published_number_of_parameters(make, beyond, published):
    decimals = len(str(published).split(".")[1])
    assert round((parameters(make) + beyond) / 1e6, decimals) == published


def test_parameters_are_those_counted_layer_by_layer():
    assert parameters(lambda: EDSR(64, 16)) == conv(3, 64) + 32 * conv(64, 64) + conv(64, 64) == 1_220_416

    dense = sum(conv(64 * (1 + before), 64) for before in range(8)) + conv(64 * 9, 64, 1)
    rdn = conv(3, 64) + conv(64, 64) + 16 * dense + conv(16 * 64, 64, 1) + conv(64, 64)
    assert parameters(lambda: RDN(64, 16)) == rdn

    def attention(offsets: int) -> int:
        norms, heads = 2 * 2 * 180, 6
        mlp = linear(180, 360) + linear(360, 180)
        return norms + offsets**2 * heads + linear(180, 540) + linear(180, 180) + mlp

    frame = conv(3, 180) + 2 * 2 * 180 + conv(180, 180) + conv(180, 64) + 2 * conv(64, 256)
    assert parameters(lambda: SwinIR(180, 6, 4)) == frame + 6 * (6 * attention(15) + conv(180, 180))
    hybrid = attention(31) + conv(180, 60) + conv(60, 180) + conv(180, 6, 1) + conv(6, 180, 1)
    group = 6 * hybrid + attention(39) + conv(180, 180)
    assert parameters(lambda: HAT(180, 6, 4)) == frame + 6 * group
    assert parameters(lambda: HAT(180, 12, 4)) == frame + 12 * group


def settings(tiny_network: ContinuousSRSettings, encoder: str) -> ContinuousSRSettings:
    width = {"swinir": 12, "hat": 30}.get(encoder, 8)
    return replace(tiny_network, encoder=encoder, width=width)


@pytest.mark.parametrize("encoder", ["edsr", "rdn", "span", "rlfn", "safmn", "swinir", "hat"])
def test_an_encoder_keeps_to_what_it_says_of_itself(tiny, encoder):
    made = make_encoder(settings(tiny.network, encoder), upsampling=4)
    assert isinstance(made, Encoder)
    side = made.window
    with torch.no_grad():
        features = made(torch.rand(2, 3, side, 2 * side))
    assert features.shape == (2, made.channels, made.upsampling * side, 2 * made.upsampling * side)


@pytest.mark.parametrize("encoder", ["edsr", "rdn", "span", "rlfn", "safmn", "swinir", "hat"])
def test_encoders_compute_in_bfloat16_what_they_compute_in_float32(tiny, encoder):
    torch.manual_seed(0)
    made = make_encoder(settings(tiny.network, encoder), upsampling=4).requires_grad_(False)
    image = torch.rand(1, 3, made.window, 2 * made.window)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = made(image)
    expected = made(image)
    assert rounded.dtype == torch.bfloat16
    assert (rounded - expected).abs().max() < 0.03 * expected.abs().max()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("encoder", ["edsr", "rdn", "span", "rlfn", "safmn", "swinir", "hat"])
def test_encoders_compute_the_same_on_gpu_and_cpu(tiny, encoder):
    made = make_encoder(settings(tiny.network, encoder), upsampling=4).requires_grad_(False)
    image = torch.rand(2, 3, 2 * made.window, 4 * made.window)
    expected = made(image)
    found = made.cuda()(image.cuda()).cpu()
    assert (found - expected).abs().max() < 5e-3 * expected.abs().max()  # TF32 may be on


@pytest.mark.parametrize("cells", [1, 2, 3])
@pytest.mark.parametrize("encoder", ["edsr", "rdn", "span", "rlfn", "safmn", "swinir", "hat"])
def test_every_encoder_serves_one_four_and_nine_gaussians_per_pixel(
    tiny, dictionary: Dictionary, encoder, cells
):
    network = ContinuousSR(
        replace(settings(tiny.network, encoder), cells=cells), torch.tensor(dictionary.cholesky)
    )
    with torch.no_grad():
        field = network(torch.rand(2, 3, 5, 7))
    margin = 2 * tiny.network.margin
    assert field.means.shape == (2, cells**2 * (5 + margin) * (7 + margin), 2)


def test_the_encoders_of_the_presets_are_the_papers():
    for name, kind in (("paper", SwinIR), ("paper-plus", HAT)):
        with torch.device("meta"):
            encoder = make_encoder(PRESETS[name].network, upsampling=4)
        assert isinstance(encoder, kind)
        assert encoder.shallow.out_channels == 180
        assert encoder.upsampling == 4
