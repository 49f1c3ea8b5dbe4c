"""An ensemble is the mean over eight flips and turns, whatever the scale, the network and the memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from random_weights import FLAT, random_continuoussr, random_gsasr

from dgp_mining.images.reader import ImageError
from splat2d import GaussianField
from sr_model import PROTOCOLS, upscale
from sr_model.evaluation.protocol import compare, low_resolution, with_ensemble
from sr_model.image_io.reader import read_source_image
from sr_model.networks.base import Network
from sr_model.upscaling.encoding import Encoding, encode_layers, ensemble_bytes
from sr_model.upscaling.ensemble import TURNS, Turn, one_field
from sr_model.upscaling.field_file import load_field
from sr_model.upscaling.files import UpscaleRequest, upscale_file
from sr_model.upscaling.tiling import TooLarge


@pytest.fixture(params=["sums", "normalised", "gsasr"])
def any_network(request, dictionary, tiny_gsasr) -> Network:
    if request.param == "gsasr":
        return random_gsasr(tiny_gsasr.network, 0.05)
    return random_continuoussr(dictionary, **(FLAT if request.param == "normalised" else {}))


def faint(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Noise around grey, [H, W, C] float32, which no network raises above 1 or lowers below 0."""
    random = np.random.default_rng(0)
    return (0.5 + 0.04 * random.normal(size=(height, width, channels))).astype(np.float32)


def back(turn: Turn, image: np.ndarray) -> np.ndarray:
    """Turn a turned image back."""
    image = image[::-1] if turn.upside_down else image
    image = image[:, ::-1] if turn.left_right else image
    return image.swapaxes(0, 1) if turn.transposed else image


def mean_of_turns(image: np.ndarray, size: tuple[int, int], network: Network) -> np.ndarray:
    """The definition: each turned image is upscaled and turned back."""
    results = []
    for turn in TURNS:
        turned = size[::-1] if turn.transposed else size
        results.append(back(turn, upscale(turn.of_image(image), size=turned, model=network)))
    return np.mean(results, axis=0, dtype=np.float64)


def test_the_eight_turns_are_all_symmetries_of_a_square():
    image = np.arange(9).reshape(3, 3)
    assert len({turn.of_image(image).tobytes() for turn in TURNS}) == 8
    for turn in TURNS:
        assert np.array_equal(back(turn, turn.of_image(image)), image)


@pytest.mark.parametrize("size", [(22, 26), (41, 48), (22, 39), (6, 5)])
def test_an_ensemble_is_the_mean_of_eight_results(any_network, size):
    image = faint(11, 13)
    found = upscale(image, size=size, model=any_network, ensemble=True)
    assert found.shape == (*size, 3)
    assert np.abs(found - mean_of_turns(image, size, any_network)).max() < 2e-3
    assert np.abs(found - upscale(image, size=size, model=any_network)).max() > 2.5e-3


def test_a_field_is_turned_back_exactly():
    torch.manual_seed(0)
    cholesky = torch.rand(1, 60, 3) + 0.3
    cholesky[..., 1] -= 0.8
    field = GaussianField(12 * torch.rand(1, 60, 2), cholesky, torch.randn(1, 60, 2), (9, 12))
    drawn = field.render((27, 24))[0].permute(1, 2, 0).numpy()
    for turn in TURNS:
        size = (24, 27) if turn.transposed else (27, 24)
        turned = replace(field, size=(12, 9) if turn.transposed else (9, 12))
        there, again = turned.render(size)[0].permute(1, 2, 0).numpy(), turn.back(turned).render((27, 24))
        assert turn.back(turned).size == (9, 12)
        assert np.abs(back(turn, there) - again[0].permute(1, 2, 0).numpy()).max() < 0.02
    assert np.array_equal(TURNS[0].back(field).render((27, 24))[0].permute(1, 2, 0).numpy(), drawn)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_layers_of_grey_and_alpha_are_averaged_alike(dictionary, channels):
    network, image = random_continuoussr(dictionary, **FLAT), faint(9, 8, channels)
    found = upscale(image, 3, model=network, ensemble=True)
    assert np.abs(found - mean_of_turns(image, (27, 24), network)).max() < 2e-3


