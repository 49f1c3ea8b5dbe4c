"""Upscaling and training with the small presets: time and memory, next to IMDN and to the preset `light`.

    python workflows/benchmarks/inference.py [--parts picture,training] [--model FILE] [--previous FILE]

All on one core, in processes that keep freed memory (`sr_model.memory.keep_freed_memory`), as sr-upscale and
sr-train do. Three parts, each printed as a table with the ratio to its baseline:

- `picture`: the centre of a sample photograph, 255x255 pixels, to x4, from tensor to tensor: encoding and
  rendering by --model (default: the reference model) and by the preset `light`; and what sr-upscale does,
  which also corrects the field (--reduction). Baseline: the faster of IMDN (imdn.py) in torch's default
  memory layout and in channels-last. CPU seconds are medians of runs that alternate; peak memory above that
  of the loaded network is measured in a process of its own.
- `training`: a step of the presets at the same batch and crop, and of `span` with its encoder frozen, as the
  reference model was trained; in float32 and in bfloat16, and in float32 with torch alone too, without the
  C++ of sr_model. Baseline: `light` so.
- `photograph`: `sr-upscale` of a synthetic photograph to x2, PNG to PNG, as a program: wall and CPU seconds
  from its start to its end, and its peak memory. Baseline: the model --previous with torch alone, without the
  C++ of sr_model. 24 megapixels take half an hour with the preset `light`.

Weights are random where a row is called by its preset: neither time nor memory depends on them, but for the
sizes of the kernels that are rendered, and of the gaps between them. So the picture is a photograph: in white
noise, which nobody upscales, a trained network leaves gaps, whose filling would be a part of the time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from imdn import IMDN
from measure import (
    in_new_process,
    in_turns,
    machine,
    medians,
    parser,
    peak_above_start,
    print_progress,
    print_table,
    threads,
    write_json,
)
from PIL import Image
from torch import Tensor

from dgp_mining import Dictionary
from sr_model import PRESETS, upscale
from sr_model.checkpoints.checkpoint import Checkpoint
from sr_model.memory import keep_freed_memory
from sr_model.native.library import torch_alone
from sr_model.networks.base import Network
from sr_model.networks.continuoussr.dictionary_choice import chosen_kernels
from sr_model.networks.continuoussr.settings import ContinuousSRSettings
from sr_model.networks.registry import build_network
from sr_model.training.distributed import DistributedContext
from sr_model.training.samples import Batch
from sr_model.training.state import TrainingState
from sr_model.upscaling.upscale import as_network

SCALE = 4
IMDN_LAYOUTS = {"IMDN, default layout": torch.contiguous_format, "IMDN, channels-last": torch.channels_last}
OURS = ("light", "span")
"""Presets, the baseline of training and of photographs first."""
REFERENCE = "reference model"
CORRECTED = ", with the correction"
"""End of the name of a row that is upscaled as by sr-upscale."""
PHOTOGRAPH = Path(__file__).resolve().parents[2] / "data/samples/heldout/chelsea.png"
TORCH_ALONE = ", torch alone"
FROZEN = " with its encoder frozen"
"""End of the name of a row without the C++ of sr_model."""
PARTS = ("picture", "training", "photograph")
Upscale = Callable[[Tensor], Tensor]


def main() -> None:
    options = parser(__doc__.splitlines()[0], "inference.json")
    options.add_argument("--parts", default=",".join(PARTS), help="parts to run, separated by commas")
    options.add_argument(
        "--model", type=Path, help="checkpoint to upscale with (default: the reference model)"
    )
    options.add_argument("--previous", type=Path, help="checkpoint to compare with (default: preset light)")
    options.add_argument(
        "--rounds", type=int, default=9, help="timings, of which medians are taken (default 9)"
    )
    options.add_argument("--megapixels", type=float, default=24, help="of the photograph (default 24)")
    chosen = options.parse_args()
    if unknown := set(chosen.parts.split(",")) - set(PARTS):
        options.error(f"--parts has {', '.join(sorted(unknown))}: name some of {', '.join(PARTS)}")
    if chosen.quick:
        chosen.rounds, chosen.megapixels = 1, 0.005
    for key, value in machine().items():
        print(f"{key}: {value}")
    figures: dict[str, object] = {}
    keep_freed_memory()
    with threads(1):
        for part in chosen.parts.split(","):
            figures[part] = {"picture": picture, "training": training, "photograph": photograph}[part](chosen)
    write_json(chosen.out, figures)


# A picture, from tensor to tensor


def picture(chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Print and return CPU seconds and peak memory of every row."""
    side = 17 if chosen.quick else 255
    image = _centre(side)
    model = chosen.model.name if chosen.model else REFERENCE
    names: dict[str, Path | None] = dict.fromkeys((*IMDN_LAYOUTS, OURS[0]))
    names |= dict.fromkeys((model, model + CORRECTED), chosen.model)
    made = {name: upscaler(name, path) for name, path in names.items()}
    parameters = {name: count for name, (_, count) in made.items()}
    with torch.inference_mode():
        runs = {name: (lambda run=run: run(image)) for name, (run, _) in made.items()}
        taken = medians(in_turns(runs, chosen.rounds, f"{side}x{side} to x{SCALE}", time.process_time))
    memory = {name: in_new_process(peak_of, name, path, side) for name, path in names.items()}
    fastest = min(IMDN_LAYOUTS, key=lambda name: taken[name])
    print(f"\n{side}x{side} pixels of {PHOTOGRAPH.name} to x{SCALE}; ratios to {fastest}")
    rows = [
        [
            name,
            f"{parameters[name]:,}",
            f"{taken[name]:.3f}",
            f"{taken[name] / taken[fastest]:.2f}",
            f"{memory[name] / 1e6:.0f}",
            f"{memory[name] / memory[fastest]:.2f}" if memory[fastest] else "-",  # of tiny ones
        ]
        for name in names
    ]
    print_table(["", "parameters", "CPU s", "ratio", "MB", "ratio"], rows)
    return {name: {"CPU s": taken[name], "bytes": memory[name]} for name in names}


