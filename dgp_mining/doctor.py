"""What a run will have on this machine: software, memory, cores, libraries, GPUs, caches, shipped files."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import platform
import stat
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from splat2d.native_library import SUFFIX
from splat2d.private_cache import IMAGES, KERNELS, NoHome, NotPrivate, cache_path

from .exit_status import NO_MEMORY, lacks_memory
from .images.formats.table import FORMATS
from .machine import Bound, core_bounds, memory_bounds
from .shipped import MODEL, PRIOR, shipped_file
from .workers.gpus import visible_gpus

PACKAGES = ("dgp-mining", "dask", "distributed", "imagecodecs", "numpy", "pillow", "scipy", "torch", "zarr")
"""Packages whose versions are told; a run needs all of them."""

EXTRAS = {
    "gpu": ("cuda.core", "kernels for NVIDIA GPUs"),
    "notebook": ("tqdm", "TqdmCallback"),
    "perceptual": ("lpips", "sr-eval --metric"),
    "s3": ("s3fs", "stores at s3://"),
    "slurm": ("dask_jobqueue", "workflows/clusters/slurm.py"),
    "tensorboard": ("tensorboard", "curves of a training"),
    "viewer": ("gsplat", "export-field to .ply"),
}
"""Extras, besides those of formats of images: a module that each brings, and what it is for."""

CACHES = {
    "CUDA kernels": (KERNELS, "*.cubin"),
    "decoded images": (IMAGES, "*.images"),
}
"""Caches, with their folders in the user's cache and their files."""

REINSTALL = "install dgp-mining anew"


@dataclass(frozen=True)
class Cache:
    """A cache of the user's."""

    name: str
    folder: str
    files: int
    nbytes: int


@dataclass(frozen=True)
class Diagnosis:
    """What a run will have."""

    versions: dict[str, str]
    """Of Python, the system and PACKAGES; those that are missing are left out."""
    memory: list[Bound]
    """The limits of memory, bytes; what can be allocated is the least `free`."""
    cores: list[Bound]
    """The limits of cores."""
    libraries: dict[str, str]
    """The C++ libraries, and the instruction set in use or what is done without."""
    gpus: list[str]
    """Name and memory of each visible GPU."""
    missing: dict[str, str]
    """Extras that are not installed -> what they are for."""
    temporary: str
    """Folder for temporary files; empty if there is none."""
    caches: list[Cache]
    shipped: dict[str, int]
    """Shipped files and their sizes, bytes."""
    home: bool = True
    """Whether a folder is known for the user's caches."""
    problems: list[str] = field(default_factory=list)
    """One sentence for each thing that runs need and that is broken."""

    @property
    def as_dict(self) -> dict[str, Any]:
        """Return all of it for JSON, with the tightest limits as `available` and `limited_by`."""
        return {
            "versions": self.versions,
            "memory": _limits(self.memory),
            "cores": _limits(self.cores),
            "libraries": self.libraries,
            "gpus": self.gpus,
            "missing": self.missing,
            "temporary": self.temporary,
            "home": self.home,
            "caches": [vars(cache) for cache in self.caches],
            "shipped": self.shipped,
            "problems": self.problems,
        }


def diagnose() -> Diagnosis:
    """Look at what a run will have here; importing torch takes most of the time.

    >>> diagnose().problems
    []
    """
    problems: list[str] = []
    return Diagnosis(
        versions=_versions(problems),
        memory=memory_bounds(),
        cores=core_bounds(),
        libraries=_libraries(problems),
        gpus=_gpus(problems),
        missing=_missing(),
        temporary=_temporary(problems),
        caches=_caches(problems),
        shipped=_shipped(problems),
        home=_has_home(),
        problems=problems,
    )


def clear_caches() -> int:
    """Remove the user's caches' files; return their bytes. Runs that are reading them keep what they have.

    Raises OSError if one cannot be removed.
    """
    freed = 0
    for names, pattern in CACHES.values():
        with contextlib.suppress(NotPrivate):
            for path, about in _files(cache_path(names), pattern):
                path.unlink(missing_ok=True)
                freed += about.st_size
    return freed


def tightest(bounds: list[Bound]) -> Bound:
    """Return the limit that leaves the least."""
    return min(bounds, key=lambda bound: bound.free)


def _limits(bounds: list[Bound]) -> dict[str, Any]:
    least = tightest(bounds)
    return {"available": least.free, "limited_by": least.name, "limits": [vars(bound) for bound in bounds]}


