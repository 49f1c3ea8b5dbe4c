"""What an earlier release converted wrongly is put right when it is read; what it trained is left alone."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import pytest

from sr_model import PRESETS, Checkpoint, load
from sr_model.checkpoints.checkpoint import FORMAT
from sr_model.checkpoints.tensor_file import write_tensors
from sr_model.networks.base import NetworkSettings

CONVERTED = {"converted": {"from": "released.pth", "encoder": "of some layout"}}


def file_of_0_1_0(path: Path, preset: str, setting: str, notes: dict, **changes: object) -> Path:
    network = asdict(PRESETS[preset].network) | changes
    del network[setting]
    header = {"architecture": preset.split("-")[0].replace("paper", "continuoussr"), "network": network}
    write_tensors(path, {}, FORMAT, header | notes)
    return path


def settings(path: Path) -> NetworkSettings:
    return Checkpoint.load(path).network


def test_converted_files_get_the_released_behaviour_with_a_warning(tmp_path: Path, caplog) -> None:
    path = file_of_0_1_0(tmp_path / "a.safetensors", "paper", "activated_offsets", CONVERTED)
    with caplog.at_level(logging.WARNING, "sr_model"):
        assert settings(path).activated_offsets
    assert "a.safetensors" in caplog.text
    assert "convert it again" in caplog.text
    path = file_of_0_1_0(tmp_path / "b.safetensors", "gsasr-paper", "long_skip", CONVERTED)
    with caplog.at_level(logging.WARNING, "sr_model"):
        assert not settings(path).long_skip
    assert "b.safetensors" in caplog.text


def test_what_was_converted_rightly_is_not_warned_of(tmp_path: Path, caplog) -> None:
    path = file_of_0_1_0(tmp_path / "a.safetensors", "gsasr-paper", "long_skip", CONVERTED, encoder="rdn")
    assert settings(path).long_skip
    Checkpoint(PRESETS["paper"].network, None, {}, CONVERTED).save(tmp_path / "b.safetensors")
    assert settings(tmp_path / "b.safetensors") == PRESETS["paper"].network
    assert not caplog.text


@pytest.mark.parametrize(
    ("preset", "setting", "ours"), [("paper", "activated_offsets", False), ("gsasr-paper", "long_skip", True)]
)
def test_networks_trained_here_keep_their_behaviour(tmp_path: Path, caplog, preset, setting, ours) -> None:
    path = file_of_0_1_0(tmp_path / "a.safetensors", preset, setting, {"step": 7})
    assert getattr(settings(path), setting) is ours
    assert not caplog.text


def test_the_reference_model_is_read_as_it_was_trained() -> None:
    reference = load(Path(__file__).parents[3] / "data/models/reference.safetensors", "cpu").settings
    assert (reference.activated_offsets, reference.long_skip) == (False, True)
