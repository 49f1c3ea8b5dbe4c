"""Evaluation reproduces the figures of the literature, and names an image that it cannot measure."""

from pathlib import Path

import pytest

from dgp_mining.images.reader import ImageError
from sr_model import PROTOCOLS, ContinuousSR, evaluate
from sr_model.evaluation.protocol import mean_score

SET5 = Path(__file__).parents[4] / "shared" / "images" / "set5"
needs_set5 = pytest.mark.skipif(not SET5.exists(), reason="needs ../shared/images/set5")


@needs_set5
def test_bicubic_reaches_its_published_figures_on_set5(network: ContinuousSR):
    # 33.66/0.9299, 30.39/0.8682, 28.42/0.8104 in the literature (e.g. EDSR, table 2).
    published = {2.0: (33.66, 0.9299), 3.0: (30.39, 0.8682), 4.0: (28.42, 0.8104)}
    scores = list(evaluate(network, SET5 / "HR", list(published), PROTOCOLS["benchmark"]))
    for scale, (psnr, ssim) in published.items():
        bicubic = mean_score(one.score for one in scores if one.scale == scale)
        assert bicubic.bicubic_psnr == pytest.approx(psnr, abs=0.02)
        assert bicubic.bicubic_ssim == pytest.approx(ssim, abs=0.001)


def test_protocols_differ_where_they_say(network: ContinuousSR, photographs: Path):
    scores = {
        name: mean_score(one.score for one in evaluate(network, photographs, [2.0], protocol))
        for name, protocol in PROTOCOLS.items()
    }
    assert len({score.psnr for score in scores.values()}) == 3
    assert scores["benchmark"] == scores["gsasr"]  # these two differ only above scale 8
    assert scores["continuoussr"].bicubic_psnr != scores["benchmark"].bicubic_psnr


def test_an_image_too_small_to_measure_is_named(network: ContinuousSR, photographs: Path):
    with pytest.raises(ImageError, match=r"0\.png cannot be evaluated at scale 16"):
        list(evaluate(network, photographs, [16.0], PROTOCOLS["benchmark"]))


@pytest.mark.parametrize("scales", [[], [2.0, 0.0], [-1.0], [float("nan")], [float("inf")], ["x4"]])
def test_scales_that_are_not_above_zero_are_one_sentence(scales: list, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scales= must be numbers above 0"):
        evaluate(None, tmp_path, scales)
