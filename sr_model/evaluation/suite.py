"""Evaluating a network on all test sets of the literature that a folder holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dgp_mining.images.reader import ImageError

from ..image_io.hr_images import find_hr_images
from ..networks.base import Network
from ..upscaling.tiling import ProgressCallback, no_progress
from ..upscaling.upscale import as_network
from .benchmark_sets import SetFolder, find_benchmark_sets
from .evaluate import Result, SkipCallback, Skipped, evaluate, hr_files, log_skipped, saved_pictures
from .perceptual import MissingPackage, Perceptual
from .planning import plan_evaluation
from .protocol import Protocol, named_protocol
from .published import published
from .saved_pictures import SavedPictures
from .tables import EvaluationReport, scale_label

SUITE_SCALES = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
"""The scales of the papers' tables on benchmarks."""
PAPER_METRICS = ("lpips", "dists")
"""The perceptual metrics of the papers' tables."""


@dataclass
class Suite:
    """Test sets and the results of one network on them, which grow while `run` is iterated over."""

    model: str
    """The network's file or name."""
    folder: str
    """The folder of the test sets."""
    protocol: Protocol
    """The protocol."""
    sets: list[SetFolder]
    """The test sets to measure."""
    notes: list[str] = field(default_factory=list)
    """What is missing or unusual, one sentence each."""
    reports: dict[str, EvaluationReport] = field(default_factory=dict)
    """Results by the set's label."""

    @classmethod
    def find(
        cls,
        folder: str | Path,
        protocol: Protocol | str = "benchmark",
        model: str = "reference",
        argument: str = "folder=",
    ) -> Suite:
        """Find the test sets in a folder.

        Raises:
            ImageError: if there is none, naming `argument`.
            ValueError: for an unknown protocol.
        """
        found = find_benchmark_sets(folder, argument)
        notes = [f"{name} is no test set known by that name, and is not measured." for name in found.unknown]
        if found.absent:
            notes.append(f"Not in {folder}, hence not measured: {', '.join(found.absent)}.")
        return cls(model, str(folder), named_protocol(protocol), found.sets, notes)

    def run(
        self,
        model: Network | str | Path | None,
        scales: Sequence[float] = SUITE_SCALES,
        metrics: Sequence[str] = (),
        *,
        save: SavedPictures | str | Path | None = None,
        on_skip: SkipCallback = log_skipped,
        progress: ProgressCallback = no_progress,
    ) -> Iterator[tuple[str, Result]]:
        """Measure all sets; yields (label, result) one image and scale at a time, which `reports` then holds.

        A set that cannot be measured is named in `notes`, and the next one is measured.

        Args:
            model: a network, or the checkpoint of one; None for the reference model.
            scales: numbers above 0.
            metrics: perceptual metrics, out of `sr_model.evaluation.perceptual.METRICS`.
            save: where to save the upscaled pictures, as for `evaluate`: each set's in a folder of its label.
            on_skip: called for an image that cannot be measured.
            progress: called with the current image and the fraction of its set that is done.

        Raises:
            MissingPackage: if the package of a metric is not installed.
            CheckpointError: if the model cannot be loaded.
            ValueError: for no scale, or a scale that is not a finite number above 0.
            ImageError: if pictures cannot be saved, or exist; at the end, if no image of any set could be
                measured.

        >>> import tempfile
        >>> import numpy as np
        >>> from PIL import Image
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "Set5").mkdir()
        >>> pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
        >>> Image.fromarray(pixels).save(root / "Set5" / "baby.png")
        >>> suite = Suite.find(root)
        >>> [(label, result.path.name, result.scale) for label, result in suite.run(None, [2])]
        [('Set5', 'baby.png', 2.0)]
        >>> suite.notes[-1]
        'Set5 holds 1 image here, but 5 in the literature: its means are not those of the set.'
        """
        pictures = self._pictures(save, model, scales)
        network = as_network(model)
        for one in self.sets:
            perceptual = Perceptual(metrics) if metrics else None  # its own, since FID is of a set's images

            def shown(what: str, part: float, label: str = one.label) -> None:
                progress(f"{label}: {what}", part)

            report = EvaluationReport(self.model, str(one.folder), self.protocol.name)

            def skip(skipped: Skipped, report: EvaluationReport = report) -> None:
                report.skipped.append(skipped)
                on_skip(skipped)

            try:
                paths = hr_files(one.folder, "images=")
                self._count(one, len(paths))
                results = evaluate(
                    network,
                    paths,
                    scales,
                    self.protocol,
                    perceptual,
                    save=pictures.get(one.label),
                    on_skip=skip,
                    progress=shown,
                )
                for result in results:
                    report.add(report.name(result.path), result)
                    self.reports[one.label] = report
                    yield one.label, result
            except ImageError as error:
                self.notes.append(f"{one.label} is not measured: {error}")
                continue
            if perceptual:
                report.measure_sets(perceptual, skip)
            self.notes += [f"{one.label}: {sentence}" for sentence in report.infinite()]
        if not self.reports:
            raise ImageError(f"No test set in {self.folder} can be evaluated: {self.notes[-1]}")

    def _pictures(
        self,
        save: SavedPictures | str | Path | None,
        model: Network | str | Path | None,
        scales: Sequence[float],
    ) -> dict[str, SavedPictures]:
        """Where the pictures of each set are saved, by label. Raises ImageError as `SavedPictures.check`."""
        if (pictures := saved_pictures(save, model)) is None:
            return {}
        within = Path(pictures.folder).resolve()
        by_label = {}
        for one in self.sets:
            if one.folder.resolve().is_relative_to(within) or within.is_relative_to(one.folder.resolve()):
                raise ImageError(
                    f"The pictures in {pictures.folder} would mix with the images of {one.folder}: name "
                    "another folder with save=."
                )
            try:
                paths = find_hr_images(one.folder).paths
            except ImageError:  # said when it is the set's turn
                continue
            by_label[one.label] = replace(pictures, folder=Path(pictures.folder) / one.label)
            by_label[one.label].check(plan_evaluation(paths, scales).measurements)
        return by_label

    def is_whole(self, label: str, scale: str) -> bool:
        """Whether as many images of a set were measured at a scale, x4 say, as it has in the literature."""
        images = next(one.set.images for one in self.sets if one.label == label)
        return self.reports[label].counts().get(scale) == images

    def _count(self, one: SetFolder, images: int) -> None:
        if images != one.set.images:
            self.notes.append(
                f"{one.label} holds {images:,} image{'s' * (images != 1)} here, but {one.set.images} in the "
                "literature: its means are not those of the set."
            )

    def as_dict(self) -> dict[str, Any]:
        """The results for JSON, each set as in `EvaluationReport.as_dict`, with the published figures."""
        rows = published()
        names = {one.label: one.set.name for one in self.sets}
        return {
            "protocol": self.protocol.name,
            "model": self.model,
            "folder": self.folder,
            "notes": self.notes,
            "sets": {
                label: {
                    **report.as_dict(),
                    "published": [
                        {
                            "method": row.method,
                            "scale": row.scale,
                            **row.figures,
                            "protocol": row.protocol,
                            "comparable": {
                                metric: self.is_whole(label, scale_label(row.scale))
                                and row.comparable(self.protocol, metric)
                                for metric in row.figures
                            },
                            "source": f"arXiv {row.source.arxiv}, {row.source.place}",
                        }
                        for row in rows
                        if row.set == names[label]
                    ],
                }
                for label, report in self.reports.items()
            },
        }


def installed_metrics() -> tuple[list[str], list[str]]:
    """Which of PAPER_METRICS can be measured, and a sentence for each that cannot.

    Their packages download weights when first used; without a network that fails, and is said.
    """
    usable, missing = [], []
    for name in PAPER_METRICS:
        try:
            Perceptual([name])
        except MissingPackage as error:
            missing.append(str(error))
        except (OSError, RuntimeError) as error:
            missing.append(f"The metric {name} cannot be measured: its weights do not load ({error}).")
        else:
            usable.append(name)
    return usable, missing