def upscaler(name: str, path: Path | None = None) -> tuple[Upscale, int]:
    """Return what upscales a tensor [1, 3, h, w], and its parameters: IMDN, a preset or a model.

    `path` is the checkpoint of a model; None for the reference model.
    """
    if name in IMDN_LAYOUTS:
        layout = IMDN_LAYOUTS[name]
        imdn = IMDN(SCALE).eval().to(memory_format=layout)
        return lambda image: imdn(image.contiguous(memory_format=layout)), _parameters(imdn)
    network = network_of(name) if name in OURS else as_network(path)
    run = _by_sr_upscale if name.endswith(CORRECTED) else _rendered
    return lambda image: run(network, image), _parameters(network)


def network_of(name: str) -> Network:
    """Return the network of a preset with random weights, for the reference prior."""
    torch.manual_seed(0)
    return build_network(PRESETS[name].network, kernels_of(name)).eval().requires_grad_(False)


def kernels_of(name: str) -> Tensor:
    """Return the kernels that a preset's network blends, [K, 3]."""
    settings = PRESETS[name].network
    assert isinstance(settings, ContinuousSRSettings)
    return torch.tensor(chosen_kernels(settings, Dictionary.reference()).cholesky)


def _rendered(network: Network, image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    return network(image, SCALE).render((SCALE * height, SCALE * width))


def _by_sr_upscale(network: Network, image: Tensor) -> Tensor:
    pixels = (image[0].permute(1, 2, 0) * 255).round().byte().numpy()
    return torch.from_numpy(upscale(pixels, SCALE, model=network))


def _parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def peak_of(name: str, path: Path | None, side: int) -> int:
    """Return the bytes that one upscaling adds to the memory of a process with the loaded network."""
    torch.set_num_threads(1)
    keep_freed_memory()
    run, _ = upscaler(name, path)
    with torch.inference_mode():
        run(_noise(1, 16))  # what is loaded on first use
        image = _centre(side)
        return peak_above_start(lambda: run(image))


def _centre(side: int) -> Tensor:
    """The centre of the photograph, [1, 3, side, side] in [0, 1]."""
    pixels = np.asarray(Image.open(PHOTOGRAPH).convert("RGB"))
    top, left = ((extent - side) // 2 for extent in pixels.shape[:2])
    part = np.ascontiguousarray(pixels[top : top + side, left : left + side].transpose(2, 0, 1))
    return torch.from_numpy(part)[None] / 255


def _noise(batch: int, side: int) -> Tensor:
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


# A training step


def training(chosen: argparse.Namespace) -> dict[str, float]:
    """Print and return CPU seconds of a step by preset and way of computing."""
    batch, crop, scale = (2, 12, 2) if chosen.quick else (16, 24, 3)
    sample = Batch(_noise(batch, crop), (_noise(batch, crop * scale),))
    runs: dict[str, Callable[[], object]] = {}
    for way in (f"float32{TORCH_ALONE}", "float32", "bfloat16"):
        for name in (*OURS, f"{OURS[1]}{FROZEN}"):
            step = _step(name, way.removesuffix(TORCH_ALONE), sample)
            runs[f"{name}, {way}"] = partial(_alone, step) if way.endswith(TORCH_ALONE) else step
    taken = medians(in_turns(runs, chosen.rounds, "a step", time.process_time))
    baseline = next(iter(runs))
    rows = [[name, f"{s:.3f}", f"{s / taken[baseline]:.2f}"] for name, s in taken.items()]
    print(f"\na training step: {batch} crops of {crop}x{crop} LR pixels at x{scale}; ratios to {baseline}")
    print_table(["", "CPU s", "ratio"], rows)
    return taken


def _alone(run: Callable[[], object]) -> None:
    with torch_alone():
        run()


def _step(name: str, precision: str, sample: Batch) -> Callable[[], object]:
    preset = PRESETS[name.removesuffix(FROZEN)]
    settings = replace(preset.train, precision=precision, batch=len(sample.lr), crop=sample.lr.shape[-1])
    if name.endswith(FROZEN):  # as the reference model was trained
        settings = replace(settings, freeze="encoder")
    context = DistributedContext(torch.device("cpu"))
    state = TrainingState.new(preset.network, kernels_of(name.removesuffix(FROZEN)), settings, 0, context)
    return lambda: state.train_step([sample], 1e-4, settings)


# A photograph, from file to file


def photograph(chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Print and return seconds and peak memory of sr-upscale with either model."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photograph.png"
        width = round((chosen.megapixels * 1e6 * 3 / 2) ** 0.5)
        pixels = synthetic_photograph(width * 2 // 3, width)
        Image.fromarray(pixels).save(source)
        figures = {}
        for name, path in zip(OURS, (chosen.previous, chosen.model), strict=True):
            model = path or Path(folder) / f"{name}.safetensors"
            if path is None:
                weights = network_of(name).state_dict()
                Checkpoint(PRESETS[name].network, kernels_of(name), weights, {}).save(model)
            print_progress(f"sr-upscale of {pixels.shape[1]}x{pixels.shape[0]} pixels with {model.name}")
            alone = name == OURS[0]
            label = f"{path or f'preset {name}'}{TORCH_ALONE if alone else ''}"
            figures[label] = cost_of_program(source, Path(folder) / "out.png", model, alone)
    print(f"\nsr-upscale, {pixels.shape[1]}x{pixels.shape[0]} pixels to x2, PNG to PNG; ratios to the first")
    before = next(iter(figures.values()))
    columns = ("wall s", "CPU s", "bytes")
    rows = [
        [
            name,
            *(f"{cost[column] / (1e6 if column == 'bytes' else 1):.4g}" for column in columns),
            *(f"{cost[column] / before[column]:.2f}" for column in columns),
        ]
        for name, cost in figures.items()
    ]
    print_table(["", "wall s", "CPU s", "MB", "ratios", "", ""], rows)
    return figures


def synthetic_photograph(height: int, width: int) -> np.ndarray:
    """Make [H, W, 3] uint8 with about the spectrum of a photograph: noise whose amplitude falls with 1/f."""
    random = torch.Generator().manual_seed(0)
    picture = torch.zeros(1, 3, height, width)
    for octave in range(2, 1 + max(height, width).bit_length()):
        size = [-(-extent >> max(0, extent.bit_length() - octave)) for extent in (height, width)]
        noise = torch.randn(1, 3, *size, generator=random) / 2**octave
        picture += F.interpolate(noise, (height, width), mode="bilinear")
    picture = 0.5 + picture / (4 * picture.std())
    return (picture.clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0).contiguous().numpy()


def cost_of_program(source: Path, target: Path, model: Path, torch_alone: bool) -> dict[str, float]:
    """Run sr-upscale on one thread, and return its wall and CPU seconds and its peak memory."""
    program = "from sr_model.cli.entry import sr_upscale; sr_upscale()"
    peak = target.with_suffix(".bytes")
    measured = "import atexit, pathlib, sys; sys.path.insert(0, {!r}); from measure import peak_memory"
    written = "atexit.register(lambda: pathlib.Path({!r}).write_text(str(peak_memory())))"
    program = f"{measured.format(str(Path(__file__).parent))}; {written.format(str(peak))}; {program}"
    if torch_alone:
        program = f"from sr_model.native import library; library.LIBRARY = None; {program}"
    options = [str(source), "--out", str(target), "--scale", "2", "--model", str(model), "--overwrite"]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", program, *options], env=one_thread)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"sr-upscale with {model} failed")
    return {
        "wall s": time.perf_counter() - began,
        "CPU s": usage.ru_utime + usage.ru_stime,
        "bytes": int(peak.read_text()),
    }


if __name__ == "__main__":
    main()