def test_a_saved_field_of_sums_is_the_mean_and_one_of_quotients_is_refused(dictionary, tmp_path):
    Image.fromarray((255 * faint(9, 8)).astype(np.uint8)).save(tmp_path / "a.png")
    field, made = tmp_path / "a.safetensors", tmp_path / "b.png"
    request = UpscaleRequest(3.0, ensemble=True, save_field=field)
    sums = random_continuoussr(dictionary)
    upscale_file(tmp_path / "a.png", made, request, sums)
    pixels = read_source_image(tmp_path / "a.png").pixels
    expected = upscale(pixels, 3, model=sums, ensemble=True)
    assert np.abs(read_source_image(made).pixels.astype(int) - expected).max() <= 1
    assert load_field(field).field.means.shape[1] == 8 * 4 * 11 * 10
    upscale_file(field, tmp_path / "c.png", UpscaleRequest(3.0), None)
    assert np.abs(read_source_image(tmp_path / "c.png").pixels.astype(int) - expected).max() <= 1

    (tmp_path / "b.png").unlink()
    field.unlink()
    with pytest.raises(ImageError, match=r"a\.png cannot be upscaled: the mean of an ensemble.*ensemble="):
        upscale_file(tmp_path / "a.png", made, request, random_continuoussr(dictionary, **FLAT))
    assert not field.exists()
    assert not made.exists()


def test_normalised_fields_make_no_one_field():
    parts = torch.ones(1, 2, 2), torch.ones(1, 2, 3), torch.ones(1, 2, 3)
    field = GaussianField(*parts, (4, 4), normalised=True)
    assert one_field([field]) is field
    with pytest.raises(ValueError, match="is not a field"):
        one_field([field, field])


def test_a_saved_field_is_not_encoded_again(network, tmp_path):
    field = GaussianField(torch.ones(1, 2, 2), torch.ones(1, 2, 3), torch.ones(1, 2, 3), (4, 4))
    field.save(tmp_path / "a.safetensors")
    for request in (UpscaleRequest(2.0, ensemble=True), UpscaleRequest(2.0, wrap="x")):
        with pytest.raises(ImageError, match="it is a saved field: give ensemble= and wrap= when"):
            upscale_file(tmp_path / "a.safetensors", tmp_path / "a.png", request, network)


@pytest.mark.parametrize("scale", [2.0, 0.5])
def test_an_ensemble_larger_than_memory_is_drawn_in_strips(dictionary, tmp_path, monkeypatch, scale):
    network = random_continuoussr(dictionary, **FLAT)
    pixels = (255 * faint(400, 12, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    size, told = (round(400 * scale), round(12 * scale)), []
    memory = ensemble_bytes(network, (280, 12), 4)
    assert ensemble_bytes(network, (400, 12), 4) > memory
    monkeypatch.setattr("sr_model.upscaling.files.check_target", lambda *arguments: None)
    upscale_file(
        tmp_path / "a.png",
        tmp_path / "b.png",
        UpscaleRequest(size=size, ensemble=True, memory=memory),
        network,
        lambda *step: told.append(step),
    )
    strips = {activity.partition(", ")[2] for activity, _ in told}
    assert len(strips) > 2
    expected = upscale(pixels, size=size, model=network, ensemble=True)
    assert np.abs(read_source_image(tmp_path / "b.png").pixels.astype(int) - expected).max() <= 1


def test_an_ensemble_for_which_there_is_no_memory_at_all_is_one_sentence(dictionary):
    network, image = random_continuoussr(dictionary), faint(20, 20)
    with pytest.raises(TooLarge, match=r"eight turns of 20x20 pixels.*memory= allows.*leave out ensemble="):
        encode_layers(image, network, Encoding(memory=10_000, ensemble=True))


def test_progress_goes_once_through_all_turns(dictionary, tmp_path):
    network, told = random_continuoussr(dictionary), []
    Image.fromarray((255 * faint(20, 20)).astype(np.uint8)).save(tmp_path / "a.png")
    request = UpscaleRequest(2.0, ensemble=True)
    upscale_file(tmp_path / "a.png", tmp_path / "b.png", request, network, lambda *step: told.append(step))
    encoding = [part for what, part in told if what == "encoding"]
    assert encoding == pytest.approx([n / 8 for n in range(1, 9)])
    assert told[-1] == ("rendering", 1.0)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("scale", [2.0, 3.7])
def test_what_sr_eval_measures_is_what_upscale_makes(any_network, scale, grey):
    hr = torch.from_numpy((255 * faint(44, 51)).astype(np.uint8)).permute(2, 0, 1)
    hr = hr[:1].expand(3, -1, -1) if grey else hr
    lr, cropped = low_resolution(hr, scale, "matlab")
    size = (cropped.shape[1], cropped.shape[2])
    for protocol in (PROTOCOLS["benchmark"], with_ensemble("benchmark")):
        found = compare(any_network, hr, scale, protocol).network
        pixels = lr.permute(1, 2, 0).numpy()
        made = upscale(pixels, size=size, model=any_network, ensemble=protocol.ensemble)
        assert np.array_equal((found * 255).round().byte().permute(1, 2, 0).numpy(), made)
        assert not grey or (made == made[..., :1]).all()
