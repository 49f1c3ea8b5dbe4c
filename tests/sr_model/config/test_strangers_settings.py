"""Whatever changes in a settings file: it gives settings, or one sentence that names the file."""

from pathlib import Path

import mutations
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_model import PRESETS, Preset
from sr_model.config.toml import MOST_TEXT, ConfigError, as_toml, configured, read_config

TEXT = 'preset = "light"\nsteps = 7\n' + as_toml(PRESETS["light"])
VALUES = (
    *(
        "true",
        "1",
        "-1",
        "0",
        "1e300",
        "nan",
        "inf",
        '"x"',
        '"none"',
        "[]",
        "[1, 2]",
        "[[]]",
        '["x"]',
        "[nan]",
    ),
    *("{}", "{a = 1}", "1979-05-27", "''''''", "9" * 20, "9" * 5000, "0x" + "f" * 5000),
    *("[" * 3000, "[" * 30 + "]" * 30, "[" * 80 + "]" * 80),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("changed") / "a.toml"


def read_or_refused(path: Path) -> None:
    try:
        preset = configured(PRESETS["light"], read_config(path, ["preset", "steps"]).settings)
    except ConfigError as error:
        mutations.check_sentence(str(error), path)
        return
    assert isinstance(preset, Preset)


@mutations.examples(60)
@given(st.data())
def test_values(path: Path, data):
    lines = TEXT.splitlines()
    for _ in range(data.draw(st.integers(1, 2))):
        chosen = data.draw(st.sampled_from([n for n, line in enumerate(lines) if " = " in line]))
        name = lines[chosen].split(" = ")[0]
        lines[chosen] = f"{name} = {data.draw(st.sampled_from(VALUES))}"
    path.write_text("\n".join(lines))
    read_or_refused(path)


@mutations.examples(60)
@given(st.data())
def test_bytes(path: Path, data):
    path.write_bytes(data.draw(mutations.changed_bytes(TEXT.encode())))
    read_or_refused(path)


NAMES = ("training.batch", "network.hidden", "training.degradation", "a.b", "a." * 5000, "")


@mutations.examples(40)
@given(st.sampled_from(NAMES), st.one_of(st.sampled_from(VALUES), st.text(max_size=20)))
def test_options(name, value):
    option = f"{name}={value}"
    try:
        configured(PRESETS["light"], {}, [option])
    except ConfigError as error:
        text = str(error)
        assert len(text) < 2000


@pytest.mark.parametrize("name", ["training.batch", "network.hidden", "training.degradation.custom"])
@pytest.mark.parametrize("value", ["0x" + "f" * 5000, "[0x" + "f" * 5000 + "]"])
def test_numbers_that_python_does_not_print_are_refused(tmp_path: Path, name, value):
    (tmp_path / "a.toml").write_text(f"{name} = {value}")
    with pytest.raises(ConfigError, match=rf"a\.toml: {name} .*numbers? of 2\^63 or more"):
        configured(PRESETS["light"], read_config(tmp_path / "a.toml", []).settings)


NESTED = {
    "lists": "a = " + "[" * 100_000,
    "tables": "a = " + "{a = " * 100_000,
    "names": "training." + ".".join("a" * 400_000) + " = 1",
    "headers": "[training." + ".".join("a" * 900) + "]\nb = 1",
    "long": "#" * (MOST_TEXT + 1),
}


@pytest.mark.parametrize("kind", NESTED)
def test_files_that_are_nested_deep_or_long_are_refused_soon(tmp_path: Path, kind):
    (tmp_path / "a.toml").write_text(NESTED[kind])
    with pytest.raises(ConfigError, match=r"a\.toml is not a TOML file") as error:
        read_config(tmp_path / "a.toml", [])
    assert len(str(error.value)) < 500
