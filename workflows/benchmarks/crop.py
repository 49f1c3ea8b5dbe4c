"""The CPU time of a crop with default settings, next to another checkout: fit, held-out check, statistics.

    python workflows/benchmarks/crop.py --images KODAK --crops 8 --against CHECKOUT

The other checkout is built, and may be as old as commit 5e9ec53. The checkouts take turns (crop_server.py),
crop by crop, on the centre crops (256x256) of some photographs, one thread each. Printed are both PSNRs,
milliseconds of CPU time, and crops per second and core as `dgp-mine fit` with default settings does many: the
held-out-pixel PSNR is measured on the checkout's default share of the crops. Cutting crops out of images and
writing are not in it: see overhead.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from checkouts import checkouts, start
from measure import machine, parser, print_progress, print_table, write_json

HERE = Path(__file__).resolve().parents[2]
COLUMNS = ("PSNR", "held-out PSNR", "fit", "held-out check", "statistics")
"""dB, dB, and milliseconds."""


def main() -> None:
    options = parser(__doc__.splitlines()[0], "crop.json")
    options.add_argument("--images", type=Path, default=HERE / "data/samples/mining", help="photographs")
    options.add_argument("--crops", type=int, default=8, help="photographs, evenly from all (default 8)")
    options.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout, built")
    options.add_argument("--instruction-set", help="portable, avx2 or avx512 (default: the best)")
    chosen = options.parse_args()
    for key, value in machine().items():
        print(f"{key}: {value}")
    paths = sorted(path for path in chosen.images.iterdir() if path.suffix in (".png", ".jpg", ".webp"))
    paths = paths[:: max(1, len(paths) // chosen.crops)][: 1 if chosen.quick else chosen.crops]
    figures = compare(checkouts(chosen.against), paths, chosen.instruction_set)
    report(figures)
    write_json(chosen.out, figures)


def compare(
    compared: dict[str, Path], paths: list[Path], instruction_set: str | None
) -> dict[str, dict[str, float]]:
    """Return the means over the photographs of COLUMNS, and `share` and `crops_per_second`, by checkout."""
    rows: dict[str, list[list[float]]] = {name: [] for name in compared}
    share: dict[str, float] = {}
    with _servers(compared, instruction_set) as servers:
        for number, path in enumerate([paths[0], *paths]):  # the first fit of a process is slower
            print_progress(f"photograph {number} of {len(paths)}")
            for name, server in servers.items():
                answer = _ask(server, path)
                share[name] = answer.pop("share")
                rows[name] += [answer["row"]] if number else []
    found = {}
    for name, values in rows.items():
        means = dict(zip(COLUMNS, np.mean(values, axis=0).tolist(), strict=True))
        taken = means["fit"] + share[name] * means["held-out check"] + means["statistics"]
        found[name] = {**means, "share": share[name], "crops_per_second": 1e3 / taken}
    return found


@contextmanager
def _servers(
    checkouts: dict[str, Path], instruction_set: str | None
) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """A process for each checkout, with its packages."""
    chosen = [instruction_set] if instruction_set else []
    program = ["-W", "ignore", str(Path(__file__).with_name("crop_server.py")), *chosen]
    servers = {name: start(checkout, program, OMP_NUM_THREADS="1") for name, checkout in checkouts.items()}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.communicate()


def _ask(server: subprocess.Popen[str], path: Path) -> dict[str, Any]:
    assert server.stdin
    assert server.stdout
    server.stdin.write(f"{path.resolve()}\n")
    server.stdin.flush()
    if not (line := server.stdout.readline()):
        sys.exit("crop: a checkout cannot fit; is it built?")
    return dict(json.loads(line))


def report(figures: dict[str, dict[str, float]]) -> None:
    """The table, and the ratio."""
    print_table(
        ["", *COLUMNS[:2], *(f"{column}, ms" for column in COLUMNS[2:]), "share checked", "crops/s"],
        [
            [
                name,
                *(f"{found[column]:.2f}" for column in COLUMNS[:2]),
                *(f"{found[column]:.1f}" for column in COLUMNS[2:]),
                f"{found['share']:g}",
                f"{found['crops_per_second']:.2f}",
            ]
            for name, found in figures.items()
        ],
    )
    if "against" in figures:
        ratio = figures["here"]["crops_per_second"] / figures["against"]["crops_per_second"]
        print(f"ratio of crops per second: {ratio:.2f}")
        whole = [sum(figures[name][column] for column in COLUMNS[2:]) for name in ("here", "against")]
        print(f"the same if the held-out-pixel PSNR of every crop is measured: {whole[1] / whole[0]:.2f}")


if __name__ == "__main__":
    main()
