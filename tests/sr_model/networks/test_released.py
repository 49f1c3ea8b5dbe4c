"""Converted checkpoints predict what the released code predicts from the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from released import Released
from torch import Tensor

from sr_model import load
from sr_model.checkpoints.convert_continuoussr import convert_continuoussr
from sr_model.checkpoints.convert_gsasr import convert_gsasr
from sr_model.encoders import fill_windows
from sr_model.networks.gsasr.network import MASS_WITHIN_CUTOFF

TOLERANCE = 1e-4
"""LR pixels, colours, features. Rounding makes up to 8e-5; the misreadings found here made 0.05 and more."""


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_a_converted_continuoussr_predicts_the_released_gaussians(tmp_path: Path) -> None:
    released = Released("continuoussr-swinir")
    convert_continuoussr(released.save_continuoussr(tmp_path / "a.pth"), tmp_path / "a.safetensors")
    model = load(tmp_path / "a.safetensors", "cpu")
    for case in range(4):  # whole windows, and sizes and scales that are not
        field, index = model(released.image(case)), released[f"{case}/index"]
        height, width, *output = released[f"{case}/size"]
        scale = released[f"{case}/scale"].float()
        to_output = torch.stack([output[1] / width, output[0] / height])
        assert_close(field.means[0, index], released[f"{case}/means"] / to_output)
        assert_close(field.cholesky[0, index], released[f"{case}/cholesky"] / scale[[1, 0, 0]])
        assert_close(field.colors[0, index], released[f"{case}/colors"])


@pytest.mark.parametrize(
    ("encoder", "cases"),
    [
        ("edsr", [3]),
        pytest.param("edsr", [0, 1, 2], marks=pytest.mark.slow),
        pytest.param("rdn", [0, 1, 2, 3], marks=pytest.mark.slow),
    ],
)
@torch.no_grad()
def test_a_converted_gsasr_predicts_the_released_gaussians(tmp_path: Path, encoder: str, cases: list[int]):
    released = Released(f"gsasr-{encoder}")
    convert_gsasr(released.save_gsasr(tmp_path / "GSASR"), tmp_path / "a.safetensors")
    model = load(tmp_path / "a.safetensors", "cpu")
    for case in cases:
        image, index = released.image(case), released[f"{case}/index"]
        features = model.encoder(fill_windows(image, model.window))
        assert list(features.shape[2:]) == released[f"{case}/size"][2:].tolist()
        assert_close(features.flatten()[released[f"{case}/feature_index"]], released[f"{case}/features"])
        field = model(image, float(released[f"{case}/scale"]))
        assert_close(field.means[0, index], released[f"{case}/means"])
        l11, l21, l22 = field.cholesky[0, index].unbind(-1)
        covariance = torch.stack([l11**2, l11 * l21, l21**2 + l22**2], -1)
        assert_close(covariance, released[f"{case}/covariance"])
        assert_close(field.colors[0, index] * MASS_WITHIN_CUTOFF, released[f"{case}/colors"])
