"""Imports run one way: down the packages, and within a package down its rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"splat2d": ROOT / "cuda/splat2d", "dgp_mining": ROOT / "dgp_mining", "sr_model": ROOT / "sr_model"}

LAYERS = {
    "splat2d": """
        atomic_write:
        native_library:
        matlab_imresize:
        rounding:
        private_cache:
        backends: atomic_write native_library private_cache
        version:
        rendering: backends
        weighted_mean:
        row_bands:
        safetensors_header:
        field_file: atomic_write backends safetensors_header
        field: rendering backends weighted_mean row_bands field_file
    """,
    "dgp_mining": """
        duration:
        harmless:
        schema:
        array_file:
        machine:
        freed_memory:
        exit_status:
        signals: exit_status
        terminal: harmless
        error_words: exit_status
        command_line: exit_status error_words
        reading_options: command_line
        covariance:
        retry:
        shipped:
        progress:
        images: harmless machine retry progress
        native: covariance
        fitting: covariance native
        planning: harmless schema retry progress images fitting
        store: schema array_file retry progress images fitting planning
        workers: machine freed_memory signals retry fitting planning store
        prior: schema array_file covariance shipped progress fitting planning store
        report: covariance progress images fitting planning store prior
        callbacks: retry progress planning store workers
        estimate: progress images fitting planning store workers
        doctor: exit_status machine shipped images native workers
        mining: signals retry progress planning store workers callbacks
        cli: harmless machine duration exit_status terminal command_line reading_options retry progress \
            images planning store workers prior report callbacks estimate doctor mining
        entry: exit_status cli
    """,
    "sr_model": """
        memory:
        checks:
        scaling:
        degradation:
        native:
        initialisation: native
        encoders: native initialisation
        networks.bounded:
        networks.mlp: initialisation
        networks.bicubic_start: native
        networks.base: checks encoders networks.bicubic_start
        networks.continuoussr: checks native initialisation encoders networks.base networks.mlp \
            networks.bicubic_start
        networks.gsasr: checks initialisation encoders networks.base networks.mlp networks.bicubic_start
        networks.registry: networks.base networks.continuoussr networks.gsasr
        config: checks degradation networks.base networks.continuoussr networks.gsasr networks.registry
        checkpoints: encoders networks.base networks.bounded networks.continuoussr networks.gsasr \
            networks.registry config
        image_io: scaling
        upscaling: memory scaling native networks.base networks.bicubic_start checkpoints image_io
        evaluation: memory scaling degradation native networks.base image_io upscaling
        training: memory scaling initialisation degradation networks.base networks.bounded networks.registry \
            config checkpoints image_io evaluation
        cli: memory scaling networks.base networks.registry config checkpoints image_io upscaling \
            evaluation training
    """,
}
"""Rooms, and modules that stand beside rooms, each with what it may import; what is lower comes first."""

BELOW = {
    "splat2d": set(),
    "dgp_mining": {"splat2d"},
    "sr_model": {
        "splat2d",
        "dgp_mining.prior",
        "dgp_mining.images",
        "dgp_mining.covariance",
        "dgp_mining.harmless",
        "dgp_mining.schema",
        "dgp_mining.shipped",
        "dgp_mining.command_line",
        "dgp_mining.exit_status",
        "dgp_mining.reading_options",
        "dgp_mining.signals",
        "dgp_mining.terminal",
        "dgp_mining.duration",
        "dgp_mining.freed_memory",
        "dgp_mining.machine",
    },
}
"""What each package may import of the packages below it; of mining, only dictionaries, images, and what all
commands share."""


def allowed(package: str) -> dict[str, set[str]]:
    lines = [line.split(":") for line in LAYERS[package].split("\n") if line.strip()]
    return {name.strip(): set(rooms.split()) for name, rooms in lines}


def module_name(package: str, path: Path) -> str:
    parts = path.relative_to(SOURCES[package]).with_suffix("").parts
    return ".".join([package, *(parts[:-1] if parts[-1] == "__init__" else parts)])


def imports(path: Path, package: str) -> Iterator[str]:
    """The modules that a file imports, also inside functions and for type checking, by absolute name."""
    here = module_name(package, path).split(".")
    if path.name != "__init__.py":
        here = here[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) + 1 - node.level] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def room_of(module: str, package: str) -> str:
    """The longest name in LAYERS that `module` lies in; "" for the package itself."""
    inner = module.removeprefix(package).lstrip(".")
    return max((name for name in allowed(package) if within(inner, name)), key=len, default="")


def within(module: str, room: str) -> bool:
    return f"{module}.".startswith(f"{room}.")


def violations(package: str) -> Iterator[str]:
    rooms = allowed(package)
    for path in sorted(SOURCES[package].rglob("*.py")):
        module = module_name(package, path)
        room = room_of(module, package)
        for imported in imports(path, package):
            top = imported.split(".")[0]
            if top == package:
                target = room_of(imported, package)
                if room and target not in {room, *rooms[room]}:
                    yield f"{module} imports {imported}: {room} may not import {target or package}"
            elif top in SOURCES and not any(within(imported, name) for name in BELOW[package]):
                yield f"{module} imports {imported}: {package} may not import it"
            elif top in ("workflows", "tests"):
                yield f"{module} imports {imported}: nothing imports {top}"


@pytest.mark.parametrize("package", SOURCES)
def test_no_module_imports_from_above_its_room(package: str) -> None:
    assert list(violations(package)) == []


@pytest.mark.parametrize("package", SOURCES)
def test_every_module_has_a_room_and_no_room_names_one_above_it(package: str) -> None:
    rooms = allowed(package)
    homeless = [
        path.name
        for path in SOURCES[package].rglob("*.py")
        if path.name != "__init__.py" and not room_of(module_name(package, path), package)
    ]
    assert homeless == []
    seen: set[str] = set()
    for name, lower in rooms.items():
        assert lower <= seen, f"{name} names a room that is not below it: {lower - seen}"
        assert list(SOURCES[package].glob(name.replace(".", "/") + "*")), f"there is no {name}"
        seen.add(name)


def test_the_trainer_imports_no_dask() -> None:
    """Nor anything else that mining runs on, not even in a deferred import."""
    for path in SOURCES["sr_model"].rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(path, "sr_model")} & {
            "dask",
            "distributed",
            "zarr",
        }


def test_an_import_from_above_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "backends").mkdir()
    (tmp_path / "backends" / "cpu.py").write_text("def f():\n    from ..rendering import render\n")
    monkeypatch.setitem(SOURCES, "splat2d", tmp_path)
    assert list(violations("splat2d")) == [
        "splat2d.backends.cpu imports splat2d.rendering.render: backends may not import rendering"
    ]
