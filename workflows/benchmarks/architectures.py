"""ContinuousSR, GSASR and LIIF after equal training: the PSNR they reach, and what they cost.

    python workflows/benchmarks/architectures.py --minutes 20 --images DIV2K/ --val Set5/ [--prior dict.npz]

Each is trained for the same wall time in the same loop, on the same batches and with the same encoder, that
of `--preset`. All other training settings are the preset's too, except that GSASR has the learning rate of
its own preset. PSNR is by the protocol `benchmark` at x2 to x12; scales are drawn from x1 to x4, so none has
seen x6 and beyond. ContinuousSR and GSASR start as bicubic interpolation; LIIF (liif.py) starts at random and
trains on 2,304 pixels of each crop, as its authors train it.

Costs are those of a 720x720 result, as the GSASR paper measures them: encoding (which GSASR repeats for each
scale), rendering, and the memory of both together: on the CPU all tensors that operators returned, on a GPU
what torch allocated.
"""

from __future__ import annotations

import copy
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from liif import LIIF
from measure import machine, parser, print_progress, print_table, threads, write_json
from torch import Tensor, nn

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, read_rgb
from dgp_mining.prior.dictionary import Dictionary
from sr_model import PRESETS
from sr_model.config.training_settings import TrainSettings
from sr_model.encoders import EDSR
from sr_model.evaluation.protocol import mean_score, score, with_reduction
from sr_model.memory import TensorMemory, keep_freed_memory
from sr_model.networks.base import Network
from sr_model.networks.continuoussr.dictionary_choice import chosen_kernels
from sr_model.networks.registry import build_network
from sr_model.scaling import scaled_extent
from sr_model.training.image_cache import default_cache
from sr_model.training.loss import batch_loss
from sr_model.training.samples import Batch, ImageSet
from sr_model.training.schedule import Budget, learning_rate
from sr_model.training.state import WARM_EMA, fast_bf16

NETWORKS_ALONE = with_reduction("benchmark", "none")
"""The protocol, without the correction that makes results consistent with LR images."""
SAMPLES = Path(__file__).parents[2] / "data" / "samples"
SCALES = (2, 3, 4, 6, 8, 12)
SIDE = 720
LIIF_PIXELS = 48 * 48
REPEATS = 3


@dataclass(frozen=True)
class Features:
    """LIIF's encoding of an image, which can be rendered like a field."""

    liif: LIIF
    """The network."""
    encoded: Tensor
    """[B, 9 channels, h, w]."""

    def render(self, size: tuple[int, int]) -> Tensor:
        return self.liif.decode(self.encoded, size)


