#!/usr/bin/env bash
# EXPECTED  Two programs that use torch on one machine share its cores: each takes about twice the time that it takes alone.
# SEEN      Each takes more than five times that. Threads of GNU's OpenMP, which torch's builds for the CPU bring along, spin while they
#           wait for the next operation, and keep the cores from threads that have work. With OMP_WAIT_POLICY=passive they sleep.
# VERSIONS  torch 2.13.0 (CPU), its libgomp, NumPy 2.4.6, Python 3.11, Linux x86_64, 2 cores, 2026-11-29.
# MATTERS   Several trainings, evaluations or test processes (pytest-xdist) side by side are slower than one after the other. The tests
#           of this project that run two at a time are given OMP_WAIT_POLICY=passive (Makefile); OMP_NUM_THREADS=1 works as well.
set -euo pipefail
unset OMP_NUM_THREADS OMP_WAIT_POLICY GOMP_SPINCOUNT  # nproc, too, obeys the first
if [ "$(nproc)" -lt 2 ]; then
    echo "not shown here: it takes two cores"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cat > "$folder/work.py" <<'PY'
import time

import torch

image, layer = torch.rand(1, 16, 48, 48), torch.nn.Conv2d(16, 16, 3, padding=1)
rounds, ends = 0, time.monotonic() + 8
with torch.inference_mode():
    while time.monotonic() < ends:
        for _ in range(4):
            torch.relu(layer(image))
        rounds += 1
print(rounds)
PY
work() { "$folder/venv/bin/python" "$folder/work.py"; }
both() {
    work > "$folder/first" &
    work > "$folder/second"
    wait
    echo $(($(cat "$folder/first") + $(cat "$folder/second")))
}
alone=$(work)
together=$(both)
passive=$(OMP_WAIT_POLICY=passive both)
echo "rounds in 8 seconds: one process $alone, two together $together, two that wait passively $passive"
if [ "$passive" -gt $((2 * together)) ]; then
    echo "as described"
else
    echo "changed"
    exit 1
fi
