"""Check and measure the CUDA kernels on this machine's GPU.

    PYTHONPATH=cuda:. python workflows/benchmarks/gpu_check.py --out cuda.json

Needs torch, numpy, safetensors and cuda-core, and no build. First it compares the kernels with the dense
float64 renderer and with themselves (the same bits on every run, whatever else is in the batch), the fits
of all recipes with the CPU's bits if the native library is built, and normalised fields, whose gaps are
filled, with the CPU's pictures. Then it measures

- rendering an SR field at x4 of 510x340 LR pixels (four Gaussians each, sigma 0.6 spacing), forward and
  backward: the median of CUDA events;
- fitting 256x256 crops, 0.25 Gaussians per pixel, 300 iterations, from decoded pixels in host memory to
  fields in host memory: crops per second of wall time, and each CUDA kernel's share of it;
- an iteration of the recipe `gaussianimage` at 0.18 Gaussians per pixel, per crop of a batch.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor

from dgp_mining.fitting.batch import fit_images
from dgp_mining.fitting.fit import fit_image
from dgp_mining.fitting.recipes import RECIPES, FastRecipe
from splat2d import GaussianField
from splat2d.backends import cpu, cuda, cuda_launch, dense

CUTOFF = 3.33
TARGETS = {"render x4 of 510x340, ms": 0.3, "crops a second": 100.0}
"""Targets on one H200."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Check and measure splat2d's CUDA kernels.")
    parser.add_argument("--batch", type=int, default=128, help="crops fitted at once (default 128)")
    parser.add_argument("--batches", type=int, default=3, help="batches measured (default 3)")
    parser.add_argument("--out", help="write the figures to this JSON file")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu_check: no CUDA device found: run this on a machine with an NVIDIA GPU")
    began = time.perf_counter()
    cuda.render(*field(1, 1, 3, 1), None, (8, 8), CUTOFF)
    torch.cuda.synchronize()
    figures = {"kernels compiled or loaded, s": time.perf_counter() - began}
    failures = check()
    for line in failures:
        print(f"FAILED  {line}")
    figures |= measure_render() | measure_fit(options.batch, options.batches)
    figures |= measure_gaussianimage(options.batch)
    report(figures)
    if options.out:
        with open(options.out, "w") as file:
            json.dump({"machine": machine(), "failed checks": failures, "figures": figures}, file, indent=2)
    if failures:
        sys.exit(f"gpu_check: {len(failures)} checks failed")


# Checks


def check() -> list[str]:
    """Return the checks that failed, one line each."""
    failures = []
    for channels in (1, 3, 8):
        for size in ((17, 23), (1, 1), (150, 130)):
            inputs = field(3, 400, channels, max(size))
            failures += [f"{channels} channels, {size}: {line}" for line in check_field(inputs, size)]
    failures += [f"awkward field: {line}" for line in check_field(awkward(), (17, 23))]
    failures += check_normalised(torch.device("cuda")) + check_fits()
    print(f"checked against the dense float64 rendering, and fits: {'failed' if failures else 'passed'}")
    return failures


def check_fits() -> list[str]:
    """Check that a batch of crops gives the fields that the CPU fits one by one."""
    if cpu.LIBRARY is None:
        return []
    crops, seeds = list(photographs(3).permute(0, 2, 3, 1)[:, :40, :50]), [4, 5, 6]
    failures = []
    for recipe in RECIPES:
        fits = fit_images(crops, density=0.18, recipe=recipe, iterations=25, seeds=seeds)
        for ours, crop, seed in zip(fits, crops, seeds, strict=True):
            cpus = fit_image(crop, density=0.18, recipe=recipe, iterations=25, seed=seed).field
            if not all(torch.equal(getattr(ours.field, n), getattr(cpus, n)) for n in ("means", "colors")):
                failures.append(f"a fit by {recipe} differs in its bits from the CPU's")
    return failures


