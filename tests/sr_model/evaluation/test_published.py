"""Published figures are read from a file in which each has a source and a protocol."""

import math
import re

import pytest

from sr_model import PROTOCOLS
from sr_model.evaluation.benchmark_sets import BENCHMARK_SETS
from sr_model.evaluation.perceptual import METRICS
from sr_model.evaluation.protocol import with_border
from sr_model.evaluation.published import UNSTATED, published


def test_every_figure_has_a_known_set_metric_and_protocol_and_a_source():
    assert published()
    for row in published():
        assert row.set in {one.name for one in BENCHMARK_SETS}
        assert row.protocol in {*PROTOCOLS, UNSTATED}
        assert row.figures.keys() <= {"psnr", "ssim", *METRICS}
        assert re.fullmatch(r"\d{4}\.\d{5}", row.source.arxiv)
        assert row.source.url.startswith("https://")


def test_figures_are_in_the_range_of_their_metric():
    ranges = {"psnr": (15, 50), "ssim": (0.3, 1), "lpips": (0, 1), "dists": (0, 1), "fid": (0, 300)}
    for row in published():
        for metric, value in row.figures.items():
            low, high = ranges[metric]
            assert low < value < high, (row, metric)
            assert math.isfinite(value)


def test_no_method_has_two_figures_for_the_same_thing():
    keys = [(row.set, row.scale, row.method, metric) for row in published() for metric in row.figures]
    assert len(keys) == len(set(keys))


def test_both_papers_are_there_and_what_is_quoted_says_so():
    by_paper = {row.source.arxiv: row.source for row in published()}
    assert by_paper["2501.06838"].quoted is False
    assert by_paper["2503.06617"].quoted is True


@pytest.mark.parametrize(
    ("ours", "same"), [("benchmark", True), ("gsasr", True), ("continuoussr", False), ("div2k", False)]
)
def test_figures_compare_only_within_a_protocol(ours: str, same: bool):
    gsasr = next(row for row in published() if row.protocol == "gsasr")
    assert gsasr.scale == 4
    assert gsasr.comparable(PROTOCOLS[ours]) is same
    assert not gsasr.comparable(with_border("gsasr", "replicate"))


def test_a_protocol_that_is_not_stated_compares_with_none():
    (row,) = [row for row in published() if row.protocol == UNSTATED]
    assert not any(row.comparable(protocol) for protocol in PROTOCOLS.values())
