"""Settings that do not fit together are refused in a sentence that names them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sr_model import Preset


def named(changes: dict) -> str:
    return "-".join(f"{key}={value}" for key, value in changes.items())


UNIFORM = {"dictionary": "uniform", "dictionary_size": 9}


@pytest.mark.parametrize(
    ("changes", "mention"),
    [
        ({"encoder": "vgg"}, "encoder must be one of edsr, rdn, span, rlfn, safmn, swinir, hat, got 'vgg'"),
        ({"encoder": "swinir"}, "width must be a multiple of 6"),
        ({"encoder": "safmn", "width": 30}, "width must be a multiple of 4"),
        ({"encoder": "hat"}, "width must be a multiple of 30"),
        ({"encoder": "swinir", "width": 12, "cells": 5}, "cells"),
        ({"encoder": "rdn", "residual_scale": 0.1}, "residual_scale"),
        ({"depth": 0}, "depth"),
        ({"latent": 2}, "latent must be 3 or more, got 2"),
        ({"trunk": (8, 0)}, "trunk"),
        ({"margin": -1}, "margin"),
        ({"drift": float("nan")}, "drift"),
        ({"blending": "log"}, "blending must be one of"),
        ({"keys": "plain"}, "interpolate needs keys tilted"),
        ({"phase": "corner"}, "interpolate needs phase centre"),
        ({"positions": "offsets"}, "interpolate needs"),
        (UNIFORM, "dictionary_range"),
        ({"dictionary": "uniform", "dictionary_range": (0, 1, 0, 1, 0, 1)}, "dictionary_size"),
        ({**UNIFORM, "dictionary_range": (0, 1, 0, 1)}, "six numbers"),
        ({**UNIFORM, "dictionary_range": (1, 0, 0, 1, 0, 1)}, "six numbers"),
        ({**UNIFORM, "dictionary_range": (-1, 1, 0, 1, 0, 1)}, "l11 and l22"),
        ({"dictionary_range": (0, 1, 0, 1, 0, 1)}, "dictionary_range"),
        ({"dictionary": "released", "dictionary_size": 9}, "dictionary_size"),
        ({"dictionary_size": 0}, "dictionary_size"),
    ],
    ids=lambda value: named(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_in_a_sentence_naming_them(tiny: Preset, changes, mention):
    with pytest.raises(ValueError) as error:
        replace(tiny.network, **changes)
    assert mention in str(error.value)
