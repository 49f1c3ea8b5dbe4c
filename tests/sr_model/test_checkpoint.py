"""A checkpoint promises to hold the network entire, and a file that is none to be named as such."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dgp_mining.dictionary import Dictionary
from sr_model import Checkpoint, CheckpointError, ContinuousSR, Preset, load


@pytest.fixture
def checkpoint(dictionary: Dictionary, tiny: Preset) -> Checkpoint:
    kernels = torch.tensor(dictionary.cholesky)
    network = ContinuousSR(tiny.network, kernels)
    return Checkpoint(tiny.network, kernels, network.state_dict(), {"step": 7})


def test_a_saved_network_maps_images_to_the_same_field(checkpoint: Checkpoint, tmp_path: Path):
    checkpoint.save(tmp_path / "a.safetensors")
    image = torch.rand(1, 3, 5, 5)
    saved, loaded = checkpoint.build()(image), load(tmp_path / "a.safetensors", "cpu")(image)
    for name in ("means", "cholesky", "colors"):
        assert torch.equal(getattr(saved, name), getattr(loaded, name))
    again = Checkpoint.load(tmp_path / "a.safetensors")
    assert again.network == checkpoint.network
    assert torch.equal(again.dictionary, checkpoint.dictionary)
    assert again.notes == {"step": 7}


def test_a_failed_write_leaves_the_old_file(checkpoint: Checkpoint, tmp_path: Path):
    path = tmp_path / "a.safetensors"
    checkpoint.save(path)
    before = path.read_bytes()
    (tmp_path / "a.safetensors.part").mkdir()  # where the new file would be written
    with pytest.raises(CheckpointError, match=r"a\.safetensors cannot be written"):
        checkpoint.save(path)
    assert path.read_bytes() == before


def test_what_is_no_checkpoint_is_named_in_one_sentence(tmp_path: Path):
    (tmp_path / "text").write_text("not a checkpoint")
    (tmp_path / "empty").touch()
    save_file({"means": torch.zeros(1)}, str(tmp_path / "other"))
    for name in ("text", "empty", "other", "missing", "."):
        with pytest.raises(CheckpointError) as error:
            Checkpoint.load(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


def test_a_truncated_checkpoint_is_named_in_one_sentence(checkpoint: Checkpoint, tmp_path: Path):
    path = tmp_path / "a.safetensors"
    checkpoint.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        Checkpoint.load(path)
