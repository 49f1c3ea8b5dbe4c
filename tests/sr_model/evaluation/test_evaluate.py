"""Evaluation reproduces the figures of the literature, and goes on after an image that it cannot measure."""

import errno
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgp_mining.images.reader import ImageError
from sr_model import PROTOCOLS, ContinuousSR, evaluate
from sr_model.checkpoints.checkpoint import load_reference
from sr_model.evaluation import evaluate as evaluation
from sr_model.evaluation.evaluate import Skipped
from sr_model.evaluation.metrics import luma, psnr
from sr_model.evaluation.perceptual import Perceptual
from sr_model.evaluation.protocol import Comparison, mean_score
from sr_model.evaluation.saved_pictures import SavedPictures
from sr_model.image_io.reader import read_eight_bits

SET5 = Path(__file__).parents[4] / "shared" / "images" / "set5"
needs_set5 = pytest.mark.skipif(not SET5.exists(), reason="needs ../shared/images/set5")


@needs_set5
def test_bicubic_reaches_its_published_figures_on_set5(network: ContinuousSR):
    # 33.66/0.9299, 30.39/0.8682, 28.42/0.8104 in the literature (e.g. EDSR, table 2).
    published = {2.0: (33.66, 0.9299), 3.0: (30.39, 0.8682), 4.0: (28.42, 0.8104)}
    scores = list(evaluate(network, SET5 / "HR", list(published), PROTOCOLS["benchmark"]))
    for scale, figures in published.items():
        bicubic = mean_score(one.score for one in scores if one.scale == scale)
        assert bicubic.bicubic_psnr == pytest.approx(figures[0], abs=0.02)
        assert bicubic.bicubic_ssim == pytest.approx(figures[1], abs=0.001)


def test_protocols_differ_where_they_say(network: ContinuousSR, photographs: Path):
    scores = {
        name: mean_score(one.score for one in evaluate(network, photographs, [2.0], protocol))
        for name, protocol in PROTOCOLS.items()
    }
    assert len({score.psnr for score in scores.values()}) == 3
    assert scores["benchmark"] == scores["gsasr"]  # these two differ only above scale 8
    assert scores["continuoussr"].bicubic_psnr != scores["benchmark"].bicubic_psnr


def test_an_image_of_the_size_of_div2k_fits_into_eight_gigabytes(monkeypatch: pytest.MonkeyPatch):
    """At x2, it takes 2.3 GB (resident memory of sr-eval)."""
    monkeypatch.setattr(evaluation, "image_size", lambda path: (1356, 2040))
    monkeypatch.setattr(evaluation, "free_memory", lambda: 8_000_000_000)
    evaluation.check_memory(Path("0801.png"), load_reference(), 2)
    monkeypatch.setattr(evaluation, "free_memory", lambda: 2_000_000_000)
    with pytest.raises(ImageError, match=r"0801\.png has 2040x1356 pixels, which take about 4\.9 GB"):
        evaluation.check_memory(Path("0801.png"), load_reference(), 2)


@needs_set5
def test_of_a_set_with_lr_images_only_the_hr_images_are_measured(network: ContinuousSR, caplog):
    with caplog.at_level(logging.INFO, "sr_model"):
        found = [result.path.name for result in evaluate(network, SET5, 4)]
    assert found == ["baby.png", "bird.png", "butterfly.png", "head.png", "woman.png"]
    assert "those in HR; left out: X2, X3, X4 and X8" in caplog.text


