"""Training a network on a mined dictionary: setting it up, the loop, and what is kept of it."""

from __future__ import annotations

import hashlib
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from dgp_mining.prior.dictionary import Dictionary

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.pretrained import load_encoder_weights
from ..config.presets import Preset
from ..config.toml import as_toml
from ..config.training_settings import EXECUTION
from ..memory import keep_freed_memory, ran_out
from ..networks.registry import with_prior
from ..scaling import scaled_extent
from .batch_preview import save_batch
from .distributed import DistributedContext, init_process_group
from .image_cache import default_folder
from .samples import Batch, ImageSet, prepared
from .schedule import Budget, learning_rate
from .state import Diverged, TrainingError, TrainingState
from .validation import SCALE, Validation

log = logging.getLogger(__name__)

STATE, LAST, BEST = "state.safetensors", "last.safetensors", "best.safetensors"
DIVERGED = "diverged.safetensors"
SETTINGS = "settings.toml"
REPORT_SECONDS = 10

Observer = Callable[[int, Mapping[str, float]], None]
"""Is told figures by name, as of a number of steps."""


class Stop(Protocol):
    """What asks a training to end after the current step and keep everything: a `threading.Event`, say."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Run:
    """A training that is set up: what it works on, and where its files go."""

    preset: Preset
    """Network and training."""
    dictionary: Dictionary | None
    """What the network blends; None for architectures that blend nothing."""
    seed: int
    """Of the first weights and of the samples."""
    state: TrainingState
    """What a step changes."""
    images: ImageSet
    """What samples are drawn from."""
    held_out: Validation | None
    """What the network is judged on."""
    out: Path
    """The folder of its files."""
    identity: Mapping[str, Any]
    """What a resumed run must share with the one it continues; JSON-serialisable."""

    def share(self, step: int) -> list[Batch]:
        """This process's share of the batch of a step, in the parts that the settings ask for."""
        settings, world = self.preset.train, self.state.world
        parts = world.size * settings.accumulate
        first = world.rank * settings.accumulate
        return [
            self.images.batch(settings, self.seed, step, part, parts)
            for part in range(first, first + settings.accumulate)
        ]


def train(
    dictionary: Dictionary | None,
    images: Sequence[Path],
    preset: Preset,
    out: Path,
    *,
    validation: Sequence[Path] = (),
    budget: Budget | None = None,
    seed: int = 0,
    resume: bool = False,
    encoder_weights: Path | None = None,
    cache: Path | None = None,
    stop: Stop | None = None,
    observe: Observer = lambda step, figures: None,
) -> Path:
    """Train `preset`'s network on random crops of `images` and return the checkpoint to use.

    The folder `out` receives `best.safetensors` and `last.safetensors` (averaged weights; each suffices for
    `sr_model.upscale`; the best by the `validation` images, or the last where there are none), and
    `state.safetensors`, from which `resume` continues, and `settings.toml`.
    `budget` defaults to the resumed run's, else to the preset's steps. `encoder_weights` is a public file to
    start the encoder from (`sr_model.checkpoints.pretrained`). Decoded images are kept in the folder `cache`
    (`sr_model.training.image_cache`), by default the user's. Runs on a GPU if there is one, and logs its
    progress; `observe` is told each step's figures, and each validation's.

    Where torchrun has started several processes, all of them call this alike: together they do, but for
    rounding, what one would, and the first writes the files. They all must see `images` and `out`.

    Raises TrainingError, ImageError or CheckpointError, each one sentence, for what the user can put right.
    """
    began = time.monotonic()
    with init_process_group() as world, enough_memory(preset):
        run = set_up(
            dictionary, images, preset, out, world, validation=validation, seed=seed, resume=resume,
            encoder_weights=encoder_weights, cache=cache,
        )  # fmt: skip
        if resume:
            begun_with = Budget(**run.state.restore(out / STATE, run.identity))
            budget = budget or begun_with
        budget = budget or Budget(steps=preset.train.steps)
        if world.is_main_process:
            record_settings(run)
        log.info(
            "training %s parameters on %d images for %s, from step %d",
            f"{sum(p.numel() for p in run.state.model.parameters()):,}",
            len(run.images), budget, run.state.step,
        )  # fmt: skip
        train_loop(run, budget, began, stop, observe)
    return out / BEST