def check_normalised(device: torch.device) -> list[str]:
    """Check that normalised fields, with few and with many gaps, have the CPU's pictures and gradients."""
    y, x = torch.meshgrid(torch.arange(12.0) + 0.5, torch.arange(10.0) + 0.5, indexing="ij")
    generator = torch.Generator().manual_seed(0)
    colors = torch.rand(1, x.numel(), 3, generator=generator)
    failures = []
    for name, sigma in {"without gaps": 0.7, "with few gaps": 0.2, "with many gaps": 0.08}.items():
        made = []
        for on in (torch.device("cpu"), device):
            leaves = [
                torch.stack([x.flatten(), y.flatten()], -1)[None].to(on),
                torch.tensor([sigma, 0.1 * sigma, sigma]).expand(1, x.numel(), 3).to(on),
                colors.to(on),
            ]
            leaves = [leaf.clone().requires_grad_() for leaf in leaves]
            normalised = GaussianField(*leaves, size=(12, 10), averaged=True, normalised=True)
            picture = normalised.render((37, 31))
            made.append([picture, *torch.autograd.grad(picture.square().mean(), leaves)])
        for part, ours, cpus in zip(("image", "means", "cholesky", "colors"), *reversed(made), strict=True):
            if (ours.cpu() - cpus).abs().max() > 1e-5 * cpus.abs().max():
                failures.append(f"a normalised field {name}: {part} differs from the CPU's")
    return failures


def check_field(inputs: tuple[Tensor, ...], size: tuple[int, int]) -> list[str]:
    clear = ~near_cutoff(*inputs[:2], size)[:, None]
    weight = (torch.randn(len(clear), inputs[2].shape[2], *size, device="cuda") * clear).contiguous()
    ours = (cuda.render(*inputs, None, size, CUTOFF), *cuda.render_backward(weight, *inputs, None, CUTOFF))
    leaves = [t.double().requires_grad_() for t in inputs]
    exact = dense.render(*leaves, size, None, CUTOFF)
    (exact * weight).sum().backward()
    failures = []
    if (torch.where(clear, ours[0] - exact, 0)).abs().max() > 2e-6 * inputs[2].abs().sum(1).max():
        failures.append("the image differs from the dense renderer's")
    condition = 1 + (inputs[1][..., 1] / inputs[1][..., 2]).abs().max()
    for name, gradient, leaf in zip(("means", "cholesky", "colors"), ours[1:], leaves, strict=True):
        if not (gradient - leaf.grad).abs().max() <= 2e-5 * leaf.grad.abs().max() + 5e-6 * condition:
            failures.append(f"the gradient with respect to {name} differs from the dense renderer's")
    row = tuple(t[-1:].contiguous() for t in inputs)
    again = (
        cuda.render(*row, None, size, CUTOFF),
        *cuda.render_backward(weight[-1:].contiguous(), *row, None, CUTOFF),
    )
    if not all(torch.equal(one, batch[-1:]) for one, batch in zip(again, ours, strict=True)):
        failures.append("a row alone differs in its bits from the row in a batch")
    if cpu.LIBRARY is not None:
        on_cpu = [t.cpu() for t in inputs]
        cpus = (
            cpu.render(*on_cpu, None, size, CUTOFF),
            *cpu.render_backward(weight.cpu(), *on_cpu, None, CUTOFF),
        )
        if not all(torch.equal(one.cpu(), cpu) for one, cpu in zip(ours, cpus, strict=True)):
            failures.append("the bits differ from the CPU kernels'")
    return failures


def near_cutoff(means: Tensor, cholesky: Tensor, size: tuple[int, int]) -> Tensor:
    """Return [B, H, W] bool: pixels at which rounding may decide whether some Gaussian counts."""
    x, y = (torch.arange(extent, device="cuda").double() + 0.5 for extent in (size[1], size[0]))
    mx, my = means.double()[..., None, None].unbind(-3)
    l11, l21, l22 = cholesky.double()[..., None, None].unbind(-3)
    u = (x[None, :] - mx) / l11
    v = (y[:, None] - my - l21 * u) / l22
    return (((u.square() + v.square()) / CUTOFF**2 - 1).abs() < 1e-4).any(1)


