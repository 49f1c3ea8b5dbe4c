"""What it is worth to make results consistent with their input, by scale, round, and maker of the input.

    python workflows/benchmarks/consistency.py --images KODAK
    python workflows/benchmarks/consistency.py --images SET5 --scales 2,3 --model runs/a/best.safetensors

The first table has the PSNR of results (protocol `benchmark`) after 0 to 5 rounds of back-projection and
after as many as by default; behind a slash is the PSNR of these results, reduced again by the kernel that
made the LR image, against that image. The second has the PSNR where LR images were made by other kernels,
with noise or as JPEG: of bicubic interpolation, of the network alone, corrected for bicubic as by default,
and for the kernel itself, with differences from the interpolation.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measure import machine, parser, print_progress, print_table, threads, write_json
from PIL import Image
from torch import Tensor

from sr_model.degradation import bicubic
from sr_model.degradation.resize import resize
from sr_model.evaluation.evaluate import read_pixels
from sr_model.evaluation.metrics import psnr
from sr_model.evaluation.planning import hr_files
from sr_model.evaluation.protocol import PROTOCOLS, Comparison, low_resolution, score_comparison
from sr_model.networks.base import Network
from sr_model.upscaling.consistency import Reduction, made_consistent
from sr_model.upscaling.upscale import as_network

ROUNDS = 5
PROTOCOL = PROTOCOLS["benchmark"]


@dataclass(frozen=True)
class Maker:
    """A way to make LR images."""

    kernel: str = "bicubic"
    """The kernel of `resize`."""
    noise: float = 0.0
    """Standard deviation of the noise that is added, in levels."""
    jpeg: int | None = None
    """Quality as a JPEG; None for none."""

    def __call__(self, hr: Tensor, size: tuple[int, int], random: np.random.Generator) -> Tensor:
        """Reduce [3, H, W] uint8 to `size`, [3, h, w] uint8."""
        levels = resize(hr / 255, size, self.kernel).clamp(0, 1) * 255
        noisy = levels + torch.from_numpy(random.normal(0, 1, levels.shape) * self.noise)
        lr = noisy.round().clamp(0, 255).byte()
        if self.jpeg is None:
            return lr
        file = io.BytesIO()
        Image.fromarray(lr.permute(1, 2, 0).numpy()).save(file, "jpeg", quality=self.jpeg)
        return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)


MAKERS = {
    "bicubic": Maker(),
    "bilinear": Maker("bilinear"),
    "area": Maker("area"),
    "lanczos": Maker("lanczos"),
    "nearest": Maker("nearest"),
    "bicubic, JPEG 90": Maker(jpeg=90),
    "bicubic, JPEG 70": Maker(jpeg=70),
    "bicubic, noise of 2": Maker(noise=2),
    "bicubic, noise of 10": Maker(noise=10),
}
CORRECTIONS = ("none", "bicubic", "its own")


@torch.inference_mode()
def results(
    network: Network, lr: Tensor, size: tuple[int, int], ways: Sequence[tuple[Reduction, int | None]]
) -> list[Tensor]:
    """The LR image [3, h, w] uint8 upscaled once, [3, H, W] in 8 bits, by each (reduction, rounds)."""
    scales = (size[0] / lr.shape[1], size[1] / lr.shape[2])
    planes = lr[None] / 255
    field = network(planes, (scales[0] * scales[1]) ** 0.5)
    made = []
    for reduction, rounds in ways:
        corrected = made_consistent(network, field, planes, scales, reduction, rounds=rounds)
        made.append((corrected.render(size)[0].clamp(0, 1) * 255).round() / 255)
    return made


def psnr_of(result: Tensor, hr: Tensor, scale: float) -> float:
    return score_comparison(Comparison(hr / 255, result, result), scale, PROTOCOL).psnr


def consistency(result: Tensor, lr: Tensor) -> float:
    reduced = resize(result, (lr.shape[1], lr.shape[2]), "bicubic").clamp(0, 1)
    return psnr(reduced.double(), lr.double() / 255)


def by_rounds(network: Network, hr: Tensor, scale: float) -> list[tuple[float, float]]:
    """(PSNR, consistency) after 0 to ROUNDS rounds, and then by default."""
    lr, hr = low_resolution(hr, scale, PROTOCOL.lr)
    ways = [("bicubic", rounds) for rounds in (*range(ROUNDS + 1), None)]
    made = results(network, lr, (hr.shape[1], hr.shape[2]), ways)
    return [(psnr_of(one, hr, scale), consistency(one, lr)) for one in made]


def by_correction(network: Network, hr: Tensor, scale: float, maker: Maker) -> list[float]:
    """PSNR of bicubic interpolation, and by CORRECTIONS."""
    lr, hr = low_resolution(hr, scale, PROTOCOL.lr)
    lr = maker(hr, (lr.shape[1], lr.shape[2]), np.random.default_rng(0))
    own = "none" if maker.kernel == "nearest" else maker.kernel
    size = (hr.shape[1], hr.shape[2])
    made = results(network, lr, size, [(one, None) for one in ("none", "bicubic", own)])
    return [psnr_of(one, hr, scale) for one in (bicubic(lr, size, PROTOCOL.lr) / 255, *made)]


def means(images: Sequence[Tensor], what: str, measure: Callable[[Tensor], list]) -> list:
    """The means over images of what `measure` finds."""
    found = []
    for index, hr in enumerate(images):
        print_progress(f"{what}: image {index + 1} of {len(images)}")
        found.append(measure(hr))
    return np.mean(found, axis=0).tolist()


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    command = parser(__doc__ or "", "consistency.json")
    command.add_argument("--images", type=Path, default=root / "data/samples/heldout", help="HR images")
    command.add_argument("--model", type=Path, help="checkpoint (default: the reference model)")
    command.add_argument("--scales", default="2,3,3.7,4", help="scales of the first table")
    command.add_argument("--made", default="2,4", help="scales of the second")
    options = command.parse_args()
    network = as_network(options.model)
    images = [read_pixels(path) for path in hr_files(options.images)]
    if options.quick:
        images = [image[:, :60, :60] for image in images[:2]]
    with threads(1):
        rounds = {
            f"x{scale:g}": means(images, f"x{scale:g}", lambda hr, scale=scale: by_rounds(network, hr, scale))
            for scale in map(float, options.scales.split(","))
        }
        made = {
            f"x{scale:g}, {name}": means(
                images,
                f"x{scale:g}, {name}",
                lambda hr, scale=scale, maker=maker: by_correction(network, hr, scale, maker),
            )
            for scale in map(float, options.made.split(","))
            for name, maker in MAKERS.items()
        }
    print_progress("")
    print(f"{len(images)} images of {options.images.name}, model {options.model or 'reference'}\n")
    print_table(
        ["rounds", *map(str, range(ROUNDS + 1)), "default"],
        [[scale, *(f"{one:.2f} / {other:.1f}" for one, other in row)] for scale, row in rounds.items()],
    )
    print()
    print_table(
        ["made by", "interpolated", *CORRECTIONS],
        [
            [name, f"{row[0]:.2f}", *(f"{one:.2f} ({one - row[0]:+.2f})" for one in row[1:])]
            for name, row in made.items()
        ],
    )
    write_json(options.out, {**machine(), "rounds": rounds, "made": made})


if __name__ == "__main__":
    main()