class LIIFNetwork(Network):
    """LIIF with the interface of the other networks."""

    conditioned = False
    window = 1

    def __init__(self, encoder: EDSR) -> None:
        super().__init__()
        self.liif = LIIF(encoder, encoder.channels)

    def margins(self, extent: int) -> tuple[int, int]:
        return 0, 0

    def forward(self, image: Tensor, scale: float | Tensor | None = None) -> Features:
        return Features(self.liif, self.liif.encode(image))

    def loss(self, batch: Batch, random: torch.Generator) -> Tensor:
        """L1 loss on some pixels of a batch whose images have one size."""
        (hr,) = batch.hr
        side = hr.shape[-1]
        chosen = torch.randperm(side**2, generator=random)[:LIIF_PIXELS].to(hr.device)
        rows_columns = torch.stack([chosen // side, chosen % side], -1)
        cell = torch.full((2,), 2 / side, device=hr.device)
        guessed = self.liif.query(self.liif.encode(batch.lr), (2 * rows_columns + 1) / side - 1, cell)
        return (guessed - hr.flatten(2)[:, :, chosen].mT).abs().mean()


def main() -> None:
    options = parser(__doc__.splitlines()[0], "architectures.json")
    options.add_argument(
        "--minutes", type=float, default=20, help="training time of each network (default 20)"
    )
    options.add_argument("--images", default=SAMPLES / "mining", help="training images")
    options.add_argument("--val", type=Path, default=SAMPLES / "heldout", help="images to measure on")
    options.add_argument("--prior", type=Path, help="dict.npz; default: the reference prior")
    options.add_argument("--preset", default="light", help="of ContinuousSR (default light)")
    options.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: torch's")
    chosen = options.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    scales, minutes, side = (SCALES, chosen.minutes, SIDE) if not chosen.quick else ((2, 4), 0.02, 48)
    budget = f"{minutes:g} minutes each, {chosen.threads} threads, {device}"
    for key, value in {**machine(), "budget": budget}.items():
        print(f"{key}: {value}")
    try:
        with threads(chosen.threads):
            figures = compete(chosen, device, scales, minutes, side)
    except ImageError as error:
        sys.exit(f"architectures: {error}")
    report(figures, scales, side)
    write_json(chosen.out, {"budget": budget, "preset": chosen.preset, "networks": figures})


def compete(chosen, device: torch.device, scales: tuple[int, ...], minutes: float, side: int) -> dict:
    """Train and measure every network; return figures by name."""
    keep_freed_memory()
    settings = replace(PRESETS[chosen.preset].train, scales=(1.0, 4.0), scale_of="batch")
    crop = scaled_extent(settings.crop, settings.scales[1])
    images = ImageSet(list_images(chosen.images), smallest=crop, cache=default_cache())
    held_out = [read(path) for path in list_images(chosen.val)]
    if chosen.quick:
        held_out = [image[:, :96, :96] for image in held_out]
    made = {}
    for name, network in networks(chosen.preset, chosen.prior).items():
        preset = PRESETS["gsasr-demo" if name == "GSASR" else chosen.preset]
        rated = replace(settings, learning_rate=preset.train.learning_rate)
        steps, best = trained(network.to(device), images, rated, minutes, name)
        print_progress(f"{name}: scoring")
        made[name] = {"steps": steps, "parameters": sum(p.numel() for p in network.parameters())}
        made[name] |= scores(best, held_out, scales)
        with torch.inference_mode():
            made[name]["cost"] = {scale: cost(best, side, scale, device) for scale in scales}
    return made


def networks(preset: str, prior: Path | None) -> dict[str, Network]:
    """Return new networks, all with the encoder of the preset."""
    continuous, gsasr = PRESETS[preset].network, PRESETS["gsasr-demo"].network
    width, depth = continuous.width, continuous.depth
    mined = Dictionary.load(prior) if prior else Dictionary.reference()
    torch.manual_seed(0)
    return {
        "ContinuousSR": build_network(continuous, torch.tensor(chosen_kernels(continuous, mined).cholesky)),
        "GSASR": build_network(replace(gsasr, encoder="edsr", width=width, depth=depth)),
        "LIIF": LIIFNetwork(EDSR(width, depth)),
    }


def trained(
    network: Network, images: ImageSet, settings: TrainSettings, minutes: float, name: str
) -> tuple[int, Network]:
    """Train for `minutes`; return the steps taken and the network with averaged weights."""
    optimiser = torch.optim.Adam(network.parameters(), betas=settings.betas)
    average = copy.deepcopy(network).eval().requires_grad_(False)
    device = next(network.parameters()).device
    random = torch.Generator().manual_seed(0)
    budget, began, reported, step = Budget(minutes=minutes), time.monotonic(), time.monotonic(), 0
    while (spent := budget.spent(step, time.monotonic() - began)) < 1 or step < 1:
        network.begin_step()
        batch = images.batch(settings, 0, step).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast_bf16(device)):
            made = (
                network.loss(batch, random)
                if isinstance(network, LIIFNetwork)
                else network(batch.lr, batch.scales())
            )
        loss = made if isinstance(made, Tensor) else batch_loss(made, batch, settings)
        optimiser.param_groups[0]["lr"] = learning_rate(settings, step, min(spent, 1))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimiser.step()
        network.end_step(lambda largest: None)
        step += 1
        decay = min(settings.ema, (1 + step) / (WARM_EMA + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
            torch._foreach_copy_(list(average.buffers()), list(network.buffers()))
        if time.monotonic() - reported > 10:
            reported = time.monotonic()
            print_progress(f"{name}: step {step}, {100 * spent:.0f} %, loss {loss.item():.4f}")
    return step, average


def read(path: Path) -> Tensor:  # [3, H, W] uint8
    return torch.from_numpy((read_rgb(path) * 255 + 0.5).astype(np.uint8)).permute(2, 0, 1)


def scores(network: Network, images: list[Tensor], scales: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """Return mean PSNR in dB by scale, of the network and of bicubic interpolation."""
    protocol = NETWORKS_ALONE
    means = {
        scale: mean_score(score(network, image, scale, protocol) for image in images) for scale in scales
    }
    return {
        "psnr": {f"x{scale}": scored.psnr for scale, scored in means.items()},
        "bicubic": {f"x{scale}": scored.bicubic_psnr for scale, scored in means.items()},
    }


def cost(network: Network, side: int, scale: int, device: torch.device) -> dict[str, float]:
    """Return seconds of encoding and of rendering side x side pixels, and the peak of bytes held."""
    noise = torch.rand(1, 3, side // scale, side // scale, generator=torch.Generator().manual_seed(0))
    image, size = noise.to(device), (side, side)
    repeats = 1 if isinstance(network, LIIFNetwork) and device.type == "cpu" else REPEATS
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    held = bytes_held(lambda: network(image, scale).render(size), device)  # warms up, too
    field = network(image, scale)
    return {
        "encode": median_seconds(lambda: network(image, scale), wait, REPEATS),
        "render": median_seconds(lambda: field.render(size), wait, repeats),
        "bytes": held + sum(t.nbytes for t in network.parameters()),
    }


def bytes_held(run: Callable[[], object], device: torch.device) -> int:
    """Return the peak of bytes held by `run`, beyond those held before it."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with TensorMemory() as memory:
        run()
    return memory.peak


def median_seconds(run: Callable[[], object], wait: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        wait()
        began = time.perf_counter()
        run()
        wait()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def report(figures: dict, scales: tuple[int, ...], side: int) -> None:
    print("PSNR in dB, protocol benchmark; trained from x1 to x4")
    names = [f"x{scale}" for scale in scales]
    bicubic = next(iter(figures.values()))["bicubic"]
    rows = [["bicubic", "", "", *(f"{bicubic[name]:.2f}" for name in names)]]
    for name, figure in figures.items():
        counts = [f"{figure['steps']:,}", f"{figure['parameters']:,}"]
        rows.append([name, *counts, *(f"{figure['psnr'][scale]:.2f}" for scale in names)])
    print_table(["", "steps", "parameters", *names], rows)
    print(f"cost of {side}x{side} pixels")
    rows = []
    for name, figure in figures.items():
        of = figure["cost"]
        for what, shown in (("encode", "ms to encode"), ("render", "ms to render"), ("bytes", "MB held")):
            unit = 1e6 if what == "bytes" else 1e-3
            rows.append([f"{name}, {shown}", *(f"{of[scale][what] / unit:.1f}" for scale in scales)])
    print_table(["", *names], rows)


if __name__ == "__main__":
    main()
