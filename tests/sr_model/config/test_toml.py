"""Settings are read from a file and from options, with errors that name what is wrong."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from sr_model import PRESETS
from sr_model.config.toml import ConfigError, as_toml, as_toml_value, configured, read_config
from sr_model.degradation import Blur, Degradation, Jpeg, Noise, Rain, Resize, Stage

PAPER = PRESETS["paper"]


def read(folder: Path, text: str):
    (folder / "a.toml").write_text(text)
    return read_config(folder / "a.toml", ["preset", "steps"])


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path):
    config = read(
        tmp_path,
        """
        preset = "paper"
        steps = 7
        [network]
        blending = "sqrt"
        offset-hidden = [64, 32]
        [training]
        learning_rate = 2
        degradation.noise.sigma = [0, 15]
        """,
    )
    assert config.options == {"preset": "paper", "steps": 7}
    changed = configured(PAPER, config.settings)
    degraded = Degradation(noise=Noise(sigma=(0.0, 15.0)))
    assert changed.network == replace(PAPER.network, blending="sqrt", offset_hidden=(64, 32))
    assert changed.train == replace(PAPER.train, learning_rate=2.0, degradation=degraded)
    assert isinstance(changed.train.learning_rate, float)


@pytest.mark.parametrize("name", list(PRESETS))
def test_settings_that_were_written_are_read_again(name, tmp_path: Path):
    rainy = Degradation(rain=Rain(angle=(0, 9)), custom="module:name")
    preset = replace(PRESETS[name], train=replace(PRESETS[name].train, degradation=rainy))
    other = next(p for p in PRESETS.values() if type(p.network) is type(preset.network) and p != preset)
    for start in (preset, other):
        settings = read(tmp_path, as_toml(preset)).settings
        assert configured(start, settings, allow_custom=True) == preset


def test_any_text_that_was_written_is_read_again():
    for text in ("a\\b", 'say "x"', "tab\tnew\nline", "\x00\x7f", "\N{GRINNING FACE}", "dir/été"):
        assert tomllib.loads(f"a = {as_toml_value(text)}")["a"] == text


def test_overrides_count_more_than_the_file(tmp_path: Path):
    config = read(tmp_path, "[training]\nbatch = 4\ncrop = 20\n[training.degradation]\nrain = true")
    changed = configured(PAPER, config.settings, ["training.batch=6", "training.degradation.rain=none"])
    assert (changed.train.batch, changed.train.crop, changed.train.degradation.rain) == (6, 20, None)


def test_values_of_overrides_need_no_brackets_or_quotes():
    changed = configured(
        PAPER,
        {},
        [
            "training.learning-rate = 1e-4",
            "training.scales=2,4.5",
            "training.compile=true",
            "network.trunk=[64]",
            "network.blending=sqrt",
            "network.dictionary=uniform",
            "network.dictionary_size=730",
            "network.dictionary_range=0,2,-1,1,0,2",
            "training.degradation.rain=true",
            "training.degradation.rain.amount=0.1,0.2",
            "training.degradation.custom=a.b:c",
        ],
    )
    assert (changed.train.learning_rate, changed.train.scales, changed.train.compile) == (
        1e-4,
        (2.0, 4.5),
        True,
    )
    assert (changed.network.trunk, changed.network.blending) == ((64,), "sqrt")
    assert changed.network.dictionary_range == (0.0, 2.0, -1.0, 1.0, 0.0, 2.0)
    assert changed.train.degradation == Degradation(rain=Rain(amount=(0.1, 0.2)), custom="a.b:c")


@pytest.mark.parametrize(
    ("override", "mentions"),
    [
        ("training.learnin_rate=1", ["no setting training.learnin_rate", "nearest is learning_rate"]),
        ("training.rate=1", ["no setting training.rate", "nearest is learning_rate"]),
        ("training.zzz=1", ["no setting training.zzz", "there are batch, crop"]),
        ("trainin.batch=1", ["no table trainin", "nearest is training"]),
        ("training.batch=1.5", ["training.batch must be a whole number", "1.5"]),
        ("training.batch=true", ["training.batch must be a whole number", "True"]),
        ("training.batch=-1", ["batch must be positive", "-1"]),
        ("training.learning_rate=fast", ["training.learning_rate must be a number", "'fast'"]),
        ("training.compile=yes", ["training.compile must be true or false", "'yes'"]),
        ("training.scales=2", ["training.scales must be a list of 2 numbers", "got 2"]),
        ("training.scales=1,2,3", ["training.scales must be a list of 2 numbers", "[1, 2, 3]"]),
        ("network.trunk=a,b", ["network.trunk must be a list of whole numbers"]),
        ("network.blending=sqart", ["one of cholesky, covariance, sqrt", "'sqart'"]),
        ("network.dictionary_size=x", ["a whole number, or 'none'", "'x'"]),
        ("network.dictionary=uniform", ["dictionary_range must be set"]),
        ("training.degradation=3", ["training.degradation is a table", "rain"]),
        ("training.batch.x=3", ["training.batch must be a whole number", "got a table"]),
        ("training.degradation.noise.sigma=5,1", ["sigma of noise", "[5.0, 1.0]"]),
        ("training.degradation.noise.sgma=5,1", ["nearest is sigma"]),
        ("training=3", ["name a setting and its value"]),
        ("batch", ["name a setting and its value"]),
    ],
)
def test_a_wrong_override_is_one_sentence_that_quotes_it(override, mentions):
    with pytest.raises(ConfigError) as error:
        configured(PAPER, {}, [override])
    for mention in (f"--set {override}", *mentions):
        assert mention in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("presett = 'demo'", "nearest is preset"),
        ("[trainin]\nbatch = 3", "nearest is training"),
        ("[preset]\nx = 3", "preset must be a single value"),
        ("training = 3", "training must be a table"),
        ("steps = [3]", "steps must be a single value"),
        ("steps = ", "is not a TOML file"),
        ("[training]\nbatch = 'x'", "training.batch must be a whole number"),
        ("[training]\nbach = 3", "nearest is batch"),
        ("[training]\nbatch = 0", "batch must be positive"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_it(text, mention, tmp_path: Path):
    with pytest.raises(ConfigError, match=rf"a\.toml.*{mention}"):
        configured(PAPER, read(tmp_path, text).settings)


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("binary.toml", "missing.toml", "."):
        with pytest.raises(ConfigError) as error:
            read_config(tmp_path / name, [])
        assert str(tmp_path / name) in str(error.value)
        assert "\n" not in str(error.value)


def test_choices_may_be_listed(tmp_path):
    config = read(
        tmp_path, '[training]\ndegradation.resize.kernels = ["area"]\ndegradation.second.jpeg = true'
    )
    changed = configured(PAPER, config.settings, ["training.degradation.jpeg.subsampling=4:4:4,4:2:0"])
    degradation = changed.train.degradation
    assert degradation.resize == Resize(kernels=("area",))
    assert degradation.jpeg == Jpeg(subsampling=("4:4:4", "4:2:0"))
    assert degradation.second == Stage(jpeg=Jpeg())
    with pytest.raises(ConfigError, match=r"kernels must be a list of bicubic, bilinear"):
        configured(PAPER, {}, ["training.degradation.resize.kernels=cubic"])
    with pytest.raises(ConfigError, match=r"degradation\.jpeg\.quality=0,5: quality of jpeg"):
        configured(PAPER, {}, ["training.degradation.jpeg.quality=0,5"])


def test_the_readmes_settings_for_real_photographs_are_read(tmp_path):
    readme = (Path(__file__).parents[3] / "sr_model" / "README.md").read_text()
    block = readme.split("```toml\n")[1].split("```")[0]
    config = read(tmp_path, block)
    assert config.options == {"preset": "light"}
    degradation = configured(PRESETS["light"], config.settings).train.degradation
    assert degradation.noise == Noise(sigma=(1, 30), shot=0.5, grey=0.4)
    assert degradation.second is not None
    assert degradation.second.blur == Blur(probability=0.8, sigma=(0.05, 0.4))
    written = as_toml(configured(PRESETS["light"], config.settings))
    assert configured(PAPER, read(tmp_path, written).settings).train.degradation == degradation