def test_an_image_that_cannot_be_measured_is_named_and_the_others_are_measured(
    network: ContinuousSR, photographs: Path
):
    before = [result.score for result in evaluate(network, photographs, [2.0])]
    (photographs / "0b.png").write_text("no image")
    whole = (photographs / "1.png").read_bytes()
    (photographs / "1b.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (12, 12)).save(photographs / "2b.png")
    skipped: list[Skipped] = []
    results = list(evaluate(network, photographs, [2.0, 16.0], on_skip=skipped.append))
    assert [result.score for result in results] == before
    assert [one.path.name for one in skipped if one.scale is None] == ["0b.png", "1b.png"]
    assert [one.path.name for one in skipped if one.scale == 2.0] == ["2b.png"]
    assert len([one for one in skipped if one.scale == 16.0]) == 5
    for one in skipped:
        assert str(one.path) in one.reason


def test_without_a_callback_the_skipped_image_is_logged(network: ContinuousSR, photographs: Path, caplog):
    (photographs / "0b.png").touch()
    assert len(list(evaluate(network, photographs, 2))) == 4
    assert caplog.messages == [f"skipped: {photographs / '0b.png'} is empty: replace or remove it."]


def test_a_disk_that_fails_for_one_image_does_not_end_the_evaluation(
    network: ContinuousSR, photographs: Path, monkeypatch
):
    def failing(path: Path):
        if path.name == "1.png":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read_eight_bits(path)

    monkeypatch.setattr(evaluation, "read_eight_bits", failing)
    skipped: list[Skipped] = []
    assert len(list(evaluate(network, photographs, 2, on_skip=skipped.append))) == 3
    assert "1.png cannot be read (Input/output error)" in skipped[0].reason


def test_a_network_that_diverged_gives_no_figure(network: ContinuousSR, photographs: Path, monkeypatch):
    """The CPU refuses to render such a field; a GPU renders NaN."""

    def rendered(*arguments) -> Comparison:
        hr = torch.zeros(3, 40, 48)
        return Comparison(hr, torch.full_like(hr, float("nan")), hr)

    torch.nn.init.constant_(next(network.encoder.parameters()), float("nan"))
    with pytest.raises(ImageError, match=r"None of the 4 images can be evaluated: .*0\.png .* finite"):
        list(evaluate(network, photographs, 2))
    monkeypatch.setattr(evaluation, "compare", rendered)
    with pytest.raises(ImageError, match=r"None of the 4 images can be evaluated: .*0\.png .* NaN"):
        list(evaluate(network, photographs, 2))


def test_if_no_image_can_be_measured_the_first_is_named(network: ContinuousSR, photographs: Path):
    with pytest.raises(ImageError, match=r"None of the 4 .*0\.png cannot be evaluated at scale 16"):
        list(evaluate(network, photographs, [16.0], PROTOCOLS["benchmark"]))


def test_a_missing_perceptual_figure_leaves_the_other_figures(network: ContinuousSR, photographs: Path):
    class Half(Perceptual):
        def measure(self, images: Comparison, scale: float):
            return {"dists": (0.1, 0.2)}, {"lpips": "it is nan, and that of bicubic interpolation 0.2"}

    skipped: list[Skipped] = []
    results = list(evaluate(network, photographs, 2, perceptual=Half([]), on_skip=skipped.append))
    assert [result.perceptual for result in results] == 4 * [{"dists": (0.1, 0.2)}]
    assert {one.missing for one in skipped} == {"lpips"}
    assert "0.png has no lpips at scale 2: it is nan" in skipped[0].reason


@pytest.mark.parametrize("scales", [[], [2.0, 0.0], [-1.0], [float("nan")], [float("inf")], ["x4"]])
def test_scales_that_are_not_above_zero_are_one_sentence(scales: list, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scales= must be numbers above 0"):
        evaluate(None, tmp_path, scales)


@needs_set5
def test_the_lr_images_of_set5_give_the_figures_of_our_own_reduction(network: ContinuousSR):
    """They were made by MATLAB, of HR images that were cropped to a multiple of the scale."""
    made = list(evaluate(network, SET5, [2, 3, 4]))
    given = list(evaluate(network, SET5, lr=[SET5 / "X2", SET5 / "X3", SET5 / "X4"]))
    assert [(one.path, one.scale, one.score) for one in given] == [
        (one.path, one.scale, one.score) for one in made
    ]
    assert given[2].lr == SET5 / "X4" / "babyx4.png"
    assert made[2].lr is None


def test_given_lr_images_are_measured_and_not_our_own(
    network: ContinuousSR, photographs: Path, tmp_path: Path
):
    (tmp_path / "X2").mkdir()
    for path in photographs.iterdir():
        Image.new("RGB", (24, 20), "teal").save(tmp_path / "X2" / f"{path.stem}x2.png")
    given = list(evaluate(network, photographs, lr=tmp_path / "X2"))
    flat = Image.new("RGB", (48, 40), "teal")
    for one in given:
        hr = to_tensor(Image.open(one.path))
        assert one.scale == 2
        assert one.score.bicubic_psnr == pytest.approx(luma_psnr(to_tensor(flat), hr, 2), abs=1e-6)


def test_of_pairs_the_scales_asked_for_are_measured(network: ContinuousSR, photographs: Path, tmp_path: Path):
    for scale in (2, 4):
        (tmp_path / f"X{scale}").mkdir()
        for path in photographs.iterdir():
            Image.open(path).resize((48 // scale, 40 // scale)).save(tmp_path / f"X{scale}" / path.name)
    folders = [tmp_path / "X2", tmp_path / "X4"]
    assert [one.scale for one in evaluate(network, photographs, lr=folders)] == 4 * [2, 4]
    assert [one.scale for one in evaluate(network, photographs, [4], lr=folders)] == 4 * [4]
    with pytest.raises(ImageError, match="are of scale 2, 4: leave out"):
        evaluate(network, photographs, [3], lr=folders)


def test_an_hr_image_without_an_lr_image_is_named(network: ContinuousSR, photographs: Path, tmp_path: Path):
    (tmp_path / "X2").mkdir()
    for name in ("0.png", "1.png"):
        Image.open(photographs / name).resize((24, 20)).save(tmp_path / "X2" / name)
    (tmp_path / "X2" / "2.png").write_text("no image")
    skipped: list[Skipped] = []
    results = evaluate(network, photographs, lr=tmp_path / "X2", on_skip=skipped.append)
    assert [one.path.name for one in results] == ["0.png", "1.png"]
    assert any("2.png" in one.reason for one in skipped)
    assert any(f"{photographs / '3.png'} has no LR image" in one.reason for one in skipped)
    whole = (tmp_path / "X2" / "1.png").read_bytes()
    (tmp_path / "X2" / "1.png").write_bytes(whole[: len(whole) // 2])
    skipped.clear()
    results = evaluate(network, photographs, lr=tmp_path / "X2", on_skip=skipped.append)
    assert [one.path.name for one in results] == ["0.png"]
    assert [one.path.name for one in skipped if one.path] == ["1.png"]


def test_several_captures_of_an_image_are_results_of_their_own(
    network: ContinuousSR, photographs: Path, tmp_path: Path
):
    for name in ("0x2w1.png", "0x2w2.png"):
        Image.open(photographs / "0.png").resize((24, 20)).save(tmp_path / name)
    pictures = SavedPictures(tmp_path / "saved", "net")
    results = list(evaluate(network, [photographs / "0.png"], lr=tmp_path, save=pictures))
    assert [one.capture for one in results] == ["0x2w1.png", "0x2w2.png"]
    found = sorted(path.name for path in (tmp_path / "saved").iterdir())
    assert found == ["0_0x2w1_x2_net.png", "0_0x2w2_x2_net.png"]


@pytest.mark.parametrize("protocol", ["benchmark", "continuoussr"])
def test_a_saved_picture_has_the_psnr_that_was_measured(
    network: ContinuousSR, photographs: Path, tmp_path: Path, protocol: str
):
    (photographs / "HR").mkdir()
    for path in list(photographs.glob("*.png")):
        path.rename(photographs / "HR" / path.name)
    pictures = SavedPictures(tmp_path / "saved", "net", bicubic=True)
    results = list(evaluate(network, photographs, [2, 3.5], protocol, save=pictures))
    assert len(list((tmp_path / "saved").iterdir())) == 2 * len(results) == 16
    for one in results:
        start = f"{tmp_path}/saved/{one.path.stem}_x{one.scale:g}"
        upscaled, enlarged = (to_tensor(Image.open(f"{start}_{what}.png")) for what in ("net", "bicubic"))
        hr = to_tensor(Image.open(one.path))[:, : upscaled.shape[1], : upscaled.shape[2]]
        shave = math.ceil(one.scale)
        rounding = 1e-9 if protocol == "benchmark" else 0.2  # the former rounds to 8 bits, as the file does
        assert luma_psnr(upscaled, hr, shave) == pytest.approx(one.score.psnr, abs=rounding)
        assert luma_psnr(enlarged, hr, shave) == pytest.approx(one.score.bicubic_psnr, abs=1e-9)


def test_pictures_are_named_after_the_checkpoint(
    checkpoint: Path, network: ContinuousSR, photographs: Path, tmp_path: Path
):
    for model in (checkpoint, network):
        assert len(list(evaluate(model, photographs, 2, save=tmp_path / "saved"))) == 4
    found = sorted(path.name for path in (tmp_path / "saved").glob("0_*"))
    assert found == ["0_x2_model.png", "0_x2_network.png"]
    with pytest.raises(ImageError, match=r"0_x2_network\.png and 3 more exist already"):
        evaluate(network, photographs, 2, save=tmp_path / "saved")


def test_a_picture_that_cannot_be_saved_costs_no_figure(
    network: ContinuousSR, photographs: Path, tmp_path: Path, monkeypatch
):
    def full(target, bands):
        raise ImageError(f"{target.path} cannot be written (No space left on device).")

    monkeypatch.setattr("sr_model.evaluation.saved_pictures.write_image", full)
    skipped: list[Skipped] = []
    pictures = SavedPictures(tmp_path / "saved", "net")
    assert len(list(evaluate(network, photographs, 2, save=pictures, on_skip=skipped.append))) == 4
    assert [one.missing for one in skipped] == 4 * ["picture"]
    assert "saved/0_x2_net.png cannot be written (No space left" in skipped[0].reason


def to_tensor(image: Image.Image) -> torch.Tensor:  # [3, H, W] in [0, 1]
    return torch.from_numpy(np.asarray(image.convert("RGB"), np.float32) / 255).permute(2, 0, 1)


def luma_psnr(image: torch.Tensor, hr: torch.Tensor, shave: int) -> float:
    inside = (..., slice(shave, -shave), slice(shave, -shave))
    return psnr(luma(image.double())[inside], luma(hr.double())[inside])
