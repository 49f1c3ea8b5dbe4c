#!/usr/bin/env bash
# EXPECTED  With torch.manual_seed(0), one wheel of torch gives a layer the same first weights on every x86-64 CPU: its
#           generator (Mersenne Twister) is integer arithmetic, and nn.Conv2d and nn.Linear only scale its numbers.
# SEEN      They depend on whether the CPU has AVX2. Without it, uniform_(-b, b) rounds twice (multiply, add) instead of
#           once (fused), which changes four in ten weights of nn.Conv2d; randn of 16 numbers or more takes
#           another Box-Muller transform; trunc_normal_ and orthogonal_ differ, too.
# VERSIONS  torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11, 2026-11-27; needs a CPU with AVX2.
# MATTERS   Two machines that train super-resolution networks from one seed start from different weights, so a seed in a
#           paper does not repeat its run. sr_model/initialisation.py draws float64 numbers by numpy and rounds last.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$folder"
cat > draw.py <<'PYTHON'
import sys

import torch
from torch import nn

torch.set_num_threads(1)
draws = {
    "nn.Conv2d(64, 64, 3).weight": lambda: nn.Conv2d(64, 64, 3).weight,
    "torch.randn(15)": lambda: torch.randn(15),
    "torch.randn(4096)": lambda: torch.randn(4096),
    "trunc_normal_(std=0.02)": lambda: nn.init.trunc_normal_(torch.empty(4096), std=0.02),
    "orthogonal_": lambda: nn.init.orthogonal_(torch.empty(64, 64)),
    "torch.rand(4096)": lambda: torch.rand(4096),
    "torch.randn(4096, dtype=float64).float()": lambda: torch.randn(4096, dtype=torch.float64).float(),
}
drawn = {}
for name, draw in draws.items():
    torch.manual_seed(0)
    drawn[name] = draw().detach()
print(torch.__version__, torch.backends.cpu.get_cpu_capability())
torch.save(drawn, sys.argv[1])
PYTHON
ATEN_CPU_CAPABILITY=default venv/bin/python draw.py without.pt
ATEN_CPU_CAPABILITY=avx2 venv/bin/python draw.py with.pt
venv/bin/python - <<'PYTHON'
import sys

import torch

without, with_avx2 = torch.load("without.pt"), torch.load("with.pt")
different = {name: (without[name] != with_avx2[name]).float().mean().item() for name in without}
print("expected: the same numbers with and without AVX2; seen:")
for name, fraction in different.items():
    print(f"  {name:42} {fraction:6.1%} differ")
names = ("nn.Conv2d(64, 64, 3).weight", "torch.randn(4096)", "trunc_normal_(std=0.02)", "orthogonal_")
sys.exit(0 if all(different[name] > 0 for name in names) else 1)
PYTHON
