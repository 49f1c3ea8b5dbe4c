"""A training starts from a checkpoint's network, kernels and weights, and refuses what is not one."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import StopAfter
from safetensors.torch import load_file

from dgp_mining.prior.continuoussr_table import continuoussr_kernels
from dgp_mining.prior.dictionary import Dictionary
from sr_model import PRESETS, Budget, Checkpoint, CheckpointError, Preset, TrainingError, train
from sr_model.networks.registry import build_network
from sr_model.training.start import load_init, start_from_checkpoint, start_from_prior

ONE = Budget(steps=1)
PRIORS = Path(__file__).parents[3] / "data/priors"


@pytest.fixture
def trained(photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path) -> Path:
    """A checkpoint of six steps."""
    return train(dictionary, photographs, tiny, tmp_path / "first")


def test_it_starts_with_the_weights_and_has_everything_else_fresh(
    trained: Path, photographs: Path, tiny: Preset, tmp_path: Path
):
    best = train(None, photographs, tiny, tmp_path / "run", init=trained, seed=7, callbacks=[StopAfter(0)])
    before, after = Checkpoint.load(trained), Checkpoint.load(best)
    assert after.network == before.network
    assert torch.equal(after.dictionary, before.dictionary)
    assert all(torch.equal(after.weights[name], before.weights[name]) for name in before.weights)
    assert after.notes["step"] == 0
    assert after.notes["init"] == {"from": "first/best.safetensors", "step": 6}
    state = load_file(tmp_path / "run" / "state.safetensors")
    assert not [name for name in state if name.startswith("adam")]
    for part in ("model", "average"):
        assert all(torch.equal(state[f"{part}.{name}"], before.weights[name]) for name in before.weights)


def test_the_network_is_the_checkpoints_and_what_differs_from_the_preset_is_said(
    trained: Path, photographs: Path, tiny: Preset, tmp_path: Path, caplog
):
    wider = replace(tiny, network=replace(tiny.network, width=16, drift=0.5))
    with caplog.at_level(logging.INFO, "sr_model"):
        best = train(None, photographs, wider, tmp_path / "run", init=trained, budget=ONE)
    assert Checkpoint.load(best).network == tiny.network
    assert "replaces the preset's: width 8 instead of 16, drift 1.0 instead of 0.5" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "sr_model"):
        train(None, photographs, tiny, tmp_path / "same", init=Checkpoint.load(trained), budget=ONE)
    assert "preset" not in caplog.text


def test_the_start_is_validated_and_stays_the_best_if_training_makes_it_worse(
    trained: Path, photographs: Path, tiny: Preset, tmp_path: Path
):
    harsh = replace(tiny, train=replace(tiny.train, learning_rate=0.3, warmup=0, ema=0.0))
    best = train(None, photographs, harsh, tmp_path / "run", val=photographs, init=trained)
    assert Checkpoint.load(best).notes["step"] == 0
    assert Checkpoint.load(tmp_path / "run" / "last.safetensors").notes["step"] == 6


def test_it_is_resumed_only_with_the_weights_it_started_from_and_to_the_same_bits(
    trained: Path, photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    frozen = replace(tiny, train=replace(tiny.train, freeze="encoder"))
    arguments = {"val": photographs, "init": trained}
    train(None, photographs, frozen, tmp_path / "whole", **arguments)
    train(None, photographs, frozen, tmp_path / "parts", callbacks=[StopAfter(2)], **arguments)
    train(None, photographs, frozen, tmp_path / "parts", resume=True, **arguments)
    for name in ("state.safetensors", "best.safetensors"):
        whole, parts = (load_file(tmp_path / run / name) for run in ("whole", "parts"))
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[key], parts[key]) for key in whole), name
    other = train(dictionary, photographs, tiny, tmp_path / "other", seed=1, budget=ONE)
    with pytest.raises(TrainingError, match=r"other settings \(init\)"):
        train(None, photographs, frozen, tmp_path / "parts", resume=True, init=other)
    with pytest.raises(TrainingError, match=r"other settings \(training\.freeze\)"):
        train(None, photographs, tiny, tmp_path / "parts", resume=True, init=trained)
    with pytest.raises(TrainingError, match=r"other settings \(init, training\.freeze\)"):
        train(dictionary, photographs, tiny, tmp_path / "parts", resume=True)


def test_a_frozen_encoder_keeps_its_weights_and_the_rest_is_trained(
    trained: Path, photographs: Path, tiny: Preset, tmp_path: Path
):
    frozen = replace(tiny, train=replace(tiny.train, freeze="encoder", ema=0.5))
    best = train(None, photographs, frozen, tmp_path / "run", init=trained)
    before, after = Checkpoint.load(trained).weights, Checkpoint.load(best).weights
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not [name for name in changed if name.startswith("encoder.")]
    state = load_file(tmp_path / "run" / "state.safetensors")
    moments = [name for name in state if name.endswith("exp_avg")]
    network = Checkpoint.load(trained).build()
    count = len([name for name, _ in network.named_parameters() if not name.startswith("encoder.")])
    assert 0 < len(moments) == count


def test_random_weights_are_not_frozen(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    frozen = replace(tiny, train=replace(tiny.train, freeze="encoder"))
    with pytest.raises(TrainingError, match=r"Random weights of the encoder.*init="):
        train(dictionary, photographs, frozen, tmp_path / "run")
    with pytest.raises(ValueError, match="freeze must be one of encoder"):
        replace(tiny.train, freeze="heads")


def test_the_kernels_are_the_checkpoints_and_no_other_prior_is_taken(
    trained: Path, photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    train(dictionary, photographs, tiny, tmp_path / "same", init=trained, budget=ONE)
    others = Dictionary(dictionary.cholesky * 1.01)
    with pytest.raises(TrainingError, match="trained with other kernels than those of prior="):
        train(others, photographs, tiny, tmp_path / "others", init=trained)
    light = PRESETS["light"]
    former = Dictionary.load(PRIORS / "natural-730-0.1.0.npz")
    assert len(start_from_checkpoint("reference", light, former).kernels) == 64
    for other in (dictionary, Dictionary.reference()):  # the first one has only 60
        with pytest.raises(TrainingError, match="other kernels"):
            start_from_checkpoint("reference", light, other)


def test_a_prior_that_checkpoints_could_not_describe_is_refused_before_the_training(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"in": deep}
    prior = Dictionary(dictionary.cholesky, {"more": deep["in"]})
    prior.save(tmp_path / "dict.npz")  # a dictionary may be nested as deep, but not within a checkpoint
    with pytest.raises(TrainingError, match=r"could not be read again .*50 levels deep.*prior="):
        train(tmp_path / "dict.npz", photographs, tiny, tmp_path / "run", budget=ONE)


def test_the_warnings_of_a_prior_are_said(dictionary: Dictionary, tiny: Preset, caplog):
    for warnings in (
        {"few_crops": "Only 3 crops were fitted: mine more with a larger max_crops=."},
        "of no known form",
        None,
    ):
        start_from_prior(tiny, Dictionary(dictionary.cholesky, {"warnings": warnings}))
    assert [record.getMessage() for record in caplog.records] == [
        "the prior: Only 3 crops were fitted ('dgp-mine dictionary show' says more)"
    ]


def test_a_converted_checkpoint_is_trained_on_its_singular_kernels_and_keeps_its_licence(
    photographs: Path, tiny: Preset, tmp_path: Path, caplog
):
    kernels = torch.from_numpy(continuoussr_kernels())
    assert (kernels[:, 0] * kernels[:, 2] == 0).any()
    published = replace(
        tiny.network,
        dictionary="released",
        keys="plain",
        blending="cholesky",
        interpolate=False,
        phase="corner",
    )
    torch.manual_seed(0)
    weights = build_network(published, kernels).state_dict()
    converted = {"from": "released.pth", "encoder": "EDSR", "license": "CC BY-NC 4.0"}
    Checkpoint(published, kernels, weights, {"converted": converted}).save(tmp_path / "converted.safetensors")
    with caplog.at_level(logging.INFO, "sr_model"):
        train(None, photographs, tiny, tmp_path / "run", init=tmp_path / "converted.safetensors")
    trained = Checkpoint.load(tmp_path / "run" / "best.safetensors")
    assert torch.equal(trained.dictionary, kernels)
    assert trained.notes["converted"] == converted
    assert "CC BY-NC 4.0" in caplog.text
    assert all(torch.isfinite(tensor).all() for tensor in trained.weights.values())


def test_what_is_not_a_checkpoint_is_refused_in_one_sentence(trained: Path, tmp_path: Path):
    torch.save({"params": {"a": torch.zeros(1)}}, tmp_path / "released.pth")
    checkpoint = Checkpoint.load(trained)
    broken = dict(checkpoint.weights)
    name = next(iter(broken))
    broken[name] = torch.full_like(broken[name], np.nan)
    replace(checkpoint, weights=broken).save(tmp_path / "nan.safetensors")
    replace(checkpoint, notes={"step": 0}).save(tmp_path / "untrained.safetensors")
    replace(checkpoint, network=replace(checkpoint.network, width=16)).save(tmp_path / "wrong.safetensors")
    for name, sentence in {
        "missing.safetensors": "does not exist: name a checkpoint, or reference",
        "released.pth": "convert a released one with sr-convert first",
        "first/state.safetensors": "is the state of a training: name best",
        "nan.safetensors": "not finite",
        "untrained.safetensors": "before its training began",
        "wrong.safetensors": "not those of the network it describes",
    }.items():
        with pytest.raises((CheckpointError, TrainingError), match=sentence) as error:
            load_init(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


def test_a_checkpoint_with_a_newer_setting_is_named(trained: Path, tmp_path: Path, monkeypatch):
    from sr_model.checkpoints import checkpoint as module

    real = module.asdict
    monkeypatch.setattr(module, "asdict", lambda settings: {**real(settings), "novelty": 1})
    Checkpoint.load(trained).save(tmp_path / "newer.safetensors")
    with pytest.raises(CheckpointError, match=r"newer.*another version.*novelty"):
        load_init(tmp_path / "newer.safetensors")


def test_a_network_of_another_architecture_and_encoder_weights_do_not_fit(
    trained: Path, photographs: Path, tiny: Preset, tiny_gsasr: Preset, tmp_path: Path
):
    with pytest.raises(TrainingError, match="holds a continuoussr, but the preset is for gsasr"):
        train(None, photographs, tiny_gsasr, tmp_path / "run", init=trained)
    with pytest.raises(TrainingError, match="init= or encoder_weights=, not both"):
        train(None, photographs, tiny, tmp_path / "run", init=trained, encoder_weights="a.pth")
