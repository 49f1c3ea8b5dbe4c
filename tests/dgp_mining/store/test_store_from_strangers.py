"""Stores from strangers: what they say is checked before it is believed, and refused in one sentence."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from google_crc32c import value as crc32c
from hypothesis import given
from hypothesis import strategies as st
from mutations import changed_bytes, changed_json, examples, is_one_sentence, nested, outcome
from numcodecs.zstd import Zstd

from dgp_mining.cli import main
from dgp_mining.retry import TEMPORARY
from dgp_mining.store.columns import ArrayName
from dgp_mining.store.integrity import DamagedError, StoreError, seal
from dgp_mining.store.layout import ArrayLayout
from dgp_mining.store.location import Location
from dgp_mining.store.pieces import Pieces
from dgp_mining.store.store import Store
from dgp_mining.store.verify import verify

SAMPLE = Path(__file__).resolve().parents[3] / "data/samples/stores/0.1.0.tar.xz"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of version 0.1.0."""
    folder = tmp_path_factory.mktemp("whole")
    with tarfile.open(SAMPLE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "small.zarr"


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "a.zarr")


def part_of(store: Path) -> Path:
    (name,) = attributes_of(store)["parts"]
    return store / "parts" / name


def attributes_of(group: Path) -> dict[str, Any]:
    found = json.loads((group / "zarr.json").read_text())["attributes"]
    found.pop("digest", None)
    return found


def describe(group: Path, attributes: Any) -> None:
    """Give a group other attributes, with the digest that fits them: it is no secret."""
    file = group / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"] = seal(attributes) if isinstance(attributes, dict) else attributes
    file.write_text(json.dumps(content))


def refused(store: Path) -> str:
    """The one sentence with which a store is refused, by all that reads it."""
    _, said = outcome(lambda: Store.open(store).plan, StoreError)
    assert said
    assert is_one_sentence(said)
    status = CliRunner().invoke(main, ["status", "--store", str(store)])
    assert status.exit_code == 1
    assert status.stderr.splitlines()[-1].startswith("Error: ")
    return said


# --- attributes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"parts": "../.."}, "parts must be a list, not text"),
        ({"parts": ["../.."]}, "cannot have a part '../..'"),
        ({"parts": [3]}, "must be text, not a whole number"),
        ({"parts": ["0" * 16]}, "is damaged"),
        ({"parts": ["0" * 16] * 2}, "has a part twice"),
        ({"parts": {"a": 1}}, "parts must be a list"),
        ({"versions": [1]}, "versions must be a table"),
        ({"versions": {"numpy": 2}}, "must be text"),
        ({"settings": 5}, "settings must be a table"),
        ({"settings": nested(900)}, "nested more than 50 levels deep|recursion"),
        ({"settings": {"a\x1b[2J\n": 1}}, "another version"),
        ({"format": "dgp-store/" + "9" * 5000}, "is not a store of dgp-mine"),
    ],
)
def test_attributes_of_other_types_are_refused(store: Path, changed: dict, reason: str) -> None:
    describe(store, attributes_of(store) | changed)
    assert re.search(reason, refused(store))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crop", True), ("crop", "256"), ("crop", 256.5), ("crop", -1), ("crop", 10**9), ("crop", 10**20),
        ("density", "0.25"), ("density", -0.25), ("density", float("nan")), ("density", 1e30),
        ("density", None), ("iterations", None), ("iterations", 10**12), ("seed", -1), ("max_crops", 0),
        ("keep_fields", 1), ("keep_fields", "no"), ("recipe", "own"), ("backend", "../x"), ("backend", 3),
        ("fit", []), ("statistics", None), ("fit.start_sigma", "x"), ("fit.rate_mean", float("inf")),
        ("statistics.bins", 80.5), ("statistics.ranges", [[0, 1, 2]]),
    ],
)  # fmt: skip
def test_settings_of_other_types_and_ranges_are_refused_by_their_name(
    store: Path, name: str, value: object
) -> None:
    about = attributes_of(store)
    *groups, last = name.split(".")
    holder = about["settings"]
    for group in groups:
        holder = holder[group]
    holder[last] = value
    describe(store, about)
    assert last in refused(store)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"crops": 2 * 10**8}, "claims 200,000,000 crops, and their files have only"),
        ({"images": 2 * 10**8}, "claims 200,000,000 images, and their files have only"),
        ({"crops": 10**30}, "below 2"),
        ({"crops": -1}, "crops must be from 0"),
        ({"crops": True}, "crops must be a whole number"),
        ({"crops": 4.0}, "crops must be a whole number"),
        ({"crops": "4"}, "crops must be a whole number"),
        ({"crops": None}, "crops must be a whole number"),
        ({"chunk": 0}, "chunk must be from 1"),
        ({"chunk": 10**12}, "chunk must be from 1"),
        ({"gaussians": 10**9}, "gaussians must be at most"),
        ({"snapshots": 10**6}, "snapshots must be 2"),
        ({"folder": 3}, "folder must be text or null"),
    ],
)
def test_the_extent_of_a_part_is_refused_by_the_name_of_the_number(
    store: Path, changed: dict, reason: str
) -> None:
    describe(part_of(store), attributes_of(part_of(store)) | changed)
    assert reason in refused(store)