def field(batch: int, n: int, channels: int, extent: float) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator("cuda").manual_seed(0)
    means = (torch.rand(batch, n, 2, device="cuda", generator=generator) * 1.4 - 0.2) * extent
    diagonal = 0.3 + 3 * torch.rand(batch, n, 2, device="cuda", generator=generator)
    l21 = 1.5 * torch.randn(batch, n, device="cuda", generator=generator)
    cholesky = torch.stack([diagonal[..., 0], l21, diagonal[..., 1]], -1)
    return means, cholesky, torch.randn(batch, n, channels, device="cuda", generator=generator)


def awkward() -> tuple[Tensor, Tensor, Tensor]:
    """Far outside, on a corner, tiny, huge, needles, extreme correlation: in 17 rows and 23 columns."""
    rows = torch.tensor(
        [
            [1e6, -1e6, 1.0, 0.0, 1.0],
            [0.0, 0.0, 1.0, 0.0, 1.0],
            [23.0, 17.0, 0.8, -0.5, 0.9],
            [5.5, 6.5, 1e-4, 0.0, 1e-4],
            [10.0, 9.0, 1e4, 0.0, 1e4],
            [12.0, 8.6, 50.0, 0.0, 0.05],
            [12.6, 8.0, 0.05, 0.0, 50.0],
            [11.0, 8.0, 8.0, 8.0, 0.1],
            [11.0, 8.0, 8.0, -8.0, 0.1],
        ],
        device="cuda",
    )[:, None]
    return rows[..., :2].contiguous(), rows[..., 2:].contiguous(), torch.ones(len(rows), 1, 3, device="cuda")


# Measurements


def measure_render() -> dict[str, float]:
    """Return milliseconds of rendering at x4 and of its gradient, by CUDA events."""
    rows, columns, size = 680, 1020, (1360, 2040)
    y, x = torch.meshgrid(*(torch.arange(e, device="cuda") * 2.0 + 1 for e in (rows, columns)), indexing="ij")
    means = torch.stack([x, y], -1).reshape(1, -1, 2)
    cholesky = (torch.tensor([1.2, 0.0, 1.2], device="cuda")).expand(1, rows * columns, 3).contiguous()
    colors = torch.rand(1, rows * columns, 3, device="cuda")
    grad = torch.rand(1, 3, *size, device="cuda")
    return {
        "render x4 of 510x340, ms": milliseconds(
            lambda: cuda.render(means, cholesky, colors, None, size, CUTOFF)
        ),
        "its gradient, ms": milliseconds(
            lambda: cuda.render_backward(grad, means, cholesky, colors, None, CUTOFF)
        ),
    }


def milliseconds(run: Callable[[], object], repeats: int = 30) -> float:
    """Median of `repeats` runs after a few to warm up."""
    times = []
    for _ in range(repeats + 5):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times[5:])


def measure_fit(batch: int, batches: int) -> dict[str, float]:
    crops = photographs(batch)
    fit_crops(crops)
    began = time.perf_counter()
    for _ in range(batches):
        means, cholesky, colors = fit_crops(crops)
    seconds = (time.perf_counter() - began) / batches
    fitted = (t.cuda() for t in (means, cholesky, colors))
    error = cuda.render(*fitted, None, (256, 256), CUTOFF).clamp(0, 1).cpu() - crops
    with timed_kernels() as spent:
        fit_crops(crops)
    total = sum(spent.values())
    return {
        "crops a second": batch / seconds,
        "mean PSNR of the fits, dB": -10 * error.square().mean((1, 2, 3)).log10().mean().item(),
        **{f"share of the fit: {name}, %": 100 * t / total for name, t in spent.items()},
    }


