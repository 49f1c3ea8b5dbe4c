"""What sr-eval prints without --json and --markdown."""

from __future__ import annotations

from collections.abc import Iterator

from ..evaluation.protocol import Score
from ..evaluation.tables import EvaluationReport, cost_rows


def score_line(scale: str, name: str, score: Score) -> str:
    """PSNR and SSIM of the network and of bicubic interpolation, on one line."""
    return (
        f"{scale:<5} {score.psnr:6.2f} dB {score.ssim:.4f}   "
        f"bicubic {score.bicubic_psnr:6.2f} dB {score.bicubic_ssim:.4f}   {name}"
    )


def summary_lines(report: EvaluationReport) -> Iterator[str]:
    """The means over all images, and the costs."""
    for scale, score in report.means().items():
        yield score_line(scale, f"mean of {len(report.scores)}, protocol {report.protocol}", score)
    for scale, figures in report.perceptual_means().items():
        for metric, (ours, bicubic) in figures.items():
            yield f"{scale:<5} {metric} {ours:.4f}   bicubic {bicubic:.4f}"
    for what, cost in cost_rows(report.cost):
        yield f"{what}: {cost}"
