"""A checkpoint holds the whole network; a file that is not a checkpoint is named in the error."""

import errno
import os
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dgp_mining.prior.dictionary import Dictionary
from sr_model import Checkpoint, CheckpointError, ContinuousSR, ContinuousSRSettings, Preset, load
from sr_model.checkpoints.checkpoint import DICTIONARY, FORMAT, WEIGHTS
from sr_model.checkpoints.tensor_file import write_tensors
from sr_model.networks.continuoussr.extrapolation import BELIEVED


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


DEEP: dict[str, object] = {}
for _ in range(50):
    DEEP = {"in": DEEP}


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ({"dictionary": {"source": "mined " * 1_500_000}}, "8000000 that are read"),
        ({"dictionary": DEEP}, "nested more than 50 levels"),
        ({"step": 3.5}, "step must be a whole number"),
        ({"training": {"rate": float("nan")}}, r"training\.rate must be finite"),
    ],
    ids=["long", "deep", "type", "number"],
)
def test_what_could_not_be_read_again_is_not_written(checkpoint: Checkpoint, tmp_path: Path, notes, said):
    path = tmp_path / "a.safetensors"
    with pytest.raises(CheckpointError, match=f"a.safetensors is not written.*{said}"):
        replace(checkpoint, notes=notes).save(path)
    assert not path.exists()


def test_a_checkpoint_that_draws_its_validation_images_exactly_is_read_again(
    checkpoint: Checkpoint, tmp_path: Path
):
    notes = {"step": 7, "validation": {"psnr": float("inf"), "ssim": 1.0}}
    replace(checkpoint, notes=notes).save(tmp_path / "a.safetensors")
    assert Checkpoint.load(tmp_path / "a.safetensors").notes == notes


def test_a_failed_write_leaves_the_old_file(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "a.safetensors"
    checkpoint.save(path)
    before = path.read_bytes()

    def full(*paths: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        CheckpointError, match=r"a\.safetensors cannot be written \(No space left on device\)"
    ):
        checkpoint.save(path)
    assert path.read_bytes() == before


def test_a_file_that_is_not_a_checkpoint_is_named_in_one_sentence(tmp_path: Path):
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


def written_by_hand(
    checkpoint: Checkpoint, path: Path, network: dict, leave_out: tuple[str, ...] = ()
) -> Path:
    """The file of a checkpoint with other settings in its header, and without some of its weights."""
    tensors = {WEIGHTS + k: t for k, t in checkpoint.weights.items() if k not in leave_out}
    write_tensors(
        path, {DICTIONARY: checkpoint.dictionary, **tensors}, FORMAT, {"network": network, "step": 7}
    )
    return path


def test_checkpoints_from_before_a_setting_mean_its_default(checkpoint: Checkpoint, tmp_path: Path):
    since = {field.name for field in fields(ContinuousSRSettings) if field.default is not MISSING}
    assert {"encoder", "keys", "phase", "trunk"} <= since
    old = {name: value for name, value in asdict(checkpoint.network).items() if name not in since}
    path = written_by_hand(checkpoint, tmp_path / "old.safetensors", old, leave_out=("encoder.mean",))
    assert Checkpoint.load(path).network == checkpoint.network
    image = torch.rand(1, 3, 5, 5)
    assert torch.equal(load(path, "cpu")(image).colors, checkpoint.build()(image).colors)


def test_settings_of_another_version_are_named(checkpoint: Checkpoint, tmp_path: Path):
    newer = {**asdict(checkpoint.network), "attention": 4}
    older = {k: v for k, v in asdict(checkpoint.network).items() if k != "width"}
    wrong = {**asdict(checkpoint.network), "encoder": "vgg"}
    for network, mention in ((newer, "attention"), (older, "width"), (wrong, "vgg")):
        path = written_by_hand(checkpoint, tmp_path / "a.safetensors", network)
        with pytest.raises(CheckpointError, match=rf"a\.safetensors .*{mention}"):
            Checkpoint.load(path)


def test_weights_of_another_network_are_refused_in_one_sentence(checkpoint: Checkpoint, tmp_path: Path):
    other = replace(checkpoint.network, width=16)
    path = written_by_hand(checkpoint, tmp_path / "a.safetensors", asdict(other))
    with pytest.raises(CheckpointError, match=r"a\.safetensors cannot be used"):
        load(path, "cpu")


@pytest.mark.parametrize("encoder", ["rdn", "span", "rlfn", "safmn", "swinir", "hat"])
def test_every_encoder_is_kept(tiny: Preset, dictionary: Dictionary, tmp_path: Path, encoder):
    settings = replace(tiny.network, encoder=encoder, width=60)
    kernels = torch.tensor(dictionary.cholesky)
    network = ContinuousSR(settings, kernels).eval()
    Checkpoint(settings, kernels, network.state_dict(), {}).save(tmp_path / "a.safetensors")
    image = torch.rand(1, 3, 5, 5)
    loaded = load(tmp_path / "a.safetensors", "cpu")
    with torch.no_grad():
        assert torch.equal(loaded(image).means, network(image).means)
        assert torch.equal(loaded(image).cholesky, network(image).cholesky)


def test_the_same_checkpoint_is_the_same_bytes(checkpoint: Checkpoint, tmp_path: Path):
    for number in range(8):  # safetensors alone writes two orders of the metadata
        checkpoint.save(tmp_path / f"{number}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.glob("*.safetensors")}) == 1


def test_how_much_a_network_adds_to_its_training_images_is_kept_and_older_files_say_nothing_of_it(
    dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    kernels, name = torch.tensor(dictionary.cholesky), "extrapolation.believed"
    settings = replace(tiny.network, contrast=0.01)
    network = ContinuousSR(settings, kernels)
    network.extrapolation.believed.fill_(2.5)
    new = Checkpoint(settings, kernels, network.state_dict(), {})
    new.save(tmp_path / "new.safetensors")
    assert load(tmp_path / "new.safetensors", "cpu").extrapolation.believed == 2.5
    old = {key: tensor for key, tensor in new.weights.items() if key != name}
    assert Checkpoint(settings, kernels, old, {}).build().extrapolation.believed == BELIEVED
    unknown = Checkpoint(settings, kernels, {**old, "extra": torch.zeros(1)}, {})
    with pytest.raises(ValueError, match="extra does not belong to it"):
        unknown.build()
    del old["colour.0.weight"]
    with pytest.raises(ValueError, match=r"colour\.0\.weight is missing"):
        Checkpoint(settings, kernels, old, {}).build()
