"""A checkpoint says nothing of the folders of the machine on which it was trained."""

from __future__ import annotations

from pathlib import Path

from dgp_mining.prior.dictionary import Dictionary
from sr_model import Checkpoint, Preset, train


def test_a_checkpoint_names_no_folder(
    dictionary: Dictionary, photographs: Path, tiny: Preset, tmp_path: Path
) -> None:
    prior = Dictionary(dictionary.cholesky, {"images": str(photographs), "crops": 3})  # of release 0.1
    first = train(prior, photographs, tiny, tmp_path / "first")
    assert Checkpoint.load(first).notes["dictionary"]["crops"] == 3
    second = train(None, photographs, tiny, tmp_path / "second", init=first)
    for path in (first, second, second.parent / "state.safetensors"):
        assert str(tmp_path).encode() not in path.read_bytes()
