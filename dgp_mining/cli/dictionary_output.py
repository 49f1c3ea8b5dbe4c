"""The output of `dgp-mine dictionary`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..prior.quality import REDUNDANT
from .store_output import warning_lines


def dictionary_text(described: dict[str, Any]) -> str:
    """Format the output of `dgp-mine dictionary show` without --json."""
    ranges = ", ".join(f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in described["ranges"].items())
    lines = [
        f"{described['size']} kernels in units of one {described['units']}",
        f"ranges    {ranges}",
        f"smallest eigenvalue  {described['min_eigenvalue']:.3g}",
    ]
    q = described["quality"]
    lines += [
        f"redundant kernels    {q['redundant']:.1%} (within {REDUNDANT:g} of another, affine-invariant; "
        f"median distance to the nearest {q['nearest']:.2f})",
        f"condition numbers    median {q['condition_median']:.1f}, largest {q['condition_max']:.0f}",
    ]
    if covered := described["coverage"]:
        lines.append(
            f"coverage of {covered['gaussians']:,} Gaussians "
            + (
                f"of {covered['held_out_crops']} held-out crops"
                if covered["held_out_crops"]
                else "that it was built from"
            )
        )
        lines += [
            f"  {space:<11} {shares['dictionary']:6.1%}  (box corners {shares['box_corners']:.1%})"
            for space, shares in covered.items()
            if isinstance(shares, dict)
        ]
    known = {"size", "units", "ranges", "min_eigenvalue", "quality", "coverage", "format", "off_lattice_psnr"}
    known.add("warnings")
    lines += [f"{key:<17} {_rounded(value)}" for key, value in described.items() if key not in known]
    return "\n".join([*lines, *warning_lines(described.get("warnings", {}))])


def _rounded(value: Any) -> str:
    """A value of the metadata as one reads it, a number to four digits.

    >>> _rounded(53.740870564836385), _rounded({"numpy": "2.4", "fitting": "1"}), _rounded(None)
    ('53.74', 'numpy 2.4, fitting 1', '-')
    """
    if isinstance(value, dict):
        return ", ".join(f"{name} {_rounded(part)}" for name, part in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)


def comparison_text(names: tuple[str, str], compared: dict[str, Any]) -> str:
    """Format the output of `dgp-mine dictionary compare` without --json."""
    a, b = compared["a"], compared["b"]
    rows = [("", *names), ("kernels", *(f"{size:,}" for size in compared["sizes"]))]
    rows += [
        (f"{name}, mean and spread", *(f"{mean:+.3f} {spread:.3f}" for mean, spread in of_both))
        for name, of_both in compared["entries"].items()
    ]
    rows += [
        ("x against y, by spread", f"{a['asymmetry']:+.3f}", f"{b['asymmetry']:+.3f}"),
        ("mean correlation of x and y", f"{a['tilt']:+.3f}", f"{b['tilt']:+.3f}"),
        (f"redundant (within {REDUNDANT:g})", f"{a['redundant']:.1%}", f"{b['redundant']:.1%}"),
        ("median distance to the nearest", f"{a['nearest']:.3f}", f"{b['nearest']:.3f}"),
        ("condition number, median", f"{a['condition_median']:.1f}", f"{b['condition_median']:.1f}"),
        ("condition number, largest", f"{a['condition_max']:.3g}", f"{b['condition_max']:.3g}"),
    ]
    from_other = (compared["a_from_b"], compared["b_from_a"])
    rows.append(("rms distance to the other's nearest", *(f"{one['distance']:.3f}" for one in from_other)))
    rows += [
        (f"kernels the other can blend, {space}", *(f"{one['coverage'][space]:.1%}" for one in from_other))
        for space in from_other[0]["coverage"]
    ]
    if "quantisation" in a:
        rows.append(("Gaussians: rms distance", f"{a['quantisation']:.3f}", f"{b['quantisation']:.3f}"))
        rows += [
            (
                f"Gaussians: coverage, {space}",
                *(f"{one['coverage'][space]['dictionary']:.1%}" for one in (a, b)),
            )
            for space in a["coverage"]
        ]
    skip = {"coverage", "versions", "fingerprint", "off_lattice_psnr"}
    rows += [
        (key, *("-" if value is None else str(value) for value in both))
        for key, both in compared["metadata"].items()
        if key not in skip
    ]
    return table(rows)


def with_new_keys(metadata: dict[str, Any]) -> dict[str, Any]:
    """Add `held_out_psnr` to the metadata of a dictionary for printing.

    Files call it `off_lattice_psnr`, a key that `--json` keeps until release 0.3.
    """
    old = metadata.get("off_lattice_psnr")
    return metadata if old is None else {**metadata, "held_out_psnr": old}


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align rows of cells in columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    )
