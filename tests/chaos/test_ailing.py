"""Workers that live and do nothing neither stop a run nor change it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ailing import FITTER, FITTERS, photographs, run_disturbed
from run import assert_same_run, undisturbed_run

CROPS = 2400


@pytest.mark.slow
@pytest.mark.alone
def test_frozen_paused_killed_and_shrunk_workers_are_named_and_the_run_ends_by_itself_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in FITTERS:
        monkeypatch.syspath_prepend(folder)
    photos, store = photographs(tmp_path / "photos", CROPS), tmp_path / "disturbed.zarr"
    noticed = list(run_disturbed(tmp_path, photos, store, CROPS))
    assert noticed[-1].crops == CROPS
    assert noticed[-2].crops < CROPS, "the run was over before its last disturbance"
    undisturbed = undisturbed_run(photos, tmp_path / "undisturbed.zarr", CROPS, FITTER)
    assert_same_run(store, undisturbed, tmp_path)
