"""Time rendering and fitting with splat2d against a plain C++ baseline (baseline.cpp).

    python workflows/benchmarks/render.py

On one thread: an image of 256x256 pixels and 16,384 Gaussians, forward, forward and backward, and a whole fit
of 300 iterations from the same start. Then an SR field (x4 of 510x340 LR pixels, four Gaussians each, sigma
0.6 spacing) on one thread and on two. Baseline and splat2d alternate, and the table shows medians. With a
CUDA device, the GPU's figures follow. At the end, GSASR's renderer as a second baseline (gsasr_peer.py).
"""

from __future__ import annotations

from collections.abc import Callable

import baseline
import gsasr_peer
import numpy as np
import torch
from measure import NOT_MEASURED, in_turns, machine, medians, parser, print_table, threads, write_json
from torch import Tensor

from dgp_mining import fit_image
from splat2d import GaussianField, render

TARGETS = {"fit": "7", "x4, 2 threads": "0.15 s"}
"""Targets: the least speed-up of a whole fit, and the most seconds of the x4 rendering."""


def main() -> None:
    options = parser(__doc__.splitlines()[0], "render.json")
    options.add_argument("--rounds", type=int, default=5, help="times that each is measured (default 5)")
    chosen = options.parse_args()
    side, iterations, lr = (32, 3, (17, 25)) if chosen.quick else (256, 300, (340, 510))
    rounds = 1 if chosen.quick else max(1, chosen.rounds)
    print(f"baseline: {baseline.described()}; one thread")
    for key, value in machine().items():
        print(f"{key}: {value}")
    photograph = textured(side)
    with threads(1):
        seconds = measure_image(photograph, rounds)
        fits, reached = measure_fit(photograph, iterations, min(rounds, 3))
    seconds |= {"fit": fits} | measure_upscaling(lr, rounds)
    gpu = measure_gpu()
    released = gsasr_peer.measure_all(chosen.quick, min(rounds, 3))
    report(seconds, reached, gpu, iterations)
    gsasr_peer.report(released)
    figures = {"seconds": seconds, "PSNR of the fits, dB": reached, "gpu": gpu, "released renderer": released}
    write_json(chosen.out, {"baseline": baseline.described(), **figures})


Times = dict[str, list[float]]
"""Seconds per round, for the baseline and for splat2d."""


def textured(side: int) -> np.ndarray:  # [side, side, 3] float32
    """Return noise with a photograph's spectrum, amplitude 1 / frequency, in [0, 1]; needs no file."""
    random = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]).clip(1 / side)
    noise = np.fft.rfft2(random.standard_normal((3, side, side)))
    image = np.fft.irfft2(noise / frequency, (side, side))
    image = 0.5 + 0.15 * image / image.std((1, 2), keepdims=True)
    return np.ascontiguousarray(image.clip(0, 1).transpose(1, 2, 0), np.float32)


def measure_image(target: np.ndarray, rounds: int) -> dict[str, Times]:
    """Time rendering the Gaussians of a half-finished fit, and the gradient of its squared error."""
    size = target.shape[:2]
    plain = baseline.fit(target, baseline.grid_start(target), 50)
    tensors = as_tensors(plain)
    goal = torch.from_numpy(target).permute(2, 0, 1)[None]
    assert_equal_images(plain, tensors, size)

    def baseline_both() -> None:
        baseline.backward(plain, baseline.forward(plain, size) - target)

    def both() -> None:
        leaves = [t.requires_grad_() for t in tensors]
        image = render(*leaves, size)
        torch.autograd.grad(image, leaves, image.detach() - goal)

    forward = {
        "baseline": lambda: baseline.forward(plain, size),
        "splat2d": torch.no_grad()(lambda: render(*tensors, size)),
    }
    return {
        "forward": in_turns(forward, 4 * rounds, "forward"),
        "forward + backward": in_turns(
            {"baseline": baseline_both, "splat2d": both}, 4 * rounds, "forward + backward"
        ),
    }


def measure_fit(target: np.ndarray, iterations: int, rounds: int) -> tuple[Times, dict[str, float]]:
    """Time whole fits from the same grid, a Gaussian on every second pixel; and the PSNRs reached, dB."""
    start = baseline.grid_start(target)
    reached: dict[str, float] = {}

    def plain() -> None:
        fitted = baseline.fit(target, start, iterations)
        reached["baseline"] = psnr(baseline.forward(fitted, target.shape[:2]), target)

    def ours() -> None:
        reached["splat2d"] = fit_image(target, density=0.25, recipe="fast", iterations=iterations).psnr

    taken = in_turns({"baseline": plain, "splat2d": ours}, rounds, f"fit of {iterations} iterations")
    return taken, reached


