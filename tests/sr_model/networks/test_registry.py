"""A new architecture needs one line in the registry; its name occurs nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from splat2d import GaussianField
from sr_model import PRESETS, Budget, Checkpoint, Preset, load, train, upscale
from sr_model.config.presets import default_preset
from sr_model.config.reference import settings_reference
from sr_model.config.toml import as_toml, configured, read_config
from sr_model.encoders import make_encoder
from sr_model.networks.base import Network, NetworkSettings
from sr_model.networks.registry import (
    ARCHITECTURES,
    Architecture,
    architecture_name,
    build_network,
    needs_prior,
    settings_from,
    with_prior,
)


@dataclass(frozen=True, kw_only=True)
class PlainSettings(NetworkSettings):
    """The settings of a minimal architecture."""

    encoder: Literal["edsr"] = "edsr"
    """Encoder."""
    interpolate: bool = False
    """Not supported."""
    sigma: float = 0.5
    """Standard deviation of every Gaussian, in LR pixels."""


class Plain(Network):
    """A Gaussian of one size at the centre of every LR pixel."""

    conditioned = False

    def __init__(self, settings: PlainSettings, dictionary: Tensor | None = None) -> None:
        super().__init__()
        self.settings, self.sigma = settings, settings.sigma
        self.encoder, self.window, self.bicubic_start = make_encoder(settings, upsampling=1), 1, None
        self.colour = nn.Conv2d(self.encoder.channels, 3, 1)

    def margins(self, extent: int) -> tuple[int, int]:
        return 0, 0

    def forward(self, image: Tensor, scale: float | Tensor | None = None) -> GaussianField:
        colours = self.colour(self.encoder(image)).float()
        batch, _, height, width = colours.shape
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        means = torch.stack([x, y], -1).view(1, -1, 2).expand(batch, -1, -1)
        kernels = torch.tensor([self.sigma, 0, self.sigma]).expand(*means.shape[:2], 3)
        return GaussianField(means, kernels, colours.flatten(2).mT, size=(height, width))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, tiny: Preset) -> Preset:
    """The preset of an architecture that is added by the steps in the registry's docstring."""
    line = Architecture(PlainSettings, Plain, lambda settings, prior: (settings, None), needs_prior=False)
    preset = Preset(PlainSettings(width=4, depth=1, cells=1, margin=0), tiny.train)
    monkeypatch.setitem(ARCHITECTURES, "plain", line)
    monkeypatch.setitem(PRESETS, "plain-demo", preset)
    return preset


def test_a_new_architecture_is_trained_saved_loaded_and_used(
    plain: Preset, photographs: Path, tmp_path: Path, dictionary: Dictionary
) -> None:
    images = list_images(photographs)
    best = train(
        dictionary, images, plain, tmp_path / "run", val=images[:1], budget=Budget(steps=2),
        cache=tmp_path / "cache",
    )  # fmt: skip
    assert Checkpoint.load(best).network == plain.network
    network = load(best, "cpu")
    assert isinstance(network, Plain)
    assert upscale(torch.zeros(5, 6, 3, dtype=torch.uint8).numpy(), 2, model=best).shape == (10, 12, 3)


def test_a_new_architecture_has_settings_files_a_reference_and_a_default(
    plain: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(plain, network=replace(plain.network, sigma=0.7))
    (tmp_path / "a.toml").write_text(as_toml(other))
    assert configured(plain, read_config(tmp_path / "a.toml", []).settings) == other
    assert "## `[network]` of plain" in settings_reference()
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert default_preset("plain") == "plain-demo"


@pytest.mark.parametrize(
    ("preset", "name", "needed"), [("demo", "continuoussr", True), ("gsasr-demo", "gsasr", False)]
)
def test_settings_know_their_architecture_and_whether_it_needs_a_prior(
    preset: str, name: str, needed: bool
) -> None:
    settings = PRESETS[preset].network
    assert architecture_name(settings) == name
    assert needs_prior(settings) == needed


def test_a_missing_prior_is_an_error_only_if_the_architecture_needs_one() -> None:
    with pytest.raises(ValueError, match="continuoussr needs a dictionary of kernels"):
        with_prior(PRESETS["demo"].network, None)
    with pytest.raises(ValueError, match="needs a dictionary, whose kernels it blends"):
        build_network(PRESETS["demo"].network)
    gsasr = PRESETS["gsasr-demo"].network
    assert with_prior(gsasr, None) == (gsasr, None)


def test_settings_of_another_version_are_refused_by_name(tiny: Preset) -> None:
    with pytest.raises(ValueError, match="no architecture newer"):
        settings_from("newer", {})
    with pytest.raises(ValueError, match="no network setting attention"):
        settings_from("continuoussr", {"attention": 1})
