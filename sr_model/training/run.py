"""Setting up a training: checked arguments, network, images, validation and the folder of the run.

`sr_model.train` and its dry run both start here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from dgp_mining.machine import available_cores
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.terminal import count

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.pretrained import load_encoder_weights
from ..config.presets import Preset, find_preset
from ..config.training_settings import EXECUTION, TrainSettings
from ..degradation import EffectError
from ..memory import keep_freed_memory, ran_out
from .data import hr_images, load_images, load_pairs
from .device_samples import DeviceImages, on_device
from .distributed import DistributedContext, init_process_group
from .errors import TrainingError
from .image_cache import default_cache
from .memory_limits import check_batch
from .pair_samples import PairSet
from .published import take_upsampler
from .record import SETTINGS, Given, settings_text, write_settings
from .resumed import is_gone, recorded_digest, start_of_resumed
from .run_folder import run_folder
from .sample_workers import sample_workers
from .samples import Batch, ImageSet
from .saved_state import names_digest
from .schedule import Budget
from .start import Start, start_from_checkpoint, start_from_prior
from .state import STATE, TrainingState
from .validation import Validation

log = logging.getLogger(__name__)


MOST_SEED = 1 << 63
"""Seeds are below it, as those of torch are."""
Images = str | Path | Sequence[str | Path]
"""A folder of images, searched recursively, or a list of files."""


class RunOptions(TypedDict, total=False):
    """The keyword arguments of `open_run`, `sr_model.train` and `dry_run.estimate_training`."""

    lr: str | Path | Sequence[str | Path]
    val: Images
    hold_out: bool
    budget: Budget | None
    seed: int
    resume: bool
    init: Checkpoint | str | Path | None
    encoder_weights: str | Path | None
    encoder_key: str
    cache: str | Path | None


@dataclass(frozen=True)
class TrainingRun:
    """A training that is set up: what it trains on, and where its files go."""

    preset: Preset
    """Settings of the network and of the training."""
    start: Start
    """The network that it started with: kernels, and weights unless they were drawn."""
    seed: int
    """Seed of the initial weights and of the samples."""
    budget: Budget
    """How long to train."""
    state: TrainingState
    """What a training step changes."""
    images: ImageSet | DeviceImages | PairSet
    """The images, on the GPU if they fit, or the pairs that samples are drawn from."""
    validation: Validation | None
    """The held-out images."""
    out: Path
    """The folder of the run's files."""
    identity: Mapping[str, Any]
    """What a resumed run must share with the one it continues; JSON-serialisable."""
    skipped: tuple[str, ...] = ()
    """One sentence for each image, of training or validation, that cannot be used."""

    @property
    def sampling_threads(self) -> int:
        """Threads that make batches: with a GPU, CPU cores are free for effects that are computed there."""
        context = self.state.context
        if context.device.type != "cuda" or isinstance(self.images, DeviceImages):
            return 1
        return max(1, min(8, available_cores() // context.world_size))

    def micro_batches(self, step: int) -> list[Batch]:
        """This process's share of the batch of a step, split into `accumulate` parts."""
        settings, context = self.preset.train, self.state.context
        parts = context.world_size * settings.accumulate
        first = context.rank * settings.accumulate
        return [
            self.images.batch(settings, self.seed, step, part, parts)
            for part in range(first, first + settings.accumulate)
        ]

    def whole_batch(self, step: int) -> Batch:
        """The batch of a step, of all processes together."""
        return self.images.batch(self.preset.train, self.seed, step)


@contextmanager
def open_run(
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
) -> Iterator[TrainingRun]:
    """Join the process group and set up a run; its settings are written to `out`.

    Arguments and errors are those of `sr_model.train`. Running out of memory inside is a TrainingError, too.
    """
    preset, out = named_preset(preset), Path(out)
    if not 0 <= seed < MOST_SEED:
        raise TrainingError(f"seed= must be from 0 to {MOST_SEED - 1}.")
    check_options(preset.train, val, hold_out, resume, init, encoder_weights, encoder_key)
    dictionary = Dictionary.load(prior) if isinstance(prior, str | Path) else prior
    folders = [lr] if isinstance(lr, str | Path) else list(lr)
    training, held_out = hr_images(images, "images="), hr_images(val, "val=")
    cache = Path(cache) if cache else default_cache()
    with (
        init_process_group() as context,
        ExitStack() as held,
        explain_failures(preset),
        sample_workers(preset.train, context) as workers,
    ):
        check_parts(preset, context)
        check_batch(preset, context)
        if init is None:
            start = start_from_prior(preset, dictionary)
        elif resume:
            start = start_of_resumed(init, out, preset, dictionary)
        else:
            start = start_from_checkpoint(init, preset, dictionary)
        preset = replace(preset, network=start.network)
        settings = preset.train
        keep_freed_memory()
        if context.is_main_process:
            held.enter_context(run_folder(out, resume))
        state = TrainingState.new(start.network, start.kernels, settings, seed, context, start.weights)
        state.workers = workers
        digest = recorded_digest(out, "encoder_weights") if resume and is_gone(encoder_weights) else None
        if digest:
            log.info("%s does not exist any more, and is not needed to go on", encoder_weights)
            start = replace(start, recorded={"encoder_weights": digest})
        elif encoder_weights:
            loaded = load_encoder_weights(state.model.encoder, encoder_weights, encoder_key)
            loaded += take_upsampler(state.model, encoder_weights, encoder_key)
            if not resume:
                log.info("the encoder starts as %s", loaded)
            state.average.load_state_dict(state.model.state_dict())
            start = replace(start, encoder=state.average.encoder.state_dict())
        if folders:
            data = load_pairs(settings, training, held_out, folders, hold_out, cache)
        else:
            data = load_images(settings, training, held_out, hold_out, cache)
        settings = data.settings
        preset = replace(preset, train=settings)
        identity = identify(preset, start, seed, data.samples.paths)
        if resume:
            parts = {"network": preset.network, "training": settings}
            begun_with = Budget(**state.restore(out / STATE, identity, parts))
            if budget is not None and budget.spent(state.step, state.seconds) > 1:
                raise TrainingError(_spent(out, budget, state))
            budget = budget or begun_with
        budget = budget or Budget(steps=settings.steps)
        if context.is_main_process:
            given = Given(
                prior, init, images, folders, val, hold_out, encoder_weights, encoder_key, out, budget, seed
            )
            text = settings_text(preset, given, start, data.samples, data.held_out)
            write_settings(out / SETTINGS, text)
        there = on_device(data.samples, settings, context.device)
        yield TrainingRun(
            preset, start, seed, budget, state, there, data.validation, out, identity, data.skipped
        )


def _spent(out: Path, budget: Budget, state: TrainingState) -> str:
    """The sentence for a budget that the run to resume has more than used up."""
    taken = count(state.step, "step") if budget.steps else f"{state.seconds / 60:.1f} minutes"
    name = "steps=" if budget.steps else "minutes="
    return (
        f"The run in {out} has taken {taken} already, more than the {budget} of {name}: ask for more, or "
        "leave it out to continue as the run was begun."
    )


def check_options(
    settings: TrainSettings,
    val: Images,
    hold_out: bool,
    resume: bool,
    init: Checkpoint | str | Path | None,
    encoder_weights: str | Path | None,
    encoder_key: str,
) -> None:
    """Raise TrainingError for a degradation that is not found, or arguments that contradict each other."""
    try:
        settings.degradation.check()
    except ValueError as error:
        raise TrainingError(f"This cannot be trained: {error}.") from error
    if val and hold_out:
        raise TrainingError(
            "Validation images are either given with val= or held out of the others: leave one out."
        )
    if init is not None and encoder_weights:
        raise TrainingError(
            "A checkpoint's weights include the encoder's: give init= or encoder_weights=, not both."
        )
    if encoder_key and not encoder_weights:
        raise TrainingError(
            "encoder_key= chooses among the weights in a file: name that file with encoder_weights=."
        )
    if settings.freeze and not (init is not None or encoder_weights or resume):
        raise TrainingError(
            f"Random weights of the {settings.freeze} would be frozen: name weights to start from with init= "
            "or encoder_weights=, or leave out training.freeze."
        )


def named_preset(preset: Preset | str) -> Preset:
    """The preset itself, or the one of that name. Raises TrainingError for an unknown name."""
    if isinstance(preset, Preset):
        return preset
    try:
        return find_preset(preset)
    except ValueError as error:
        raise TrainingError(str(error)) from error


def check_parts(preset: Preset, context: DistributedContext) -> None:
    """Raise TrainingError unless the batch divides evenly among processes and micro-batches."""
    settings = preset.train
    if settings.batch % (context.world_size * settings.accumulate):
        raise TrainingError(
            f"A batch of {settings.batch} cannot be shared by {context.world_size} processes, each in "
            f"{settings.accumulate} parts: set training.batch to a multiple of their product."
        )


def identify(preset: Preset, start: Start, seed: int, images: Sequence[Path]) -> dict[str, Any]:
    """What a resumed run must share with the one it continues; JSON-serialisable."""
    identity = {
        "network": asdict(preset.network),
        "training": {k: v for k, v in asdict(preset.train).items() if k not in EXECUTION},
        **start.digests(),
        "seed": seed,
        "images": names_digest([path.name for path in images]),
    }
    return json.loads(json.dumps(identity))  # tuples become lists, as they are in a file that was read


@contextmanager
def explain_failures(preset: Preset) -> Iterator[None]:
    """Turn running out of memory, and a failing effect, into a TrainingError that says what to change."""
    try:
        yield
    except EffectError as error:
        raise TrainingError(f"This cannot be trained: {error}.") from error
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        settings = preset.train
        raise TrainingError(
            f"A step does not fit into memory: raise training.accumulate (now {settings.accumulate}), which "
            f"gives the same steps from smaller parts, or lower training.batch ({settings.batch}) or "
            f"training.crop ({settings.crop})."
        ) from error