def measure_upscaling(lr: tuple[int, int], rounds: int) -> dict[str, Times]:
    """Time x4 of an LR image of `lr` = (height, width) pixels, with 2x2 Gaussians per pixel."""
    field = sr_field(*lr)
    size = (4 * lr[0], 4 * lr[1])
    scaled = field.scale(4)
    plain = baseline.Gaussians(*(t[0].numpy() for t in (scaled.means, scaled.cholesky, scaled.colors)))

    def on(count: int) -> Callable[[], None]:
        def run() -> None:
            with threads(count):
                field.render(size)

        return run

    runs = {
        "baseline": lambda: baseline.forward(plain, size),
        "splat2d, 1 thread": on(1),
        "splat2d, 2 threads": on(2),
    }
    taken = in_turns(runs, rounds, "x4 of an SR field")
    return {
        f"x4, {count}": {"baseline": taken["baseline"], "splat2d": taken[f"splat2d, {count}"]}
        for count in ("1 thread", "2 threads")
    }


def sr_field(height: int, width: int) -> GaussianField:
    """Return a field like those of networks: a 2x grid in LR pixels, sigma 0.6 of its spacing, row by row."""
    y, x = torch.meshgrid(
        (torch.arange(2 * height) + 0.5) / 2, (torch.arange(2 * width) + 0.5) / 2, indexing="ij"
    )
    means = torch.stack([x, y], -1).reshape(1, -1, 2)
    cholesky = torch.tensor([0.3, 0.0, 0.3]).expand(1, means.shape[1], 3).contiguous()
    colors = torch.rand(1, means.shape[1], 3, generator=torch.Generator().manual_seed(0))
    return GaussianField(means, cholesky, colors, (height, width))


def measure_gpu() -> dict[str, float]:
    """Time rendering the same SR field, by CUDA events; empty without a CUDA device."""
    if not torch.cuda.is_available():
        return {}
    from gpu_check import measure_render

    return measure_render()


def as_tensors(plain: baseline.Gaussians) -> list[Tensor]:
    return [torch.from_numpy(a)[None] for a in (plain.means, plain.cholesky, plain.colors)]


def assert_equal_images(plain: baseline.Gaussians, tensors: list[Tensor], size: tuple[int, int]) -> None:
    """Exit unless both render the same image: otherwise the ratio would mean nothing."""
    ours = render(*tensors, size)[0].permute(1, 2, 0).numpy()
    different = np.abs(ours - baseline.forward(plain, size)) > 1e-4
    # If rounding decides whether a pixel is within the cut-off, 1/255 of a colour may differ.
    if different.mean() > 1e-3:
        raise SystemExit("render: the baseline and splat2d do not render the same image")


def psnr(image: np.ndarray, target: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(image.clip(0, 1) - target, dtype=np.float64).mean()))


def report(
    seconds: dict[str, Times], reached: dict[str, float], gpu: dict[str, float], iterations: int
) -> None:
    titles = {"fit": f"a fit of {iterations} iterations", "x4, 1 thread": "x4 of an SR field, 1 thread"}
    titles["x4, 2 threads"] = "x4 of an SR field, 2 threads"
    per_iteration = 1e3 * medians(seconds["fit"])["baseline"] / iterations
    print(f"the baseline takes {per_iteration:.1f} ms for an iteration of the fit")
    print("the fits reach " + ", ".join(f"{value:.2f} dB ({who})" for who, value in reached.items()))
    rows = []
    for name, taken in seconds.items():
        middle = medians(taken)
        ratio = middle["baseline"] / middle["splat2d"]
        times = [f"{1e3 * middle[who]:.2f} ms" for who in ("baseline", "splat2d")]
        rows.append([titles.get(name, name), *times, f"{ratio:.1f}", TARGETS.get(name, "")])
    device = machine()["GPU"]
    for name in ("render x4 of 510x340, ms", "its gradient, ms"):
        shown = f"{gpu[name]:.3f} ms" if name in gpu else NOT_MEASURED
        rows.append([f"GPU ({device}): {name.removesuffix(', ms')}", "", shown, "", ""])
    print_table(["median of", "baseline", "splat2d", "ratio", "target"], rows)


if __name__ == "__main__":
    main()