def measure_gaussianimage(batch: int) -> dict[str, float]:
    """Time an iteration by the difference of two lengths, so that a fit's other costs do not count."""
    crops, taken = list(photographs(batch).permute(0, 2, 3, 1)), []
    for iterations in (20, 20, 220):  # the first warms up
        began = time.perf_counter()
        fit_images(
            crops, density=0.18, recipe="gaussianimage", iterations=iterations, seeds=list(range(batch))
        )
        taken.append(time.perf_counter() - began)
    return {"gaussianimage, us an iteration and crop": 1e6 * (taken[2] - taken[1]) / 200 / batch}


def photographs(count: int) -> Tensor:  # [count, 3, 256, 256]
    """Noise with a photograph's spectrum, amplitude 1 / frequency, in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    frequency = torch.hypot(torch.fft.fftfreq(256)[:, None], torch.fft.rfftfreq(256)[None, :])
    noise = torch.fft.rfft2(torch.randn(count, 3, 256, 256, generator=generator))
    image = torch.fft.irfft2(noise / frequency.clamp(min=1 / 256))
    return (0.5 + 0.15 * image / image.std((2, 3), keepdim=True)).clamp(0, 1)


def fit_crops(crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fit crops [B, 3, 256, 256] with `fast`: means, Cholesky entries and colours, all in host memory."""
    recipe, spacing = FastRecipe(), 2.0
    target = crops.cuda(non_blocking=True)
    side = torch.arange(128, device="cuda") * spacing + spacing / 2
    y, x = torch.meshgrid(side, side, indexing="ij")
    sigma = torch.full_like(x, recipe.start_sigma * spacing)
    shape = torch.stack([x, y, sigma, torch.zeros_like(x), sigma]).expand(len(crops), 5, 128, 128)
    color = torch.nn.functional.avg_pool2d(target, 2) / (2 * math.pi * recipe.start_sigma**2)
    parameters = torch.cat([shape, color], 1).flatten(2)
    cuda.fit_fast(
        target,
        parameters,
        torch.zeros_like(parameters),
        torch.zeros_like(parameters),
        recipe.rates(spacing),
        start=0,
        cutoff=CUTOFF,
        min_sigma=recipe.min_sigma * spacing,
        betas=(recipe.beta1, recipe.beta2),
        epsilon=recipe.epsilon,
        opposed=recipe.opposed,
    )
    a, b, c = parameters[:, 2:5].unbind(1)
    l11 = torch.hypot(a, b)
    cholesky = torch.stack([l11, b * (a + c) / l11, (a * c - b * b) / l11], -1)
    return parameters[:, :2].mT.contiguous().cpu(), cholesky.cpu(), parameters[:, 5:].mT.contiguous().cpu()


@contextmanager
def timed_kernels():
    """Context manager: time every launch by CUDA events; yields milliseconds by name, set at the end."""
    untimed, events, spent = cuda_launch.launcher, [], defaultdict(float)

    def launcher(device: torch.device, channels: int) -> cuda_launch.Launch:
        launch = untimed(device, channels)

        def timed(name: str, warps: int, *arguments: cuda_launch.Argument) -> None:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            launch(name, warps, *arguments)
            end.record()
            events.append((name, begin, end))

        return timed

    cuda_launch.launcher = launcher
    try:
        yield spent
    finally:
        cuda_launch.launcher = untimed
    torch.cuda.synchronize()
    for name, begin, end in events:
        spent[name] += begin.elapsed_time(end)


# Report


def report(figures: dict[str, float]) -> None:
    for key, value in machine().items():
        print(f"{key:<44} {value}")
    for name, value in figures.items():
        target = f"   (target on one H200: {TARGETS[name]:g})" if name in TARGETS else ""
        print(f"{name:<44} {value:10.3f}{target}")


def machine() -> dict[str, str]:
    properties = torch.cuda.get_device_properties(0)
    return {
        "GPU": f"{properties.name}, sm_{properties.major}{properties.minor}, "
        f"{properties.multi_processor_count} multiprocessors, {properties.total_memory / 2**30:.0f} GiB",
        "system": platform.platform(),
        "python, torch, CUDA": f"{platform.python_version()}, {torch.__version__}, {torch.version.cuda}",
    }


if __name__ == "__main__":
    main()
