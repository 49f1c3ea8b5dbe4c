"""What the commands that look at a store say."""

from __future__ import annotations

from typing import Any

from ..store.verify import Verification
from .output import listed
from .progress import duration


def status_text(summary: dict[str, Any]) -> str:
    """What `dgp-mine status` prints without --json."""
    settings = summary["settings"]
    lines = [
        f"{summary['store']}: {summary['done']:,} of {summary['crops']:,} crops done, "
        f"{summary['failed']:,} failed, {summary['pending']:,} pending "
        f"({duration(summary['seconds'])} of fitting)",
        f"images    {summary['images'] or 'of several folders'}",
        f"settings  crop {settings['crop']}, density {settings['density']:g}, recipe {settings['recipe']}, "
        f"{settings['iterations']} iterations, seed {settings['seed']}",
    ]
    if recent := summary["recent"]:
        rate = recent["crops_per_second"]
        lines.append(
            f"running   {rate:.2f} crops/s of late, the last chunk {duration(recent['idle'])} ago, "
            f"{duration(summary['pending'] / rate)} left"
        )
    for label, key in (("psnr", "psnr"), ("off-lattice", "off_lattice_psnr")):
        if figures := summary[key]:
            spelt = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
            lines.append(f"{label:<12}{spelt} dB")
    for what, unit in (("failed", "crops"), ("skipped", "images")):
        if reasons := summary["reasons"][what]:
            counted = "; ".join(f"{n:,} {unit}: {reason}" for reason, n in reasons.items())
            lines.append(f"{what:<10}{counted}")
    lines += listed([f"failed: {failure['error']}" for failure in summary["failures"]])
    lines += listed([f"skipped: {skipped['error']}" for skipped in summary["skipped"]])
    return "\n".join(lines)


def verification_text(store: str, found: Verification) -> str:
    """What `dgp-mine verify` prints without --json."""
    chunks = {damage.chunk: damage.crops for damage in found.damage if damage.chunk}
    lines = listed([damage.what for damage in found.damage])
    if files := found.files:
        lines += listed([f"{name} is not the file that it was when it was fitted." for name in files.changed])
        lines += listed([f"{name} is not there any more." for name in files.missing])
        lines.append(
            f"{files.same:,} image files are what they were, {len(files.changed):,} are not, "
            f"{len(files.missing):,} are missing."
        )
    crops = f"{found.crops:,} crops" + (f", {found.pending:,} of them pending" if found.pending else "")
    if not found.damage:
        lines.append(f"{store} is sound: {crops}.")
    elif found.repaired:
        lines.append(f"{store} is repaired: {crops}. The command that made it fits those again.")
    else:
        lines.append(
            f"{store} is damaged: {sum(chunks.values()):,} of {crops}. With --repair, the next "
            "'dgp-mine fit' does them again."
        )
    return "\n".join(lines)
