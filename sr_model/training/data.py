"""What a training learns from and is validated on: images, or pairs of HR and LR images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dgp_mining.images.reader import ImageError

from ..config.training_settings import TrainSettings
from ..image_io.hr_images import find_hr_images
from ..image_io.reader import image_files
from .errors import TrainingError
from .pair_samples import DecodedPairs, PairSet, decode_pairs
from .samples import VALIDATED, ImageSet, held_out_images, is_flat, largest_crop, spread_evenly
from .validation import Validation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """The decoded images of a training."""

    settings: TrainSettings
    """The settings; with pairs, `scales` are theirs."""
    samples: ImageSet | PairSet
    """What samples are drawn from."""
    validation: Validation | None
    """The held-out images."""
    held_out: list[Path]
    """The images that were chosen for validation from those for training."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """One sentence for each image, of training or validation, that cannot be used."""
        return (*self.samples.skipped, *(self.validation.skipped if self.validation else ()))


def load_images(
    settings: TrainSettings, training: Sequence[Path], val: Sequence[Path], hold_out: bool, cache: Path
) -> TrainingData:
    """Decode images to train on, and those of `val` or, with `hold_out`, some of them to validate.

    Raises ImageError if no image is usable.
    """
    smallest, reason = largest_crop(settings)
    unseen = held_out_images(training, smallest=smallest, cache=cache) if hold_out else []
    samples = ImageSet(training, smallest=smallest, reason=reason, held_out=unseen, cache=cache)
    validated = val or unseen
    validation = Validation.of_images(validated, settings.degradation, cache) if validated else None
    return TrainingData(settings, samples, validation, unseen)


def load_pairs(
    settings: TrainSettings,
    training: Sequence[Path],
    val: Sequence[Path],
    lr: Sequence[str | Path],
    hold_out: bool,
    cache: Path,
) -> TrainingData:
    """Decode HR images like `load_images`, and their LR images in the folders `lr`.

    Raises ImageError if no pair is usable, and TrainingError for a degradation, which pairs do not have.
    """
    if settings.degradation.affects:
        raise TrainingError(
            "LR images of lr= are taken as they are: leave out lr=, or the effects of training.degradation."
        )
    pairs = decode_pairs(training, lr, cache)
    validated, unseen = (decode_pairs(val, lr, cache) if val else None), list[Path]()
    _check_folders(lr, [pairs, *([validated] if validated else [])])
    if hold_out:
        unseen = held_out_pairs(pairs, settings.crop)
        pairs, validated = pairs.split(unseen)
    samples = PairSet(pairs, settings.crop)
    validation = Validation.of_pairs(validated) if validated and (val or unseen) else None
    log.info("scales are those of the pairs, x%g to x%g", *samples.scales)
    return TrainingData(replace(settings, scales=samples.scales), samples, validation, unseen)


def hr_images(images: str | Path | Sequence[str | Path], argument: str) -> list[Path]:
    """The files of a list, or the HR images of a folder, which may hold their LR images too.

    Of a test set with `HR`, `X2` and `X4`, these are the images in `HR`, and a line says what is left out. If
    all images are LR images by their names, they are taken. Raises ImageError as `image_files` does.
    """
    files = image_files(images, argument)
    if not isinstance(images, str | Path):
        return files
    try:
        found = find_hr_images(images, argument, several=True)
    except ImageError:  # none but LR images
        return files
    if found.note:
        log.info("%s", found.note)
    return found.paths


def held_out_pairs(pairs: DecodedPairs, crop: int) -> list[Path]:
    """Choose HR images for validation, whose pairs are not trained on, as `held_out_images` does."""
    usable = [pair for pair in pairs.pairs if min(pair.files.covered) >= VALIDATED and not is_flat(pair.hr)]
    trainable = {pair.files.hr for pair in pairs.pairs if pair.unusable(crop) is None}
    return spread_evenly(list(dict.fromkeys(pair.files.hr for pair in usable)), trainable)


def _check_folders(folders: Sequence[str | Path], found: Sequence[DecodedPairs]) -> None:
    """Raise ImageError for a folder that has no LR image of any HR image."""
    used = {pair.files.lr for pairs in found for pair in pairs.pairs}
    for folder in folders:
        if used and not any(path.is_relative_to(folder) for path in used):
            raise ImageError(f"{folder} has no LR image of any of the HR images: leave it out of lr=.")
