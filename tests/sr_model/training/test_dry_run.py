"""A dry run estimates time and memory of the training, and leaves no checkpoint."""

from dataclasses import replace
from pathlib import Path

import pytest

from dgp_mining.prior.dictionary import Dictionary
from sr_model import Budget, Checkpoint, Preset, TrainingError, load, train
from sr_model.training import dry_run
from sr_model.training.dry_run import estimate_training
from sr_model.training.run import open_run


def test_it_sets_up_what_train_would_and_leaves_settings_and_a_preview_only(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    estimate = estimate_training(dictionary, photographs, tiny, tmp_path / "run", val=photographs)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["first-batch.png", "settings.toml"]
    assert estimate.budget == Budget(steps=tiny.train.steps)
    assert estimate.step_bytes >= estimate.state_bytes >= 16 * estimate.parameters
    assert estimate.step_seconds > 0
    assert estimate.preview == tmp_path / "run" / "first-batch.png"


def test_frozen_parameters_are_told_apart_and_take_no_memory_of_the_optimiser(
    checkpoint: Path, photographs: Path, tiny: Preset, tmp_path: Path
):
    frozen = replace(tiny, train=replace(tiny.train, freeze="encoder"))
    options = {"init": replace(Checkpoint.load(checkpoint), notes={})}
    whole = estimate_training(None, photographs, tiny, tmp_path / "whole", **options)
    heads = estimate_training(None, photographs, frozen, tmp_path / "heads", **options)
    encoder = sum(p.numel() for p in load(checkpoint).encoder.parameters())
    assert whole.trained == whole.parameters == heads.parameters == heads.trained + encoder
    assert whole.state_bytes - heads.state_bytes == 8 * encoder
    assert f"({heads.trained:,} of them trained)" in heads.lines()[0]
    assert "trained" not in whole.lines()[0]


def test_of_a_run_to_resume_it_takes_the_budget_and_checks_the_settings(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path
):
    out = tmp_path / "run"
    train(dictionary, photographs, tiny, out, budget=Budget(steps=2))
    before = (out / "state.safetensors").read_bytes()
    assert estimate_training(dictionary, photographs, tiny, out, resume=True).budget == Budget(steps=2)
    assert (out / "state.safetensors").read_bytes() == before
    with pytest.raises(TrainingError, match=r"other settings \(seed\)"):
        estimate_training(dictionary, photographs, tiny, out, resume=True, seed=1)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_memory_of_a_batch_follows_from_that_of_a_sample(
    photographs: Path, dictionary: Dictionary, tiny: Preset, cache: Path, tmp_path: Path, accumulate
):
    preset = replace(tiny, train=replace(tiny.train, batch=12, accumulate=accumulate))
    with open_run(dictionary, photographs, preset, tmp_path, cache=cache) as run:
        whole = dry_run.peak_step_memory(run, run.micro_batches(0), preset.train)
        assert dry_run.step_memory(run) == pytest.approx(whole, rel=0.05)
