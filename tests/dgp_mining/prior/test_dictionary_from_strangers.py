"""Dictionaries and tables from strangers: refused in one sentence that names the field, in bounded memory."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from mutations import changed_bytes, changed_json, examples, is_one_sentence, nested, outcome

from dgp_mining.cli import main
from dgp_mining.covariance import covariance_from_cholesky
from dgp_mining.prior.build import describe
from dgp_mining.prior.continuoussr_table import read_continuoussr_table
from dgp_mining.prior.dictionary import MOST_KERNELS, Dictionary, DictionaryError

REFERENCE = Dictionary.reference()
KERNELS = REFERENCE.cholesky[::80]
METADATA = {**REFERENCE.metadata, "warnings": {"dead": "Half of it is dead."}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dictionaries")


def written(folder: Path, kernels: object = KERNELS, metadata: object = METADATA, **arrays: object) -> Path:
    path = folder / "dict.npz"
    parts = {"cholesky": kernels, "metadata": json.dumps(metadata)}
    if isinstance(kernels, np.ndarray) and kernels.dtype.kind in "fiu" and kernels.shape[-1] == 3:
        parts["covariance"] = covariance_from_cholesky(kernels.astype(np.float64))
    np.savez(path, **{"covariance": np.ones((1, 3)), **parts, **arrays})
    return path


def refused(path: Path) -> str:
    _, said = outcome(lambda: Dictionary.load(path), DictionaryError)
    assert said.startswith(f"{path} is not a kernel dictionary (")
    assert is_one_sentence(said)
    return said


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def npy(shape: tuple[int, ...], dtype: str = "<f8", data: bytes = b"", order: bool = False) -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def test_millions_of_kernels_in_a_small_file_are_refused_before_they_are_unpacked(folder: Path) -> None:
    bomb = npy((1_000_000, 3), data=np.ones((1_000_000, 3)).tobytes())
    path = archive(folder / "bomb.npz", {"cholesky": bomb, "covariance": bomb, "metadata": npy((), "<U1")})
    assert path.stat().st_size < 200_000
    assert "cholesky claims 24000" in refused(path)


def test_a_header_that_claims_more_than_the_file_holds_is_refused(folder: Path) -> None:
    for shape in ((MOST_KERNELS, 3), (10**12, 3), (-1, 3), (10**30, 3)):
        content = {"cholesky": npy(shape), "covariance": npy(shape), "metadata": npy((), "<U1")}
        assert "cholesky" in refused(archive(folder / "empty.npz", content))


def test_a_header_that_is_a_program_or_endless_is_refused(folder: Path) -> None:
    header = b"\x93NUMPY\x01\x00"
    for text in (
        b"-" * 9000 + b"1",
        b"[" * 9000,
        b"__import__('os')",
        b"{" * 100,
        b"\xff" * 100,
        b"()" * 30000,
    ):
        content = header + (len(text) % 65536).to_bytes(2, "little") + text
        path = archive(folder / "header.npz", dict.fromkeys(("cholesky", "covariance", "metadata"), content))
        assert "cholesky is not in NumPy's format" in refused(path)
    path = archive(
        folder / "version.npz",
        dict.fromkeys(
            ("cholesky", "covariance", "metadata"), b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b" " * 100_000
        ),
    )
    assert "cholesky is no plain array" in refused(path)


@pytest.mark.parametrize(
    "kernels",
    [KERNELS.astype(complex), KERNELS.astype(object), np.ones((2, 3), int), np.ones((2, 3), bool),
     np.ones((2, 4)), np.ones(3), np.zeros((0, 3)), np.full((2, 3), np.nan), np.full((2, 3), np.inf),
     np.full((2, 3), 1e-30), np.full((2, 3), 1e30), np.array([[1e8, 1e8, 1e-8]]), np.array(["x"]),
     np.zeros(2, "f8,i8")],
)  # fmt: skip
def test_kernels_of_other_types_and_ranges_are_refused(folder: Path, kernels: np.ndarray) -> None:
    refused(written(folder, kernels))


@pytest.mark.parametrize("kernels", [KERNELS.astype(">f8"), np.asfortranarray(KERNELS)])
def test_the_order_of_bytes_and_of_entries_does_not_matter(folder: Path, kernels: np.ndarray) -> None:
    assert np.array_equal(Dictionary.load(written(folder, kernels)).cholesky, KERNELS)


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"crops": True}, "its metadata.crops must be a whole number"),
        ({"density": "0.25"}, "its metadata.density must be a number"),
        ({"density": float("nan")}, "its metadata.density must be finite"),
        ({"psnr": 10**400}, "its metadata.psnr must be below"),
        ({"symmetric": "yes"}, "its metadata.symmetric must be true or false"),
        ({"warnings": ["dead"]}, "its metadata.warnings must be a table"),
        ({"warnings": {"dead": 1}}, "its metadata.warnings must be text"),
        ({"coverage": {"gaussians": 3}}, "its metadata.coverage lacks held_out_crops"),
        ({"coverage": {"gaussians": 3, "held_out_crops": 1, "sqrt": {"dictionary": 1}}}, "lacks box_corners"),
        ({"images": 3}, "its metadata.images must be text"),
        ({"mine": nested(60)}, "nested more than 50 levels deep"),
        ({"mine": float("inf")}, "its metadata.mine must be finite"),
    ],
)  # fmt: skip
def test_metadata_of_other_types_are_refused_by_their_name(folder: Path, metadata: Any, field: str) -> None:
    assert field in refused(written(folder, metadata=METADATA | metadata))


def test_metadata_do_not_replace_what_is_measured(folder: Path) -> None:
    path = written(folder, metadata=METADATA | {"size": "x", "quality": 3, "ranges": None, "more": "\x1b[2J"})
    assert describe(Dictionary.load(path))["size"] == len(KERNELS)
    shown = CliRunner().invoke(main, ["dictionary", "show", str(path)])
    assert shown.exit_code == 0
    assert "\x1b" not in shown.output


def test_a_dictionary_has_no_more_kernels_than_one_that_is_built(folder: Path) -> None:
    with pytest.raises(DictionaryError, match="at most 100,000 kernels"):
        Dictionary(np.ones((MOST_KERNELS + 1, 3)))
    whole = Dictionary(np.tile([0.5, 0.0, 0.5], (MOST_KERNELS, 1)), {"more": "x" * 100_000})
    whole.save(folder / "large.npz")
    assert len(Dictionary.load(folder / "large.npz")) == MOST_KERNELS


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    with (folder / "large.npz").open("wb") as file:
        file.truncate(10**12)
    assert "has more than the" in refused(folder / "large.npz")
    (folder / "large.npz").rename(folder / "large.npy")
    with pytest.raises(DictionaryError, match=r"large.npy has more than the 10,000,000 bytes"):
        read_continuoussr_table(folder / "large.npy")


@pytest.mark.parametrize(
    "table", [np.ones((2, 3), complex), np.ones((2, 3), bool), np.array([[None] * 3]), np.ones((2, 3, 1))]
)
def test_tables_of_other_types_are_refused(folder: Path, table: np.ndarray) -> None:
    np.save(folder / "table.npy", table)
    with pytest.raises(DictionaryError, match=r"table.npy is neither .* \(its array must be floats or"):
        read_continuoussr_table(folder / "table.npy")


# --- any change ---------------------------------------------------------------------------------------------


def right_or_refused(path: Path, command: str = "show") -> None:
    """A changed file is a dictionary that commands work with, or is refused in one sentence."""
    loaded, said = outcome(lambda: Dictionary.load(path), DictionaryError)
    if said:
        assert said.startswith(str(path))
        assert is_one_sentence(said)
        return
    assert np.isfinite(loaded.covariance).all()
    shown = CliRunner().invoke(
        main, ["dictionary", command, str(path), *([str(path)] * (command == "compare"))]
    )
    assert shown.exit_code == 0, shown.output
    assert shown.exception is None


@examples(100)
@given(data=st.data())
def test_strangers_bytes_are_a_dictionary_or_one_sentence(folder: Path, data: st.DataObject) -> None:
    path = folder / "bytes.npz"
    content = io.BytesIO()
    (np.savez_compressed if data.draw(st.booleans()) else np.savez)(
        content,
        cholesky=KERNELS,
        covariance=covariance_from_cholesky(KERNELS),
        metadata=json.dumps({"format": "dgp-dictionary/1", "units": "grid spacing"}),
    )
    path.write_bytes(data.draw(changed_bytes(content.getvalue())))
    right_or_refused(path)


@examples(100)
@given(data=st.data())
def test_strangers_headers_are_a_dictionary_or_one_sentence(folder: Path, data: st.DataObject) -> None:
    """The archive is whole, so that its checksums do not find what is changed."""
    parts = {"cholesky": KERNELS, "covariance": covariance_from_cholesky(KERNELS)}
    members = {name: npy(array.shape, data=array.tobytes()) for name, array in parts.items()}
    text = json.dumps({"format": "dgp-dictionary/1", "units": "grid spacing"})
    members["metadata"] = npy((), f"<U{len(text)}", np.array(text).tobytes())
    name = data.draw(st.sampled_from([*members]))
    members[name] = data.draw(changed_bytes(members[name]))
    right_or_refused(archive(folder / "headers.npz", members))


@examples(50)
@given(data=st.data())
def test_strangers_metadata_are_a_dictionary_or_one_sentence(folder: Path, data: st.DataObject) -> None:
    metadata = data.draw(changed_json(METADATA))
    right_or_refused(written(folder, metadata=metadata), data.draw(st.sampled_from(["show", "compare"])))


@examples(100)
@given(data=st.data())
def test_strangers_tables_are_a_dictionary_or_one_sentence(folder: Path, data: st.DataObject) -> None:
    content = io.BytesIO()
    if binary := data.draw(st.booleans()):
        np.save(content, KERNELS.astype(data.draw(st.sampled_from(["<f4", ">f8", "<i8", "<u1"]))))
    else:
        np.savetxt(content, KERNELS, delimiter=data.draw(st.sampled_from([",", " "])))
    path = folder / ("table.npy" if binary else "table.txt")
    path.write_bytes(data.draw(changed_bytes(content.getvalue())))
    _, said = outcome(lambda: read_continuoussr_table(path), DictionaryError)
    assert not said or (path.name in said and is_one_sentence(said))
