"""What the commands that look at a store say."""

from __future__ import annotations

from typing import Any

from ..progress import duration
from . import listed


def status_text(summary: dict[str, Any]) -> str:
    """What `dgp-mine status` prints without --json."""
    settings = summary["settings"]
    lines = [
        f"{summary['store']}: {summary['done']:,} of {summary['crops']:,} crops done, "
        f"{summary['failed']:,} failed, {summary['pending']:,} pending "
        f"({duration(summary['seconds'])} of fitting)",
        f"images    {summary['images']}",
        f"settings  crop {settings['crop']}, density {settings['density']:g}, recipe {settings['recipe']}, "
        f"{settings['iterations']} iterations, seed {settings['seed']}",
    ]
    for label, key in (("psnr", "psnr"), ("off-lattice", "off_lattice_psnr")):
        if figures := summary[key]:
            spelt = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
            lines.append(f"{label:<12}{spelt} dB")
    lines += listed([f"failed: {failure['error']}" for failure in summary["failures"]])
    lines += listed([f"skipped: {skipped['error']}" for skipped in summary["skipped"]])
    return "\n".join(lines)
