"""What an evaluation found, for programs (JSON) and for papers (Markdown)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .cost import MACS_SIDE, MEMORY_SCALE, MEMORY_SIDE, TIMED_SCALES
from .evaluate import Result
from .protocol import Score, mean


@dataclass
class Report:
    """Results of one network, as they come."""

    model: str
    """Its file, or what else it is called."""
    data: str
    """The folder of HR images."""
    protocol: str
    """Name of the protocol."""
    scores: dict[str, dict[str, Score]] = field(default_factory=dict)
    """By image, and by scale as in "x2.5"."""
    perceptual: dict[str, dict[str, dict[str, tuple[float, float]]]] = field(default_factory=dict)
    """By image, by scale, and by metric: (network, bicubic)."""
    of_sets: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    """By scale and metric: (network, bicubic) of all images together."""
    cost: dict[str, Any] = field(default_factory=dict)
    """What was asked of `cost`: macs, memory in bytes, seconds by LR size."""

    def add(self, name: str, result: Result) -> None:
        """Take in one image at one scale."""
        self.scores.setdefault(name, {})[key(result.scale)] = result.score
        if result.perceptual:
            self.perceptual.setdefault(name, {})[key(result.scale)] = result.perceptual

    def means(self) -> dict[str, Score]:
        """By scale: the mean over images."""
        return {scale: mean(by_scale) for scale, by_scale in _by_scale(self.scores).items()}

    def perceptual_means(self) -> dict[str, dict[str, tuple[float, float]]]:
        """By scale and metric: (network, bicubic), means over images or of the set."""
        means: dict[str, dict[str, tuple[float, float]]] = {}
        for scale, found in _by_scale(self.perceptual).items():
            means[scale] = {
                metric: tuple(np.mean([one[metric] for one in found], axis=0).tolist()) for metric in found[0]
            }
        for scale, figures in self.of_sets.items():
            means.setdefault(scale, {}).update(figures)
        return means

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what is infinite, as the PSNR of a perfect copy, is null."""
        report: dict[str, Any] = {"protocol": self.protocol, "model": self.model, "data": self.data}
        if self.scores:
            report["mean"] = {scale: asdict(score) for scale, score in self.means().items()}
            report["images"] = {
                name: {scale: asdict(score) for scale, score in scores.items()}
                for name, scores in self.scores.items()
            }
        if further := self.perceptual_means():
            report["perceptual"] = {"mean": further, "images": self.perceptual}
        return _finite(report | ({"cost": self.cost} if self.cost else {}))

    def markdown(self) -> str:
        """Tables as papers have them: a row for each method, a column for each scale."""
        parts = []
        if means := self.means():
            parts += [
                f"PSNR (dB) / SSIM on {self.data}, {len(self.scores)} images, protocol `{self.protocol}`",
                table(
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
        for metric in next(iter(further.values()), {}):
            columns = [further[scale][metric] for scale in further]
            rows = [
                ["bicubic", *(f"{bicubic:.4f}" for _, bicubic in columns)],
                [self.model, *(f"{network:.4f}" for network, _ in columns)],
            ]
            parts += [f"{metric.upper()} (less is better)", table(["method", *further], rows)]
        if self.cost:
            parts.append(table(["cost", self.model], cost_rows(self.cost)))
        return "\n\n".join(parts)


def key(scale: float) -> str:
    """What a scale is called: x4, x2.5."""
    return f"x{scale:g}"


def cost_rows(cost: Mapping[str, Any]) -> list[list[str]]:
    """What each cost is of, and the cost."""
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


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _by_scale(images: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    gathered: dict[str, list[Any]] = {}
    for by_scale in images.values():
        for scale, figures in by_scale.items():
            gathered.setdefault(scale, []).append(figures)
    return gathered


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