@contextmanager
def enough_memory(preset: Preset) -> Iterator[None]:
    """Inside, running out of memory is a TrainingError that says what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        settings = preset.train
        raise TrainingError(
            f"A step does not fit into memory: raise training.accumulate (now {settings.accumulate}), which "
            f"gives the same steps from smaller parts, or lower training.batch ({settings.batch}) or "
            f"training.crop ({settings.crop})."
        ) from error


def set_up(
    dictionary: Dictionary | None,
    images: Sequence[Path],
    preset: Preset,
    out: Path,
    world: DistributedContext,
    *,
    validation: Sequence[Path] = (),
    seed: int = 0,
    resume: bool = False,
    encoder_weights: Path | None = None,
    cache: Path | None = None,
) -> Run:
    """Everything up to the first step; arguments and errors are those of `train`."""
    settings = preset.train
    if settings.batch % (world.size * settings.accumulate):
        raise TrainingError(
            f"A batch of {settings.batch} cannot be shared by {world.size} processes, each in "
            f"{settings.accumulate} parts: set training.batch to a multiple of their product."
        )
    try:
        settings.degradation.check()
        network, dictionary = with_prior(preset.network, dictionary)
    except ValueError as error:
        raise TrainingError(f"This cannot be trained: {error}.") from error
    preset = replace(preset, network=network)
    keep_freed_memory()
    if world.is_main_process:
        prepare_folder(out, resume)
    state = TrainingState.new(preset.network, dictionary, settings, seed, world)
    if encoder_weights and not resume:
        log.info("the encoder starts as %s", load_encoder_weights(state.model.encoder, encoder_weights))
        state.average.load_state_dict(state.model.state_dict())
    cache = cache or default_folder()
    crop = scaled_extent(settings.crop, settings.scales[1])
    samples = ImageSet(images, smallest=crop, cache=cache)
    held_out = Validation(validation, settings.degradation, cache) if validation else None
    identity = identify(preset, dictionary, seed, samples.paths)
    return Run(preset, dictionary, seed, state, samples, held_out, out, identity)


def prepare_folder(out: Path, resume: bool) -> None:
    """Make the run's folder. Raises TrainingError where it cannot be written or holds what it should not."""
    if resume and not (out / STATE).exists():
        raise TrainingError(f"{out} holds no training to resume: to begin one there, leave --resume out.")
    if not resume and any((out / name).exists() for name in (STATE, LAST, BEST)):
        raise TrainingError(
            f"{out} already holds a training: continue it with --resume, or name another folder with --out."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise TrainingError(
            f"The folder {out} cannot be written ({error.strerror}): name another with --out."
        ) from error


def record_settings(run: Run) -> None:
    """Write the settings for whoever wants to know them, or to train with others like them (--config)."""
    (run.out / SETTINGS).write_text(as_toml(run.preset) + "\n", encoding="utf-8")


def identify(
    preset: Preset, dictionary: Dictionary | None, seed: int, images: Sequence[Path]
) -> dict[str, Any]:
    """What a resumed run must share with the one it continues; JSON-serialisable."""
    identity = {
        "network": asdict(preset.network),
        "training": {k: v for k, v in asdict(preset.train).items() if k not in EXECUTION},
        "dictionary": dictionary and hashlib.sha256(dictionary.cholesky.tobytes()).hexdigest(),
        "seed": seed,
        "images": [path.name for path in images],
    }
    return json.loads(json.dumps(identity))  # tuples become the lists that a file gives back


def train_loop(run: Run, budget: Budget, began: float, stop: Stop | None, observe: Observer) -> None:
    """Take steps until the budget is spent or someone asks to stop, and keep what comes of them.

    `began` is when this session did, for budgets of minutes.
    """
    state, settings, world = run.state, run.preset.train, run.state.world
    before, first, kept, report = state.seconds, state.step, -1, Report()
    with closing(prepared(run.share, first)) as shares:
        while True:
            state.seconds = before + time.monotonic() - began
            spent = budget.spent(state.step, state.seconds) if world.is_main_process else 0.0
            spent, stopped = world.largest(spent, float(bool(stop and stop.is_set())))
            if stopped or spent >= 1:
                break
            rate = learning_rate(settings, state.step, spent)
            try:
                loss = state.train_step(next(shares), rate, settings)
            except Diverged as error:
                raise explained(error, run) from error
            report.step(state.step, loss, spent)
            if world.is_main_process:
                observe(state.step, {"loss": loss, "learning_rate": rate})
            if state.step % settings.validate_every == 0:
                keep(run, budget, observe)
                kept = state.step
    if stopped:
        # A validation would be one that an undisturbed run does not make, and may choose another best.
        keep(run, budget, observe, judge=False)
    elif kept != state.step:
        keep(run, budget, observe)


class Report:
    """A logged line now and then: how far the training is, and the mean loss since the last."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.from_part: float | None = None
        self.losses: list[float] = []

    def step(self, step: int, loss: float, spent: float) -> None:
        """A step has been taken when the part `spent` of the budget was used up."""
        self.from_part = spent if self.from_part is None else self.from_part
        self.losses.append(loss)
        now = time.monotonic()
        if now - self.last < REPORT_SECONDS:
            return
        left = ""
        if spent > self.from_part:
            seconds = (1 - spent) * (now - self.began) / (spent - self.from_part)
            left = f", about {in_words(seconds)} left"
        log.info("step %d (%.0f %%%s): loss %.4f", step, 100 * spent, left, statistics.fmean(self.losses))
        self.last, self.losses = now, []


def in_words(seconds: float) -> str:
    """A time to go by: '40 s', '12 min', '3.5 h' or '8.2 days'."""
    for unit, length, digits in (("s", 1, 0), ("min", 60, 0), ("h", 3600, 1)):
        if seconds < 100 * length:
            return f"{seconds / length:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} days"


def explained(error: Diverged, run: Run) -> TrainingError:
    """What the user is told where a step diverged; its whole batch is written beside the checkpoints."""
    state, settings = run.state, run.preset.train
    if state.world.is_main_process:
        save_batch(run.images.batch(settings, run.seed, state.step), run.out / DIVERGED, {"step": state.step})
    state.world.largest()  # no process leaves, which would end the others, before the batch is written
    return TrainingError(
        f"{error}: its batch is in {run.out / DIVERGED}, the checkpoints hold an earlier state, and a lower "
        "training.learning_rate or another --seed may avoid it."
    )


def keep(run: Run, budget: Budget, observe: Observer, *, judge: bool = True) -> None:
    """Validate, unless told not to `judge`, and write the checkpoints, then the state to resume from."""
    state = run.state
    if not state.world.is_main_process:
        return
    notes: dict[str, Any] = {
        "step": state.step,
        "training": json.loads(json.dumps(asdict(run.preset.train))),
        "seed": run.seed,
        "dictionary": run.dictionary and run.dictionary.metadata,
    }
    better = run.held_out is None or not (run.out / BEST).exists()  # nothing to compare with
    if judge and run.held_out:
        scored = run.held_out.measure(state.average)
        better = scored.psnr > state.best
        state.best = max(state.best, scored.psnr)
        notes["validation"] = asdict(scored)
        observe(state.step, {f"validation/{name}": figure for name, figure in asdict(scored).items()})
        log.info(
            "step %d: validation x%g %.2f dB, bicubic %.2f dB%s",
            state.step, SCALE, scored.psnr, scored.bicubic_psnr, " (best)" if better else "",
        )  # fmt: skip
    kernels = None if run.dictionary is None else torch.tensor(run.dictionary.cholesky)
    checkpoint = Checkpoint(state.average.settings, kernels, state.average.state_dict(), notes)
    checkpoint.save(run.out / LAST)
    if better:
        checkpoint.save(run.out / BEST)
    state.save(run.out / STATE, run.identity, asdict(budget))
