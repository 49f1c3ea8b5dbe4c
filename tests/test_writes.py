"""Everything that the packages write goes through `atomic_write`, and a list says what does not, and why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (ROOT / "cuda/splat2d", ROOT / "dgp_mining", ROOT / "sr_model")

WRITERS = {"write_text", "write_bytes", "savefig", "savetxt", "save_file", "export_splats", "TiffWriter"}
"""Functions that write a file which they are given the name of, whoever gives it."""
WRITERS_OF_THEIR_FIRST = {"np.save", "np.savez", "np.savez_compressed", "torch.save"}
MODES = set("wax+")

ALLOWED = {
    "cuda/splat2d/atomic_write.py": {"open": "to sync what was written"},
    "dgp_mining/cli/run_log.py": {"open": "the log of runs, which is appended to"},
    "dgp_mining/store/location.py": {"open": "the store's own writer, which makes and renames alike"},
    "dgp_mining/store/pieces.py": {"np.savez_compressed": "into memory"},
    "dgp_mining/prior/continuoussr_table.py": {"np.save": "into memory", "savetxt": "likewise"},
    "dgp_mining/report/export.py": {
        "Image.save": "what atomic_write has given",
        "export_splats": "what atomic_write has given",
    },
    "dgp_mining/report/svg.py": {"Image.save": "into memory"},
    "sr_model/degradation/jpeg.py": {"Image.save": "into memory"},
    "sr_model/evaluation/perceptual.py": {"Image.save": "into a temporary folder of this process"},
    "sr_model/image_io/tiff_writer.py": {"TiffWriter": "into an open file"},
    "sr_model/image_io/writer.py": {"image.save": "into memory"},
    "sr_model/training/image_cache.py": {"open": "the lock of the cache, which nothing is written into"},
}
"""File -> what it calls -> why that is no write in place."""


def outside(tree: ast.AST, written: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
    """(line, call) of all that may write a file other than those that `atomic_write` gives, by name."""
    if isinstance(tree, ast.With):
        given = {
            item.optional_vars.id
            for item in tree.items
            if isinstance(item.optional_vars, ast.Name) and called(item.context_expr) == "atomic_write"
        }
        for item in tree.items:
            yield from outside(item, written | given)
        for node in tree.body:
            yield from outside(node, written | given)
        return
    if isinstance(tree, ast.Call) and (name := writing(tree)) and not names(tree) & written:
        yield tree.lineno, name
    for node in ast.iter_child_nodes(tree):
        yield from outside(node, written)


def writing(call: ast.Call) -> str:
    """What a call is named if it may write a file, else ""."""
    whole = ast.unparse(call.func)
    name = called(call)
    if name == "open":
        modes = [*call.args[:2], *(word.value for word in call.keywords if word.arg == "mode")]
        texts = [mode.value for mode in modes if isinstance(mode, ast.Constant)]
        written = [text for text in texts if isinstance(text, str) and len(text) < 4 and set(text) & MODES]
        return "open" if written and not whole.startswith(("Image.", "zarr.")) else ""
    if name in WRITERS:
        return name
    if whole in WRITERS_OF_THEIR_FIRST:
        return whole
    if name == "save" and ("Image" in whole or whole.startswith("image.")):
        return "Image.save" if "Image" in whole else whole
    return ""


def called(node: ast.AST) -> str:
    """The last part of the name of what is called."""
    return ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""


def names(call: ast.Call) -> set[str]:
    return {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}


def found() -> dict[str, set[str]]:
    files = [path for folder in SOURCES for path in sorted(folder.rglob("*.py"))]
    calls = {path: {name for _, name in outside(ast.parse(path.read_text()))} for path in files}
    return {path.relative_to(ROOT).as_posix(): some for path, some in calls.items() if some}


def test_nothing_writes_in_place() -> None:
    assert found() == {file: set(calls) for file, calls in ALLOWED.items()}


@pytest.mark.parametrize(
    "line",
    [
        "open(path, 'w')",
        "path.open('ab')",
        "path.open(mode='r+')",
        "path.write_text(text)",
        "figure.savefig(path)",
        "np.save(path, table)",
        "Image.fromarray(pixels).save(path)",
        "save_file(tensors, path)",
    ],
)
def test_a_write_in_place_is_found(line: str) -> None:
    assert len(list(outside(ast.parse(line)))) == 1
    within = f"with atomic_write(path) as partial:\n    {line.replace('path', 'partial')}"
    if "partial" in within.splitlines()[1]:
        assert not list(outside(ast.parse(within)))
