"""Presets are found by their names, and by their names of the last release."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sr_model import PRESETS
from sr_model.config.presets import default_preset, find_preset
from sr_model.config.toml import read_config


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_is_found_by_its_name(name: str) -> None:
    assert find_preset(name) is PRESETS[name]


def test_a_name_of_the_last_release_works_with_a_warning() -> None:
    with pytest.warns(FutureWarning, match="fast is called light now"):
        assert find_preset("fast") is PRESETS["light"]


def test_an_unknown_name_is_refused_with_all_that_exist() -> None:
    with pytest.raises(ValueError, match=r"no preset 'tiny': .*demo, light, span, paper"):
        find_preset("tiny")


def test_a_file_with_a_name_of_the_last_release_works_with_a_line(tmp_path: Path, caplog) -> None:
    (tmp_path / "a.toml").write_text('preset = "fast"')
    with caplog.at_level(logging.WARNING, "sr_model"):
        assert read_config(tmp_path / "a.toml", ["preset"]).options == {"preset": "light"}
    assert "fast is called light now" in caplog.text
    assert "a.toml" in caplog.text


@pytest.mark.parametrize(
    ("arch", "names"), [("continuoussr", ("demo", "paper")), ("gsasr", ("gsasr-demo", "gsasr-paper"))]
)
def test_the_default_is_the_papers_on_a_gpu_and_the_demo_elsewhere(monkeypatch, arch, names) -> None:
    for gpu, name in zip((False, True), names, strict=True):
        monkeypatch.setattr("torch.cuda.is_available", lambda gpu=gpu: gpu)
        assert default_preset(arch) == name