def in_little_memory(code: str, store: Path, seconds: int = 60) -> str:
    """Run code in a process that can allocate 200 MB beyond its imports; its output."""
    program = f"""
import resource, sys
from dgp_mining.cli import main
from dgp_mining.retry import TEMPORARY
from dgp_mining.store.store import Store
from dgp_mining.store import verify, summary
import dgp_mining.prior.soundness
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000 + 400_000_000,) * 2)  # threads take addresses
store = sys.argv[1]
{code}
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-c", program, str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment)
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_one_part_a_million_times_and_crops_by_the_hundred_million_are_refused_at_once(store: Path) -> None:
    (name,) = attributes_of(store)["parts"]
    describe(store, attributes_of(store) | {"parts": [name, name] * 500_000})
    code = "import time; t = time.time()\ntry: Store.open(store).plan\nexcept ValueError as e: print(e)\n"
    code += "print('at once' if time.time() - t < 20 else 'late')"
    said = in_little_memory(code, store)
    assert "1,000,000 parts, more than the" in said
    assert "at once" in said
    describe(store, attributes_of(store) | {"parts": [name]})
    describe(part_of(store), attributes_of(part_of(store)) | {"crops": 10**9, "images": 10**9})
    said = in_little_memory(code, store)
    assert "claims 1,000,000,000 crops" in said
    assert "at once" in said


# --- arrays and chunks --------------------------------------------------------------------------------------


def chunk_of(store: Path, name: str) -> Path:
    return min(path for path in (part_of(store) / name / "c").rglob("*") if path.is_file())


def with_checksum(content: bytes) -> bytes:
    return content + crc32c(content).to_bytes(4, "little")


@pytest.mark.parametrize("name", ["crops/status", "crops/result", "crops/position", "images/name"])
def test_a_chunk_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(store: Path, name: str) -> None:
    bomb = Zstd(1).encode(bytes(100_000_000))
    claims = bytearray(bomb[:4]) + bytes([0xE0]) + (1 << 40).to_bytes(8, "little") + bomb[12:]
    for content in (bomb, bytes(claims), bomb[:4] + b"\x00\x58" + bomb[9:], b"", b"x" * 50):
        chunk_of(store, name).write_bytes(with_checksum(content))
        said = in_one_sentence(store)
        assert "a chunk " in said or "bytes, more than the" in said, said


def in_one_sentence(store: Path) -> str:
    """What `verify` says of the damage, in the report or as the error."""
    found, said = outcome(lambda: verify(store), StoreError)
    said = said or "; ".join(damage.what for damage in found.damage)
    assert said
    assert said.isprintable()
    return said


def test_texts_that_claim_to_be_billions_are_damage(store: Path) -> None:
    content = Zstd(1).encode((2**32 - 1).to_bytes(4, "little") + bytes(100))
    chunk_of(store, "images/name").write_bytes(with_checksum(content))
    assert "images/name" in in_one_sentence(store)


def test_devices_pipes_and_huge_files_are_not_read(store: Path) -> None:
    for make in (
        lambda path: path.symlink_to("/dev/zero"),
        os.mkfifo,
        lambda path: os.truncate(path, 10**12) if path.write_bytes(b"") is not None else None,
    ):
        for file in (chunk_of(store, "crops/result"), part_of(store) / "zarr.json", store / "zarr.json"):
            aside = file.rename(file.with_name("aside"))
            make(file)
            assert in_one_sentence(store)
            file.unlink()
            aside.rename(file)
    assert verify(store).sound


def test_folders_in_folders_a_thousand_deep_are_passed_over(store: Path) -> None:
    deep = store
    for _ in range(1200):
        deep = deep / "d"
        deep.mkdir()
    (deep / f"old{TEMPORARY}").touch()
    os.utime(deep / f"old{TEMPORARY}", (0, 0))
    Store.open(store).remove_stale_files()
    assert not list(deep.iterdir())
    while deep != store:  # shutil.rmtree would go as deep
        deep.rmdir()
        deep = deep.parent


@pytest.mark.parametrize("change", ["codecs", "grid", "shape", "dtype", "fill", "deep"])
def test_metadata_of_arrays_are_compared_and_not_followed(store: Path, change: str) -> None:
    file = part_of(store) / "crops/result/zarr.json"
    about = json.loads(file.read_text())
    match change:
        case "codecs":
            about["codecs"] = [{"name": "bytes"}, {"name": "numcodecs.pickle", "configuration": {}}]
        case "grid":
            about["chunk_grid"]["configuration"]["chunk_shape"] = [10**12, 10**12]
        case "shape":
            about["shape"] = [10**12, 4]
        case "dtype":
            about["data_type"] = "complex128"
        case "fill":
            about["fill_value"] = "x" * 1000
        case "deep":
            about["attributes"] = nested(900)
    file.write_text(json.dumps(about))
    assert "crops/result" in in_one_sentence(store)


# --- any change ---------------------------------------------------------------------------------------------

COMMANDS = (
    ["status"],
    ["status", "--json"],
    ["verify"],
    ["export-field", "--index", "0"],
    ["dictionary", "build"],
)


def right_or_one_sentence(store: Path, command: list[str]) -> None:
    """A command ends with status 0, 1 or 3, and with at most one sentence of an error."""
    folder = store.parent
    options = {
        "export-field": ["--out", str(folder / "field.png"), "--images", str(folder / "none")],
        "dictionary": ["--out", str(folder / "dict.npz"), "--kernels", "8"],
    }
    done = CliRunner().invoke(main, [*command, "--store", str(store), *options.get(command[0], [])])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in (0, 1, 3), done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) <= 1
    assert errors or done.exit_code != 1 or command[0] == "verify"
    assert all(line.isprintable() for line in done.output.splitlines())
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
    whole: Path, folder: Path, data: st.DataObject
) -> None:
    """With digests that fit, and of a part with those of its name."""

    def change(store: Path) -> None:
        group = data.draw(st.sampled_from([store, part_of(store)]))
        describe(group, data.draw(changed_json(attributes_of(group))))

    in_copy(whole, folder, change, data.draw(st.sampled_from(COMMANDS)))


@examples(10)
@given(data=st.data())
def test_strangers_files_are_a_store_or_one_sentence(whole: Path, folder: Path, data: st.DataObject) -> None:
    def change(store: Path) -> None:
        files = sorted(path for path in store.rglob("*") if path.is_file())
        file = data.draw(st.sampled_from(files))
        if file.name == "zarr.json" and data.draw(st.booleans()):
            file.write_text(json.dumps(data.draw(changed_json(json.loads(file.read_text())))))
        else:
            file.write_bytes(data.draw(changed_bytes(file.read_bytes())))

    in_copy(whole, folder, change, data.draw(st.sampled_from(COMMANDS)))


@examples(10)
@given(data=st.data())
def test_strangers_chunks_are_a_store_or_one_sentence(whole: Path, folder: Path, data: st.DataObject) -> None:
    """With checksums that fit: the values themselves are strange."""

    def change(store: Path) -> None:
        files = sorted(path for path in store.rglob("*") if path.is_file() and path.name != "zarr.json")
        file = data.draw(st.sampled_from(files))
        raw = bytes(Zstd().decode(file.read_bytes()[:-4]))
        file.write_bytes(with_checksum(bytes(Zstd(3).encode(data.draw(changed_bytes(raw))))))

    in_copy(whole, folder, change, data.draw(st.sampled_from(COMMANDS)))


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
