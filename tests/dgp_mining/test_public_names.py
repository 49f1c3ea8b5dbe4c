"""`dgp_mining` shows its public names, and nothing else, before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys

import dgp_mining

NAMES = {
    *("Callback", "Dictionary", "Fit", "Settings", "Store", "StoreSettings", "TqdmCallback"),
    *("build_dictionary", "fit_image", "merge", "mine", "summarise", "survey", "verify", "write_report"),
    *("DictionaryError", "ImageError", "ReportError", "RunError", "StoreError"),
}


def test_completion_offers_the_public_names_and_no_internals() -> None:
    assert {name for name in dir(dgp_mining) if not name.startswith("_")} == NAMES
    assert set(dgp_mining.__all__) == NAMES
    for name in NAMES:
        assert getattr(dgp_mining, name).__doc__, name


def test_importing_the_package_imports_neither_torch_nor_dask() -> None:
    program = "import sys, dgp_mining; print(dir(dgp_mining), {'torch', 'dask', 'zarr'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
