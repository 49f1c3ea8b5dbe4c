#!/usr/bin/env bash
# EXPECTED  zarr.consolidate_metadata(store) writes the metadata that are there, whatever copies groups below carry.
# SEEN      It takes the consolidated metadata of groups two levels below for the truth, and hides what is newer; and
#           Group.members(use_consolidated_for_children=False) trusts those of all groups below.
# VERSIONS  zarr 3.1.6, Python 3.11, 2026-11-28.
# MATTERS   A store grows beside such a copy: it is renewed from below to above, and compared with the files
#           (dgp_mining/store/consolidated.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q zarr==3.1.6
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import sys

import zarr

zarr.create_group("a.zarr").create_group("parts/one").create_array("old", shape=3, dtype="u1")
zarr.consolidate_metadata("a.zarr", path="parts/one")
zarr.create_array("a.zarr/parts/one/new", shape=3, dtype="u1")
zarr.consolidate_metadata("a.zarr")
copied = zarr.open_group("a.zarr").metadata.consolidated_metadata.flattened_metadata
root = zarr.open_group("a.zarr", use_consolidated=False)
members = dict(root.members(max_depth=None, use_consolidated_for_children=False))
expected, seen = (True, True), ("parts/one/new" in copied, "parts/one/new" in members)
print(f"the new array is in the consolidated metadata and in members(): expected {expected}, seen {seen}")
sys.exit(0 if seen == (False, False) else 1)
PYTHON
