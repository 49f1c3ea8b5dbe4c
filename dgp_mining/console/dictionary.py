"""What `dgp-mine dictionary` says."""

from __future__ import annotations

from typing import Any


def dictionary_text(described: dict[str, Any]) -> str:
    """What `dgp-mine dictionary show` prints without --json."""
    ranges = ", ".join(f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in described["ranges"].items())
    lines = [
        f"{described['size']} kernels in units of one {described['units']}",
        f"ranges    {ranges}",
        f"smallest eigenvalue  {described['min_eigenvalue']:.3g}",
    ]
    if covered := described["coverage"]:
        lines.append(
            f"coverage of {covered['gaussians']:,} Gaussians "
            + (
                f"of {covered['held_out_crops']} held-out crops"
                if covered["held_out_crops"]
                else "it is made of"
            )
        )
        lines += [
            f"  {space:<11} {shares['dictionary']:6.1%}  (box corners {shares['box_corners']:.1%})"
            for space, shares in covered.items()
            if isinstance(shares, dict)
        ]
    known = {"size", "units", "ranges", "min_eigenvalue", "coverage", "format"}
    lines += [f"{key:<17} {value}" for key, value in described.items() if key not in known]
    return "\n".join(lines)
