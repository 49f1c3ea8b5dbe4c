"""Resuming a run whose files to start from are gone: its own checkpoint and state hold what is needed."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.shipped import FORMER_PRIOR

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.tensor_file import CheckpointError, read_tensors
from ..config.presets import Preset
from .start import REFERENCE, Start, start_from_checkpoint, start_from_prior
from .state import FORMAT, LAST, LONGEST, STATE

log = logging.getLogger(__name__)


def is_gone(file: Checkpoint | str | Path | None) -> bool:
    """Whether a file to start from is named, but does not exist."""
    return isinstance(file, str | Path) and file != REFERENCE and not Path(file).exists()


def recorded_digest(out: Path, name: str) -> str | None:
    """What the state in `out` records of "dictionary", "init" or "encoder_weights"; None if it has none."""
    try:
        header = read_tensors(out / STATE, FORMAT, "the state of a training to resume", LONGEST)[1]
    except CheckpointError:  # which `TrainingState.restore` will explain
        return None
    identity = header.get("identity")
    digest = identity.get(name) if isinstance(identity, dict) else None
    return digest if isinstance(digest, str) else None


def reference_prior_of(out: Path, preset: Preset) -> Dictionary:
    """Return the reference prior on which the run in `out` began: today's, or that of 0.1.0."""
    today, begun_with = Dictionary.reference(), recorded_digest(out, "dictionary")
    for prior in (today, Dictionary.reference(FORMER_PRIOR)):
        if start_from_prior(preset, prior).digests()["dictionary"] == begun_with:
            return prior
    return today


def kept_checkpoint(init: Checkpoint | str | Path, out: Path) -> Checkpoint | str | Path:
    """Return `init`, or the latest checkpoint of the run in `out` if `init` is gone and that exists."""
    return out / LAST if is_gone(init) and (out / LAST).exists() else init


def start_of_resumed(
    init: Checkpoint | str | Path, out: Path, preset: Preset, prior: Dictionary | None = None
) -> Start:
    """As `start_from_checkpoint` with `init`, which is read from the run in `out` if it is gone.

    Raises what `start_from_checkpoint` raises, also if the run in `out` did not begin with a checkpoint.
    """
    kept = kept_checkpoint(init, out)
    digest = None if kept is init else recorded_digest(out, "init")
    if digest is None:
        return start_from_checkpoint(init, preset, prior)
    last = Checkpoint.load(out / LAST)
    log.info("%s does not exist any more: the run goes on with what %s holds", init, kept)
    start = start_from_checkpoint(last, preset, prior)
    notes = {name: last.notes[name] for name in ("init", "converted") if name in last.notes}
    return replace(start, notes=notes, recorded={"init": digest})
