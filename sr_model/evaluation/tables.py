"""The results of an evaluation, as JSON for programs and as Markdown tables for papers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .cost import MACS_SIDE, MEMORY_SCALE, MEMORY_SIDE, TIMED_SCALES
from .evaluate import Result, SkipCallback, Skipped
from .perceptual import Perceptual
from .protocol import Score, mean_score


@dataclass
class EvaluationReport:
    """The results of one network, collected image by image."""

    model: str
    """The network's file or name."""
    data: str
    """The folder of HR images."""
    protocol: str
    """The name of the protocol."""
    scores: dict[str, dict[str, Score]] = field(default_factory=dict)
    """By image and scale label (`scale_label`)."""
    perceptual: dict[str, dict[str, dict[str, tuple[float, float]]]] = field(default_factory=dict)
    """By image, scale label and metric: (network, bicubic)."""
    set_metrics: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    """Metrics of all images together, by scale label and metric: (network, bicubic)."""
    cost: dict[str, Any] = field(default_factory=dict)
    """Results of `cost`: "macs", "memory" in bytes, "seconds" by LR size."""
    lr: tuple[str, ...] = ()
    """The folders of the LR images; empty if these were made as the protocol says."""
    skipped: list[Skipped] = field(default_factory=list)
    """What could not be measured, and is in no mean."""

    def name(self, path: Path) -> str:
        """The name of an image in the report: its path in the folder `data`.

        >>> EvaluationReport("reference", "Set5", "benchmark").name(Path("Set5/HR/baby.png"))
        'HR/baby.png'
        """
        return path.relative_to(self.data).as_posix() if path.is_relative_to(self.data) else str(path)

    def label(self, result: Result) -> str:
        """The name of a result in the report: of its image, and of its LR image if that has several."""
        capture = f" ({result.capture})" if result.capture else ""
        return self.name(result.path) + capture

    def add(self, name: str, result: Result) -> None:
        """Add the result of one image at one scale."""
        self.scores.setdefault(name, {})[scale_label(result.scale)] = result.score
        if result.perceptual:
            self.perceptual.setdefault(name, {})[scale_label(result.scale)] = result.perceptual

    def measure_sets(self, perceptual: Perceptual, on_skip: SkipCallback) -> None:
        """Add the metrics of all images together, FID."""
        figures, failures = perceptual.measure_sets()
        self.set_metrics = {scale_label(scale): by_metric for scale, by_metric in figures.items()}
        for scale, why in failures.items():
            on_skip(Skipped(None, scale, "fid", f"There is no fid at scale {scale:g}: {why}."))

    def means(self) -> dict[str, Score]:
        """Mean scores over images, by scale label."""
        return {scale: mean_score(by_scale) for scale, by_scale in _by_scale(self.scores).items()}

    def counts(self) -> dict[str, int]:
        """The number of images that a mean is over, by scale label."""
        return {scale: len(by_scale) for scale, by_scale in _by_scale(self.scores).items()}

    def infinite(self) -> Iterator[str]:
        """A sentence for each image and scale whose infinite PSNR makes the mean infinite."""
        for name, scores in self.scores.items():
            for scale, score in scores.items():
                for whose, value in (("the network's", score.psnr), ("the bicubic", score.bicubic_psnr)):
                    if math.isinf(value):
                        yield (
                            f"{name} at {scale}: {whose} result equals the image, so its PSNR is infinite, "
                            "and so is the mean."
                        )

    def perceptual_means(self) -> dict[str, dict[str, tuple[float, float]]]:
        """(network, bicubic) by scale label and perceptual metric: means over images, or of the set."""
        means: dict[str, dict[str, tuple[float, float]]] = {}
        for scale, found in _by_scale(self.perceptual).items():
            metrics = dict.fromkeys(metric for one in found for metric in one)
            means[scale] = {
                metric: _mean_pair([one[metric] for one in found if metric in one]) for metric in metrics
            }
        for scale, figures in self.set_metrics.items():
            means.setdefault(scale, {}).update(figures)
        return means

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON; infinite numbers, such as the PSNR of an exact copy, become null."""
        report: dict[str, Any] = {"protocol": self.protocol, "model": self.model, "data": self.data}
        if self.scores:
            report["lr"] = {"source": "given" if self.lr else "made", "folders": list(self.lr)}
            report["counts"] = self.counts()
            report["mean"] = {scale: asdict(score) for scale, score in self.means().items()}
            report["images"] = {
                name: {scale: asdict(score) for scale, score in scores.items()}
                for name, scores in self.scores.items()
            }
        if further := self.perceptual_means():
            report["perceptual"] = {"mean": further, "images": self.perceptual}
        if self.scores or self.skipped:
            report["skipped"] = [
                {
                    "image": one.path and self.name(one.path),
                    "scale": None if one.scale is None else scale_label(one.scale),
                    "missing": one.missing,
                    "reason": one.reason,
                }
                for one in self.skipped
            ]
        return _finite(report | ({"cost": self.cost} if self.cost else {}))

    def markdown(self) -> str:
        """The report as Markdown tables: one row per method, one column per scale."""
        parts = []
        if means := self.means():
            parts += [
                f"PSNR (dB) / SSIM on {self.data}, {self._images()}, {self.conditions('`')}",
                markdown_table(
                    ["method", *means],
                    [
                        [
                            "bicubic",
                            *(f"{s.bicubic_psnr:.2f} / {s.bicubic_ssim:.4f}" for s in means.values()),
                        ],
                        [self.model, *(f"{s.psnr:.2f} / {s.ssim:.4f}" for s in means.values())],
                    ],
                ),
            ]
        further = self.perceptual_means()
        for metric in dict.fromkeys(metric for figures in further.values() for metric in figures):
            columns = [further[scale].get(metric, (math.nan, math.nan)) for scale in further]
            rows = [
                ["bicubic", *(_figure(bicubic) for _, bicubic in columns)],
                [self.model, *(_figure(network) for network, _ in columns)],
            ]
            parts += [f"{metric.upper()} (lower is better)", markdown_table(["method", *further], rows)]
        if self.cost:
            parts.append(markdown_table(["cost", self.model], cost_rows(self.cost)))
        return "\n\n".join(parts)

    def conditions(self, quote: str = "") -> str:
        """The protocol, and where LR images are from if they were not made."""
        lr = f", low-resolution images of {' and '.join(self.lr)}" if self.lr else ""
        return f"protocol {quote}{self.protocol}{quote}{lr}"

    def _images(self) -> str:
        """The number of images, by scale if some were skipped at some scales."""
        counts = self.counts()
        if len(set(counts.values())) == 1:
            return f"{len(self.scores)} images"
        return ", ".join(f"{number} images at {scale}" for scale, number in counts.items())


def scale_label(scale: float) -> str:
    """The label of a scale in tables and JSON.

    >>> scale_label(4.0), scale_label(2.5)
    ('x4', 'x2.5')
    """
    return f"x{scale:g}"


def cost_rows(cost: Mapping[str, Any]) -> list[list[str]]:
    """(description, value) of each cost, as text."""
    rows = []
    if "macs" in cost:
        rows.append([f"multiply-adds of encoding {MACS_SIDE}x{MACS_SIDE}", f"{cost['macs'] / 1e9:,.2f} G"])
    if "memory" in cost:
        size = f"{MEMORY_SIDE}x{MEMORY_SIDE}"
        rows.append([f"memory of {size} at x{MEMORY_SCALE}", f"{cost['memory'] / 1e6:,.1f} MB"])
    scales = f"{len(TIMED_SCALES)} scales, x{TIMED_SCALES[0]} to x{TIMED_SCALES[-1]}"
    for size, seconds in cost.get("seconds", {}).items():
        rows.append([f"average time of {size} over {scales}", f"{1e3 * seconds:,.2f} ms"])
    return rows


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(markdown_table(["method", "x2"], [["bicubic", "33.66"]]))
    | method | x2 |
    | --- | --- |
    | bicubic | 33.66 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _by_scale(images: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    gathered: dict[str, list[Any]] = {}
    for by_scale in images.values():
        for scale, figures in by_scale.items():
            gathered.setdefault(scale, []).append(figures)
    return gathered


def _mean_pair(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    network, bicubic = np.mean(pairs, axis=0).tolist()
    return network, bicubic


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
