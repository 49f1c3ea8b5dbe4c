"""A Python function that a settings file names is run only if the command line allows it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from sr_model import PRESETS
from sr_model.cli.train import main as sr_train
from sr_model.config.toml import ConfigError, configured, read_config

SPELLINGS = (
    '[training]\ndegradation.custom = "os:system"',
    '[training.degradation]\ncustom = "os:system"',
    'training = {degradation = {custom = "os:system"}}',
    '[training]\n"degradation"."custom" = "os:system"',
)
ASKED = r"a\.toml: training\.degradation\.custom names a Python function, os:system, .*allow_custom=True\."


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_file_may_not_name_a_function_unless_it_is_allowed(tmp_path: Path, text):
    (tmp_path / "a.toml").write_text(text)
    settings = read_config(tmp_path / "a.toml", []).settings
    with pytest.raises(ConfigError, match=ASKED):
        configured(PRESETS["demo"], settings)
    with pytest.raises(ConfigError, match=ASKED):
        configured(PRESETS["demo"], settings, ["training.batch=4"])
    allowed = configured(PRESETS["demo"], settings, allow_custom=True)
    assert allowed.train.degradation.custom == "os:system"


def test_an_option_may_name_one_in_place_of_that_of_a_file_or_turn_it_off(tmp_path: Path):
    (tmp_path / "a.toml").write_text(SPELLINGS[0])
    settings = read_config(tmp_path / "a.toml", []).settings
    for value, custom in (("mine:f", "mine:f"), ("none", None)):
        override = f"training.degradation.custom={value}"
        assert configured(PRESETS["demo"], settings, [override]).train.degradation.custom == custom
    (tmp_path / "a.toml").write_text('[training]\ndegradation.custom = "none"')
    assert configured(PRESETS["demo"], read_config(tmp_path / "a.toml", []).settings) == PRESETS["demo"]


def test_sr_train_runs_nothing_that_a_file_names_but_with_its_option(tmp_path: Path, monkeypatch):
    (tmp_path / "planted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (tmp_path / "a.toml").write_text('[training]\ndegradation.custom = "planted:f"')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    common = ["--images", str(tmp_path), "--config", "a.toml"]
    result = CliRunner().invoke(sr_train, common)
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert "--config a.toml: training.degradation.custom" in said
    assert "if you trust it, give --allow-custom" in said
    assert not (tmp_path / "ran").exists()
    CliRunner().invoke(sr_train, [*common, "--allow-custom"])
    assert (tmp_path / "ran").exists()
