"""What sr-eval prints: figures on stdout, and on stderr what could not be measured."""

from __future__ import annotations

from collections.abc import Iterator

from dgp_mining.command_line import in_options
from dgp_mining.images.paths import printable_name
from dgp_mining.terminal import ProgressLine, count, notify

from ..evaluation.evaluate import Skipped
from ..evaluation.protocol import Score
from ..evaluation.tables import EvaluationReport, cost_rows


def score_line(scale: str, name: str, score: Score) -> str:
    """PSNR and SSIM of the network and of bicubic interpolation, on one line."""
    return (
        f"{scale:<5} {score.psnr:6.2f} dB {score.ssim:.4f}   "
        f"bicubic {score.bicubic_psnr:6.2f} dB {score.bicubic_ssim:.4f}   {printable_name(name)}"
    )


def summary_lines(report: EvaluationReport) -> Iterator[str]:
    """The means over all images, and the costs."""
    counts = report.counts()
    for scale, score in report.means().items():
        yield score_line(scale, f"mean of {counts[scale]}, {report.conditions()}", score)
    for scale, figures in report.perceptual_means().items():
        for metric, (ours, bicubic) in figures.items():
            yield f"{scale:<5} {metric} {ours:.4f}   bicubic {bicubic:.4f}"
    for what, cost in cost_rows(report.cost):
        yield f"{what}: {cost}"


class SkippedLines:
    """Collects and prints on stderr what could not be measured."""

    def __init__(self, line: ProgressLine) -> None:
        self.line = line
        """The progress, above which it is printed."""
        self.all: list[Skipped] = []

    def __call__(self, skipped: Skipped) -> None:
        """Print why something is skipped."""
        self.all.append(skipped)
        self.line.clear()
        notify(f"skipped: {in_options(skipped.reason)}")

    def ending(self, images: int) -> str:
        """What is missing from the means, in one sentence; `images` were to be evaluated."""
        skipped = {one.path or one.reason for one in self.all if one.missing is None}
        missing = sorted({one.missing for one in self.all if one.missing})
        of_all = f"{len(skipped):,} of {count(images, 'image')}"
        parts = [f"{of_all} skipped, at some scales or all"] if skipped else []
        parts += [f"no {' and no '.join(missing)} of some images"] if missing else []
        return f"{'; '.join(parts)}; the means are over the others."
