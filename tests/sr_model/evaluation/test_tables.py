"""A report gives the means of its results, strict JSON, and tables as papers print them."""

import json
import math
from pathlib import Path

import pytest

from sr_model.evaluation.evaluate import Result, Skipped
from sr_model.evaluation.protocol import Score
from sr_model.evaluation.tables import EvaluationReport


@pytest.fixture
def report() -> EvaluationReport:
    made = EvaluationReport("runs/best.safetensors", "Set5", "benchmark")
    for name, psnr in (("a.png", 30.0), ("b.png", 32.0)):
        for scale in (2.0, 4.5):
            score = Score(psnr - scale, 0.9, 28.0 - scale, 0.8)
            made.add(name, Result(Path(name), scale, score, {"lpips": (psnr / 100, 0.5)}))
    made.set_metrics = {"x2": {"fid": (10.0, 20.0)}, "x4.5": {"fid": (11.0, 21.0)}}
    made.cost = {"macs": 1_234_000_000, "memory": 5_600_000, "seconds": {"21x13": 0.00123}}
    return made


def test_means_are_over_images(report):
    assert report.means()["x2"] == Score(29.0, pytest.approx(0.9), 26.0, pytest.approx(0.8))
    assert report.perceptual_means()["x4.5"] == {"lpips": (pytest.approx(0.31), 0.5), "fid": (11.0, 21.0)}


def test_the_table_is_the_papers(report):
    assert (
        report.markdown()
        == """\
PSNR (dB) / SSIM on Set5, 2 images, protocol `benchmark`

| method | x2 | x4.5 |
| --- | --- | --- |
| bicubic | 26.00 / 0.8000 | 23.50 / 0.8000 |
| runs/best.safetensors | 29.00 / 0.9000 | 26.50 / 0.9000 |

LPIPS (lower is better)

| method | x2 | x4.5 |
| --- | --- | --- |
| bicubic | 0.5000 | 0.5000 |
| runs/best.safetensors | 0.3100 | 0.3100 |

FID (lower is better)

| method | x2 | x4.5 |
| --- | --- | --- |
| bicubic | 20.0000 | 21.0000 |
| runs/best.safetensors | 10.0000 | 11.0000 |

| cost | runs/best.safetensors |
| --- | --- |
| multiply-adds of encoding 64x64 | 1.23 G |
| memory of 48x48 at x4 | 5.6 MB |
| average time of 21x13 over 45 scales, x4 to x48 | 1.23 ms |"""
    )


def test_json_is_strict_even_where_a_copy_is_perfect(report):
    report.add("c.png", Result(Path("c.png"), 2.0, Score(math.inf, 1.0, 30.0, 0.9), {"lpips": (0.0, 0.1)}))
    again = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert again["images"]["c.png"]["x2"]["psnr"] is None
    assert again["images"]["a.png"]["x2"]["psnr"] == 28.0
    assert again["perceptual"]["mean"]["x2"]["fid"] == [10.0, 20.0]


def test_a_mean_is_over_the_images_that_have_a_figure(report):
    report.add("c.png", Result(Path("c.png"), 2.0, Score(40.0, 1.0, 30.0, 0.9), {}))
    assert report.counts() == {"x2": 3, "x4.5": 2}
    assert "3 images at x2, 2 images at x4.5" in report.markdown()
    assert report.perceptual_means()["x2"]["lpips"][0] == pytest.approx(0.31)


def test_what_was_skipped_is_in_the_json(report):
    report.skipped = [
        Skipped(Path("Set5/d.png"), None, None, "Set5/d.png is empty."),
        Skipped(Path("Set5/a.png"), 2.0, "dists", "Set5/a.png has no dists."),
    ]
    assert report.as_dict()["skipped"] == [
        {"image": "d.png", "scale": None, "missing": None, "reason": "Set5/d.png is empty."},
        {"image": "a.png", "scale": "x2", "missing": "dists", "reason": "Set5/a.png has no dists."},
    ]


def test_the_image_that_makes_a_mean_infinite_is_named(report):
    assert list(report.infinite()) == []
    report.add("flat.png", Result(Path("flat.png"), 2.0, Score(math.inf, 1.0, 30.0, 0.9), {}))
    (sentence,) = report.infinite()
    assert sentence.startswith("flat.png at x2: the network's result equals the image")
