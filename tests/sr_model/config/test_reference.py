"""The reference of settings lists each of them, and is up to date with the code."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from sr_model import ContinuousSRSettings, GSASRSettings, TrainSettings
from sr_model.config.reference import field_docstrings, settings_reference
from sr_model.degradation import Degradation, Noise, Rain

COMMITTED = Path(__file__).parents[3] / "sr_model" / "SETTINGS.md"


def test_the_committed_reference_is_up_to_date() -> None:
    assert COMMITTED.read_text() == settings_reference(), (
        "run: python -m sr_model.config.reference > sr_model/SETTINGS.md"
    )


@pytest.mark.parametrize(
    "settings", [ContinuousSRSettings, GSASRSettings, TrainSettings, Degradation, Rain, Noise]
)
def test_every_setting_has_a_docstring_and_a_row(settings) -> None:
    meanings, reference = field_docstrings(settings), settings_reference()
    assert {field.name for field in fields(settings)} <= meanings.keys()
    for field in fields(settings):
        assert f"| `{field.name}` |" in reference
        assert meanings[field.name] in reference


def test_a_subclass_may_describe_a_field_anew() -> None:
    assert "without upsampling" in field_docstrings(GSASRSettings)["encoder"]
    assert field_docstrings(GSASRSettings)["width"] == field_docstrings(ContinuousSRSettings)["width"]
