"""Settings that do not fit together are refused in a sentence that names them."""

from __future__ import annotations

from dataclasses import replace

import pytest


@pytest.mark.parametrize(
    ("changes", "mention"),
    [
        ({"encoder": "hat"}, "encoder"),
        ({"cells": 5}, "cells"),
        ({"window": 7}, "window"),
        ({"heads": 5}, "channels"),
        ({"injection": (0, 1)}, "injection"),
        ({"start": None}, "start"),
        ({"start": (0.6, 0.1, 0.6)}, "round"),
        ({"start": (1.7, 0.0, 1.7)}, "start"),
        ({"positions": "free"}, "positions"),
        ({"margin": -1}, "margin"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(tiny_gsasr, changes, mention):
    with pytest.raises(ValueError, match=mention):
        replace(tiny_gsasr.network, **changes)
