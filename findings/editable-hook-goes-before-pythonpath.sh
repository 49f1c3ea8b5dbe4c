#!/usr/bin/env bash
# EXPECTED  PYTHONPATH=other/checkout python benchmark.py runs the packages of that checkout, also if another checkout is
#           installed with pip install -e: PYTHONPATH goes before site-packages. With setuptools it is so.
# SEEN      With scikit-build-core, on which projects with compiled kernels build, the installed checkout runs: its
#           editable installation puts a finder at the front of sys.meta_path, before sys.path is looked at at all.
#           python -S, which loads no such hook, with site-packages named in PYTHONPATH, runs the other checkout.
# VERSIONS  scikit-build-core 1.1.2, setuptools 84.2.1, cmake 4.4.5, ninja 1.13.2, Python 3.11, 2026-11-28.
# MATTERS   Who compares two versions of a renderer or a training step by PYTHONPATH compares the installed one with
#           itself, without a word: equal PSNR, a speed-up of 1.00. workflows/benchmarks/checkouts.py uses -S, and looks
#           at the modules' __file__ first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

project() { # project FOLDER BACKEND REQUIREMENT: package `kernels`, whose WHERE is the folder
    mkdir -p "$1/src/kernels"
    echo "WHERE = '$1'" >"$1/src/kernels/__init__.py"
    printf 'cmake_minimum_required(VERSION 3.20)\nproject(kernels LANGUAGES NONE)\n' >"$1/CMakeLists.txt"
    printf '[build-system]\nrequires = ["%s"]\nbuild-backend = "%s"\n[project]\nname = "kernels"\nversion = "1"\n' \
        "$3" "$2" >"$1/pyproject.toml"
}

run() { # run NAME BACKEND PACKAGE: where `kernels` comes from with PYTHONPATH=other, without and with -S
    project "$1/installed" "$2" "$3"
    project "$1/other" "$2" "$3"
    python3 -m venv "$1/venv"
    "$1/venv/bin/pip" install -q "$3" cmake==4.4.5 ninja==1.13.2
    "$1/venv/bin/pip" install -q --no-build-isolation -e "$1/installed"
    local show="import kernels; print(kernels.WHERE.split('/')[-1])"
    site=$("$1/venv/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
    echo "$(PYTHONPATH="$1/other/src" "$1/venv/bin/python" -c "$show")" \
        "$(PYTHONPATH="$1/other/src:$site" "$1/venv/bin/python" -S -c "$show")"
}

setuptools=$(run setuptools setuptools.build_meta setuptools==84.2.1)
scikit=$(run scikit scikit_build_core.build scikit-build-core==1.1.2)
echo "PYTHONPATH=other: which checkout runs, and which with python -S; expected: other other"
echo "  setuptools        $setuptools"
echo "  scikit-build-core $scikit"
test "$setuptools" = "other other" && test "$scikit" = "installed other"
