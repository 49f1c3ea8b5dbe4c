"""The training loop: trains a network on photographs, from a prior or without one, and writes checkpoints."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.terminal import count

from ..checkpoints.checkpoint import Checkpoint, check_notes
from ..checkpoints.tensor_file import header_text
from ..config.presets import Preset
from .batch_preview import save_batch
from .callbacks import ProgressLog, StepDone, TrainingCallback, Validated
from .errors import Diverged, TrainingError
from .run import Images, TrainingRun, open_run
from .samples import prefetch
from .schedule import Budget, learning_rate
from .state import BEST, LAST, STATE

log = logging.getLogger(__name__)

DIVERGED = "diverged.safetensors"


def train(
    prior: Dictionary | str | Path | None,
    images: Images,
    preset: Preset | str,
    out: str | Path,
    *,
    lr: str | Path | Sequence[str | Path] = (),
    val: Images = (),
    hold_out: bool = False,
    budget: Budget | None = None,
    seed: int = 0,
    resume: bool = False,
    init: Checkpoint | str | Path | None = None,
    encoder_weights: str | Path | None = None,
    encoder_key: str = "",
    cache: str | Path | None = None,
    callbacks: Sequence[TrainingCallback] = (),
) -> Path:
    """Train a preset's network on random crops of images and return the checkpoint to use.

    Runs on a GPU if there is one, and logs its progress. The folder `out` receives `best.safetensors` and
    `last.safetensors` (averaged weights; each suffices for `sr_model.upscale`), `state.safetensors`, from
    which `resume` continues, and `settings.toml`. If torchrun has started several processes, all of them call
    this alike: together they take the steps of a single process, up to rounding, and the main process writes
    the files. All of them must see `images` and `out`. Images that cannot be read or are too small are left
    out, with a line in the log and a call of `TrainingCallback.on_skipped` for each.

    Args:
        prior: the dictionary that ContinuousSR blends, or its file; None for an architecture that needs none,
            or with `init`.
        images: a folder of images, searched recursively, or a list of files.
        preset: settings of network and training, or the name of a preset (`sr_model.PRESETS`).
        out: the folder of the run; must not hold a training unless `resume`.
        lr: folders of the LR images of `images` and `val`, which `sr_model.image_io.pairs` finds by name;
            their sizes give the scales. Default: LR images are made by `training.degradation`.
        val: held-out images, given like `images`; the checkpoint with the highest PSNR on them is the best.
            Without them, the last one counts as the best.
        hold_out: hold out some of `images` in place of `val`: one in eight, at most 8.
        budget: steps or minutes; default: the resumed run's, else the preset's steps.
        seed: of the initial weights and of the crops (README, "Reproducibility").
        resume: continue the training in `out`, which must have the same settings.
        init: the checkpoint to start from, its file, or "reference" for the reference model. Its network and
            kernels are trained in place of those of the preset and prior; nothing else is taken from it.
            `Preset.for_fine_tuning` returns a preset with the learning rate for this.
        encoder_weights: a public file of encoder weights to start from (`sr_model.checkpoints.pretrained`).
        encoder_key: where in that file to take them from, such as `params`; default: wherever they are.
        cache: the folder for decoded images (`sr_model.training.image_cache`); default: the user's cache.
        callbacks: called after each step and each validation; they may stop the training.

    Raises:
        TrainingError: if the training cannot start or continue, diverges, or runs out of memory.
        ImageError: if no image is usable.
        CheckpointError: if a checkpoint cannot be written, `init` is not one, or `encoder_weights` do not fit
            the encoder.
        DictionaryError: if `prior` is a file that is not a dictionary.

    >>> import tempfile
    >>> from dataclasses import replace
    >>> import numpy as np
    >>> from PIL import Image
    >>> from sr_model import PRESETS
    >>> folder = Path(tempfile.mkdtemp())
    >>> pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    >>> Image.fromarray(pixels).save(folder / "a.png")
    >>> demo = PRESETS["demo"]
    >>> network = replace(demo.network, width=8, depth=1, dictionary_size=8)
    >>> small = Preset(network, replace(demo.train, batch=1, crop=8, scales=(2, 2)))
    >>> best = train(
    ...     Dictionary.reference(), [folder / "a.png"], small, folder / "run",
    ...     budget=Budget(steps=1), cache=folder / "cache",
    ... )
    >>> best.name
    'best.safetensors'
    """
    began = time.monotonic()
    with open_run(
        prior, images, preset, out, lr=lr, val=val, hold_out=hold_out, budget=budget, seed=seed,
        resume=resume, init=init, encoder_weights=encoder_weights, encoder_key=encoder_key, cache=cache,
    ) as run:  # fmt: skip
        log.info(
            "training %s parameters on %s for %s, from step %d",
            f"{run.state.trained_parameters:,}",
            count(len(run.images), run.images.noun), run.budget, run.state.step,
        )  # fmt: skip
        check_readable(run)
        train_loop(run, began, [ProgressLog(), *callbacks])
    return run.out / BEST


def train_loop(run: TrainingRun, began: float, callbacks: Sequence[TrainingCallback]) -> None:
    """Take steps until the budget is spent or a callback asks to stop; validate and save checkpoints.

    `began` is the time (`time.monotonic`) at which this session started, for budgets of minutes.
    """
    state, settings, context = run.state, run.preset.train, run.state.context
    listeners = callbacks if context.is_main_process else ()
    before, saved = state.seconds, -1
    try:
        for callback in listeners:
            callback.on_start(state.step)
            for sentence in run.skipped:
                callback.on_skipped(sentence)
        if run.start.weights is not None and run.validation and state.step == 0:
            save_checkpoints(run, listeners)  # the start may remain the best
        with closing(prefetch(run.micro_batches, state.step, threads=run.sampling_threads)) as batches:
            while True:
                state.seconds = before + time.monotonic() - began
                spent = run.budget.spent(state.step, state.seconds) if context.is_main_process else 0.0
                asked = any(callback.should_stop() for callback in callbacks)
                spent, stopped = context.maximum(spent, float(asked))
                if stopped or spent >= 1:
                    break
                rate = learning_rate(settings, state.step, spent)
                try:
                    loss = state.train_step(next(batches), rate, settings)
                except Diverged as error:
                    raise explained(error, run) from error
                for callback in listeners:
                    callback.on_step(StepDone(state.step, loss, rate, spent))
                if state.step % settings.validate_every == 0:
                    save_checkpoints(run, listeners)
                    saved = state.step
        if saved != state.step or stopped:
            # An uninterrupted run would not validate after this step, and might then choose another best.
            save_checkpoints(run, listeners, validate=not stopped)
    finally:
        for callback in listeners:
            callback.on_end()


def save_checkpoints(
    run: TrainingRun, listeners: Sequence[TrainingCallback], *, validate: bool = True
) -> None:
    """Validate if there are held-out images, and write the checkpoints, then the state to resume from."""
    state = run.state
    if not state.context.is_main_process:
        return
    notes = checkpoint_notes(run)
    is_best = run.validation is None or not (run.out / BEST).exists()  # nothing to compare with
    if validate and run.validation:
        score = run.validation.measure(state.average)
        is_best = score.psnr > state.best
        state.best = max(state.best, score.psnr)
        notes["validation"] = asdict(score)
        for callback in listeners:
            callback.on_validation(Validated(state.step, score, is_best, run.validation.scales))
    checkpoint = Checkpoint(state.average.settings, run.start.kernels, state.average.state_dict(), notes)
    checkpoint.save(run.out / LAST)
    if is_best:
        checkpoint.save(run.out / BEST)
    state.save(run.out / STATE, run.identity, asdict(run.budget))


def checkpoint_notes(run: TrainingRun) -> dict[str, Any]:
    """What the checkpoints of a run record, but for the scores of their validation."""
    return {
        "step": run.state.step,
        "training": json.loads(json.dumps(asdict(run.preset.train))),
        "seed": run.seed,
        "dictionary": run.start.prior,
        **(run.start.notes or {}),
    }


def check_readable(run: TrainingRun) -> None:
    """Raise TrainingError if the checkpoints of a run could not be read, before hours are spent on them.

    What they record of a dictionary or a checkpoint is as long and as deep as its author made it.
    """
    notes = checkpoint_notes(run)
    checkpoint = Checkpoint(run.state.average.settings, run.start.kernels, {}, notes)
    try:
        check_notes(notes)
        header_text(checkpoint.header)
    except ValueError as error:
        raise TrainingError(
            f"Checkpoints of this training could not be read again ({error}): start from another dictionary "
            "with prior=, or another checkpoint with init=."
        ) from error


def explained(error: Diverged, run: TrainingRun) -> TrainingError:
    """Write the batch of a diverged step to the run's folder, and return the error for the user."""
    state, last = run.state, run.out / LAST
    if state.context.is_main_process:
        save_batch(run.whole_batch(state.step), run.out / DIVERGED, {"step": state.step})
    state.context.barrier()  # a process that leaves ends the others: the batch must be written first
    kept = "no checkpoint has been written yet"
    if last.exists():
        kept = f"the checkpoints hold the weights of step {Checkpoint.load(last).notes['step']}"
    return TrainingError(
        f"{error}: its batch is in {run.out / DIVERGED}, {kept}, and a lower training.learning_rate or "
        "another seed= may avoid it."
    )