def _versions(problems: list[str]) -> dict[str, str]:
    found = {"Python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            problems.append(f"The package {package} is not installed: {REINSTALL}.")
    try:
        _torch()
    except Exception as error:  # a library that a package brings may be missing, or for another processor
        advice = NO_MEMORY if lacks_memory(error) else "install torch anew"
        problems.append(f"torch cannot be imported ({_first_line(error)}): {advice}.")
    return found


def _torch() -> Any:  # the module
    return importlib.import_module("torch")


# --- C++ libraries ------------------------------------------------------------------------------------------


def _libraries(problems: list[str]) -> dict[str, str]:
    found = {}
    absent = f"not there, slower: {REINSTALL}, where there is a C++ compiler"
    for name, package, state in (
        ("rendering", "splat2d", _rendering),
        ("measuring", "dgp_mining", _measuring),
        ("networks", "sr_model", _networks),
    ):
        try:
            found[name] = state() or absent
        except (ImportError, OSError, AttributeError) as error:
            found[name] = "broken"
            problems.append(
                f"The C++ library of {package} cannot be loaded ({_first_line(error)}): "
                f"{NO_MEMORY if lacks_memory(error) else REINSTALL}."
            )
    return found


def _rendering() -> str:
    from splat2d.backends import cpu

    return cpu.instruction_set() if cpu.LIBRARY is not None else ""


def _measuring() -> str:
    from .native.library import LIBRARY

    return "loaded" if LIBRARY is not None else ""


def _networks() -> str:
    """Open the library of the package above, which this one does not import."""
    spec = find_spec("sr_model")
    for folder in (spec and spec.submodule_search_locations) or ():
        installed = Path(folder, "native", f"native{SUFFIX}")
        for path in (installed, *Path(folder).parent.glob(f"build/*/native{SUFFIX}")):
            if path.exists():
                ctypes.CDLL(str(path))
                return "loaded"
    return ""


# --- the rest -----------------------------------------------------------------------------------------------


def _gpus(problems: list[str]) -> list[str]:
    if not visible_gpus():  # without a look at CUDA, which takes a second
        return []
    try:
        torch = _torch()
        found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    except Exception as error:  # of CUDA, in many kinds
        problems.append(f"A GPU is visible, but torch cannot use it ({_first_line(error)}).")
        return []
    if not found:
        problems.append("A GPU is visible, but torch sees none: install a build of torch with CUDA.")
    return [f"{gpu.name}, {gpu.total_memory / 1e9:.0f} GB" for gpu in found]


def _missing() -> dict[str, str]:
    lacking: dict[str, list[str]] = defaultdict(list)
    for form in FORMATS:
        if form.imported and not _importable(form.imported):
            lacking[form.extra].append(form.name)
    for extra, (module, purpose) in EXTRAS.items():
        if not _importable(module):
            lacking[extra].append(purpose)
    return {extra: ", ".join(dict.fromkeys(purposes)) for extra, purposes in sorted(lacking.items())}


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # the package around it is missing
        return False


def _temporary(problems: list[str]) -> str:
    try:
        return tempfile.gettempdir()  # which writes a file there
    except OSError as error:
        problems.append(
            f"There is no place for temporary files ({error.strerror}): name a folder with the environment "
            "variable TMPDIR."
        )
        return ""


def _caches(problems: list[str]) -> list[Cache]:
    found = []
    for name, (names, pattern) in CACHES.items():
        try:
            folder = cache_path(names)
            sizes = [about.st_size for _, about in _files(folder, pattern)]
        except NoHome:
            continue
        except OSError as error:
            problems.append(f"The cache of {name} is not used ({error.filename}: {error.strerror}).")
            continue
        found.append(Cache(name, str(folder), len(sizes), sum(sizes)))
    return found


def _has_home() -> bool:
    try:
        cache_path(IMAGES)
    except NotPrivate as error:
        return not isinstance(error, NoHome)
    return True


def _files(folder: Path, pattern: str) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files of a cache. Raises NotPrivate if the folder is another user's."""
    if not folder.is_dir():
        return
    if os.name == "posix" and folder.stat().st_uid not in (os.geteuid(), 0):
        raise NotPrivate(0, "it belongs to another user", str(folder))
    for path in sorted(folder.glob(pattern)):
        about = path.lstat()
        if stat.S_ISREG(about.st_mode):
            yield path, about


def _shipped(problems: list[str]) -> dict[str, int]:
    sizes = {}
    for name in (PRIOR, MODEL):
        try:
            with shipped_file(name) as path:
                sizes[name] = path.stat().st_size
        except OSError:
            problems.append(f"{name} is not part of this installation: {REINSTALL}.")
    return sizes


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
