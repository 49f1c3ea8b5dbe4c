"""The output of `dgp-mine status` and `verify`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..duration import duration
from ..images.reading import AS_STORED
from ..store.verify import Verification
from ..store.versions import Writer, differing
from ..terminal import count, listed

MOST_COPIES = 3
"""Copies of images that are named in a sentence."""


def status_text(summary: dict[str, Any]) -> str:
    """Format the output of `dgp-mine status` without --json: `summarise`, with the `warnings` added."""
    settings = summary["settings"]
    lines = [
        f"{summary['store']}: {summary['done']:,} of {count(summary['crops'], 'crop')} done, "
        f"{summary['failed']:,} failed, {summary['pending']:,} pending "
        f"({duration(summary['seconds'])} of fitting)",
        f"images    {summary['images'] or 'of several folders'}",
        f"settings  crop {settings['crop']}, density {settings['density']:g}, recipe {settings['recipe']}, "
        f"{settings['iterations']} iterations, seed {settings['seed']}{_reading(settings)}",
    ]
    if recent := summary["recent"]:
        rate = recent["crops_per_second"]
        lines.append(
            f"lately    {rate:.2f} crops/s, the last chunk {duration(recent['idle'])} ago, "
            f"{duration(summary['pending'] / rate)} left at this rate"
        )
    for label, key in (("PSNR", "psnr"), ("held-out-pixel PSNR", "held_out_psnr")):
        if figures := summary[key]:
            spelt = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
            lines.append(f"{label:<9} {spelt} dB")
    for what, unit in (("failed", "crop"), ("skipped", "image")):
        if reasons := summary["reasons"][what]:
            counted = [f"{count(n, unit)}: {reason.removeprefix('is ')}" for reason, n in reasons.items()]
            lines.append(f"{what:<10}{'; '.join(counted)}")
    if several := differing([Writer(**writer) for writer in summary["versions"]]):
        lines.append(f"versions  {len(several)} have written to it: {'; '.join(several)}")
    if copies := summary["copy_of"]:
        lines.append(f"copies    {copies_text(copies)}")
    lines += [f"failed: {failure['error']}" for failure in summary["failures"]]  # every image is named
    lines += listed([f"skipped: {skipped['error']}" for skipped in summary["skipped"]])
    return "\n".join([*lines, *warning_lines(summary["warnings"])])


def warning_lines(warnings: Mapping[str, str]) -> list[str]:
    """Return a line for each warning of prior/soundness.py.

    >>> warning_lines({"dead": "98 % of the Gaussians are dead."})
    ['warning: 98 % of the Gaussians are dead.']
    """
    return [f"warning: {sentence}" for sentence in warnings.values()]


def _reading(settings: dict[str, Any]) -> str:
    """Return the choices on how images are read, such as ", white 10000"; older stores have none."""
    chosen = {key: settings.get(key, usual) for key, usual in asdict(AS_STORED).items()}
    return "".join(
        f", {key} {_short(value)}" for key, value in chosen.items() if value != getattr(AS_STORED, key)
    )


def _short(value: Any) -> str:
    """A setting as it is given on the command line.

    >>> _short(10000.0), _short([-5.0, 900.5]), _short("reinhard")
    ('10000', '-5,900.5', 'reinhard')
    """
    if isinstance(value, list):
        return ",".join(map(_short, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def copies_text(copies: Mapping[str, str]) -> str:
    """Return how many images are copies of others, and the first of them; `copies` is {copy: original}.

    >>> copies_text({"b.png": "a.png", "web/a.webp": "a.png"})
    '2 images are copies of others, and are mined once: b.png = a.png, web/a.webp = a.png'
    """
    first = [f"{copy} = {original}" for copy, original in list(copies.items())[:MOST_COPIES]]
    more = [f"and {len(copies) - MOST_COPIES:,} more"] if len(copies) > MOST_COPIES else []
    are = "is a copy of another, and is" if len(copies) == 1 else "are copies of others, and are"
    return f"{count(len(copies), 'image')} {are} mined once: {', '.join([*first, *more])}"


def with_old_keys(summary: dict[str, Any]) -> dict[str, Any]:
    """Add the old key `off_lattice_psnr` of `held_out_psnr`, which `--json` keeps until release 0.3."""
    return {**summary, "off_lattice_psnr": summary["held_out_psnr"]}


def verification_text(store: str, found: Verification) -> str:
    """Format the output of `dgp-mine verify` without --json."""
    chunks = {damage.chunk: damage.crops for damage in found.damage if damage.chunk}
    lines = listed([damage.what for damage in found.damage])
    if files := found.files:
        lines += listed([f"{name} has changed since it was fitted." for name in files.changed])
        lines += listed([f"{name} no longer exists." for name in files.missing])
        lines.append(
            f"{count(files.same, 'image file')} {'is' if files.same == 1 else 'are'} unchanged, "
            f"{len(files.changed):,} changed, {len(files.missing):,} missing."
        )
        if files.all_missing:
            lines.append("None of its image files is there, so that nothing was compared: name their folder.")
    crops = count(found.crops, "crop") + (f", {found.pending:,} of them pending" if found.pending else "")
    if not found.damage:
        itself = " itself" if files and files.all_missing else ""
        lines.append(f"{store}{itself} is sound: {crops}.")
    elif found.repaired:
        lines.append(f"{store} is repaired: {crops}. Fit the pending ones with the command that made it.")
    else:
        lines.append(
            f"{store} is damaged: {sum(chunks.values()):,} of {crops}. With --repair, the next "
            "'dgp-mine fit' fits them again."
        )
    return "\n".join(lines)
