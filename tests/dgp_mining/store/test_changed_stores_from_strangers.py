"""Whatever a stranger or a bad disk changes in a store: commands work, or end with one sentence."""

from __future__ import annotations

import io
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from mutations import CONTROL, changed_bytes, changed_json, examples, is_one_sentence, outcome
from numcodecs.zstd import Zstd
from strange_stores import (
    attributes_of,
    describe,
    part_of,
    with_checksum,
)
from zarr.errors import ZarrUserWarning

from dgp_mining.cli import main
from dgp_mining.store.columns import ArrayName
from dgp_mining.store.integrity import DamagedError
from dgp_mining.store.layout import ArrayLayout
from dgp_mining.store.location import Location
from dgp_mining.store.pieces import Pieces
from dgp_mining.store.store import Store


@pytest.fixture(scope="module")
def newer(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of version 0.1.0, with what later ones have, and with consolidated metadata."""
    store = shutil.copytree(whole, tmp_path_factory.mktemp("newer") / "a.zarr")
    Store.open(store).record_writer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(str(store), zarr_format=3)
    return store


COMMANDS = (
    ["status"],
    ["status", "--json"],
    ["verify"],
    ["verify", "--repair"],
    ["export-field", "--index", "0"],
    ["dictionary", "build"],
    ["merge"],
)


def right_or_one_sentence(store: Path, command: list[str]) -> None:
    """A command ends with status 0, 1 or 3, and with at most one sentence of an error."""
    folder = store.parent
    options = {
        "export-field": ["--out", str(folder / "field.png"), "--images", str(folder / "none")],
        "dictionary": ["--out", str(folder / "dict.npz"), "--kernels", "8"],
        "merge": [str(store), "--out", str(folder / "merged.zarr")],
    }
    shutil.rmtree(folder / "merged.zarr", ignore_errors=True)
    named = [] if command == ["merge"] else ["--store", str(store)]
    done = CliRunner().invoke(main, [*command, *named, *options.get(command[0], [])])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in (0, 1, 3), done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) <= 1
    assert errors or done.exit_code != 1 or command[0] == "verify"
    assert not any(map(CONTROL.search, done.output.splitlines()))
    if errors:
        assert is_one_sentence(errors[0])


def in_copy(whole: Path, folder: Path, change: Callable[[Path], None], command: list[str]) -> None:
    copied = folder / "changed.zarr"
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(whole, copied)
    change(copied)
    right_or_one_sentence(copied, command)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("changed")


@examples(10)
@given(data=st.data())
def test_strangers_attributes_are_a_store_or_one_sentence(
    newer: Path, folder: Path, data: st.DataObject
) -> None:
    """With digests that fit, and of a part with those of its name."""

    def change(store: Path) -> None:
        group = data.draw(st.sampled_from([store, part_of(store)]))
        describe(group, data.draw(changed_json(attributes_of(group))))

    in_copy(newer, folder, change, data.draw(st.sampled_from(COMMANDS)))


@examples(10)
@given(data=st.data())
def test_strangers_files_are_a_store_or_one_sentence(newer: Path, folder: Path, data: st.DataObject) -> None:
    def change(store: Path) -> None:
        files = sorted(path for path in store.rglob("*") if path.is_file())
        file = data.draw(st.sampled_from(files))
        if file.name == "zarr.json" and data.draw(st.booleans()):
            file.write_text(json.dumps(data.draw(changed_json(json.loads(file.read_text())))))
        else:
            file.write_bytes(data.draw(changed_bytes(file.read_bytes())))

    in_copy(newer, folder, change, data.draw(st.sampled_from(COMMANDS)))


@examples(10)
@given(data=st.data())
def test_strangers_chunks_are_a_store_or_one_sentence(newer: Path, folder: Path, data: st.DataObject) -> None:
    """With checksums that fit: the values themselves are strange."""

    def change(store: Path) -> None:
        files = sorted(path for path in store.rglob("*") if path.is_file() and path.name != "zarr.json")
        file = data.draw(st.sampled_from(files))
        raw = bytes(Zstd().decode(file.read_bytes()[:-4]))
        file.write_bytes(with_checksum(bytes(Zstd(3).encode(data.draw(changed_bytes(raw))))))

    in_copy(newer, folder, change, data.draw(st.sampled_from(COMMANDS)))


@examples(40)
@given(data=st.data())
def test_strangers_pieces_are_rows_or_one_sentence(data: st.DataObject, folder: Path) -> None:
    layouts = {
        ArrayName.RESULT: ArrayLayout((6, 4), 3, "float64", 0.0),
        ArrayName.ERROR: ArrayLayout((6,), 3, "string", ""),
        ArrayName.STATUS: ArrayLayout((6,), 3, "uint8", 0),
    }
    content = io.BytesIO()
    rows: dict[str, Any] = {"crops/result": np.ones((3, 4)), "crops/error": np.array(["a", "bc", ""])}
    np.savez_compressed(content, **rows, **{"crops/status": np.ones(3, np.uint8)})
    (folder / "pieces/0").mkdir(parents=True, exist_ok=True)
    (folder / "pieces/0/0").write_bytes(data.draw(changed_bytes(content.getvalue())))
    pieces = Pieces(Location(str(folder / "pieces")), layouts)
    found, said = outcome(lambda: pieces.read(0, 0, 3), DamagedError)
    if said:
        assert is_one_sentence(said)
    else:
        assert found[ArrayName.RESULT].shape == (3, 4)
