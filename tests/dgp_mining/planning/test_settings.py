"""A store's settings are read, written and compared without loss; what is out of range is refused by name."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from dgp_mining.fitting.recipes import RECIPES, FastRecipe, make_recipe
from dgp_mining.images.reading import AS_STORED, Reading
from dgp_mining.planning.settings import (
    Settings,
    SettingsKeysError,
    StoreSettings,
    differences,
    resolve_settings,
)

SETTINGS = resolve_settings(Settings(crop=32, max_crops=7, snapshots=(0, 50)))
READING = ("white", "window", "axis", "slice", "tone")


def test_the_json_form_has_the_keys_and_the_order_that_stores_have_always_had() -> None:
    assert list(SETTINGS.to_json()) == [
        *("crop", "max_crops", "density", "recipe", "iterations", "seed", "keep_fields", "snapshots"),
        *("target_psnr", "white", "window", "axis", "slice", "tone", "held_out_share"),
        *("fit", "statistics", "backend"),
    ]
    assert list(SETTINGS.to_json()["statistics"]) == ["sample", "dead", "border", "bins", "ranges"]
    assert SETTINGS.to_json()["statistics"]["ranges"][1] == [-2.0, 2.0]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_number_of_the_recipe_is_stored(recipe: str) -> None:
    stored = resolve_settings(Settings(recipe=recipe, iterations=77)).to_json()
    expected = asdict(make_recipe(recipe, 77))
    assert stored["iterations"] == expected.pop("iterations") == 77
    if expected.get("opposed") == 1.0:  # older stores lack it
        del expected["opposed"]
    assert stored["fit"] == json.loads(json.dumps(expected))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    "lacks", [(), READING, ("target_psnr", *READING), ("snapshots", "target_psnr", *READING)]
)
def test_what_is_read_is_written_again_byte_for_byte(recipe: str, lacks: tuple[str, ...]) -> None:
    """Stores made by older versions lack some keys."""
    stored = resolve_settings(Settings(crop=32, recipe=recipe)).to_json()
    stored = {key: value for key, value in reversed(stored.items()) if key not in lacks}
    text = json.dumps(stored)
    read = StoreSettings.from_json(json.loads(text))
    assert json.dumps(read.to_json()) == text
    assert read == resolve_settings(Settings(crop=32, recipe=recipe))
    changed = replace(read, max_crops=9).to_json()
    assert json.dumps(changed) == json.dumps({**stored, "max_crops": 9})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"crop": None}, "lacks crop"),
        ({"fit": None, "backend": None}, "lacks fit, backend"),
        ({"flavour": 3}, "has the unknown flavour"),
    ],
)
def test_missing_and_unknown_keys_are_named(change: dict[str, Any], said: str) -> None:
    stored = SETTINGS.to_json() | change
    kept = {key: value for key, value in stored.items() if key not in change or change[key] is not None}
    with pytest.raises(SettingsKeysError, match=said):
        StoreSettings.from_json(kept)


def test_missing_and_unknown_numbers_of_the_recipe_are_named() -> None:
    stored = SETTINGS.to_json()
    with pytest.raises(SettingsKeysError, match="has the unknown momentum"):
        StoreSettings.from_json({**stored, "fit": {**stored["fit"], "momentum": 0.9}})
    del stored["statistics"]["bins"]
    with pytest.raises(SettingsKeysError, match="lacks bins"):
        StoreSettings.from_json(stored)


def test_what_differs_is_named_with_both_values() -> None:
    assert isinstance(SETTINGS.fit, FastRecipe)
    asked = replace(SETTINGS, crop=256, max_crops=9, fit=replace(SETTINGS.fit, warm_up=0.2))
    assert differences(SETTINGS, asked) == [
        "crop is 32 there and 256 here",
        "fit warm_up is 0.018 there and 0.2 here",
    ]


def test_the_choices_on_reading_are_settings_with_the_same_defaults() -> None:
    assert Settings().reading == Reading() == AS_STORED
    chosen = Settings(window=(5, 900), axis="x", slice=3, tone="reinhard")
    assert chosen.reading == Reading(None, (5.0, 900.0), "x", 3, "reinhard")
    assert Settings(white=4095).reading == Reading(white=4095.0)
    assert tuple(field.name for field in fields(Reading)) == READING


def test_an_older_store_is_resumed_by_runs_that_read_as_it_did_and_by_no_others() -> None:
    stored = resolve_settings(Settings(crop=32)).to_json()
    older = StoreSettings.from_json({key: value for key, value in stored.items() if key not in READING})
    assert differences(older, resolve_settings(Settings(crop=32))) == []
    assert differences(older, resolve_settings(Settings(crop=32, white=10_000, tone="reinhard"))) == [
        "tone is clip there and reinhard here",
        "white is not given there and 10000 here",
    ]


def test_equal_choices_are_stored_as_equal_numbers() -> None:
    whole, float_ = (resolve_settings(Settings(white=white)) for white in (10_000, 10_000.0))
    assert json.dumps(whole.to_json()) == json.dumps(float_.to_json())
    window = resolve_settings(Settings(window=(0, 4095))).to_json()
    assert window["window"] == [0.0, 4095.0]
    assert StoreSettings.from_json(json.loads(json.dumps(window))) == resolve_settings(
        Settings(window=(0, 4095))
    )


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"crop": 8}, "crop="),
        ({"density": 0}, "density="),
        ({"density": float("nan")}, "density="),
        ({"max_crops": 0}, "max_crops="),
        ({"iterations": 0}, "iterations="),
        ({"target_psnr": float("nan")}, "target_psnr= must be a finite number above 0"),
        ({"target_psnr": 30.0, "snapshots": (0, 5)}, "target_psnr= may not reach"),
        ({"seed": -1}, "seed="),
        ({"white": 0}, "white="),
        ({"white": 255, "window": (0, 9)}, "white= or window="),
        ({"window": (9, 9)}, "window="),
        ({"axis": "w"}, "axis="),
        ({"slice": -1}, "slice="),
        ({"tone": "drago"}, "tone="),
    ],
)
def test_settings_out_of_range_name_their_argument(settings: dict[str, Any], argument: str) -> None:
    with pytest.raises(ValueError, match=argument):
        Settings(**settings)
