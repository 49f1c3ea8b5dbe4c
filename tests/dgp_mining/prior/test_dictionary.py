"""A dictionary's file is byte-deterministic, checked on reading, and light to import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgp_mining.covariance import cholesky_from_covariance, covariance_from_cholesky, smallest_eigenvalue
from dgp_mining.prior.dictionary import Dictionary, DictionaryError

KERNELS = np.array([[1.0, 0.25, 0.5], [0.4, -0.1, 0.6], [2.0, 0.0, 0.125]])


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    saved = Dictionary(KERNELS, {"density": 0.25, "images": "photos/", "method": "sample"})
    saved.save(tmp_path / "dict.npz")
    loaded = Dictionary.load(tmp_path / "dict.npz")
    np.testing.assert_array_equal(loaded.cholesky, KERNELS)
    np.testing.assert_array_equal(loaded.covariance, saved.covariance)
    assert loaded.metadata == saved.metadata
    assert loaded.metadata["units"] == "grid spacing"
    assert loaded.metadata["format"] == "dgp-dictionary/1"
    assert len(loaded) == 3


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"source": "a" * 1_000_000}, "longer than the 1000000 char"),
        ({"psnr": float("nan")}, r"psnr must be finite"),
        ({"crops": "three"}, "crops must be a whole number"),
    ],
    ids=["long", "number", "type"],
)
def test_metadata_that_could_not_be_read_again_are_not_written(tmp_path: Path, metadata, said: str) -> None:
    with pytest.raises(DictionaryError, match=f"dict.npz is not written.*{said}"):
        Dictionary(KERNELS, metadata).save(tmp_path / "dict.npz")
    assert list(tmp_path.iterdir()) == []


def test_plain_numpy_can_read_the_file(tmp_path: Path) -> None:
    Dictionary(KERNELS).save(tmp_path / "dict.npz")
    with np.load(tmp_path / "dict.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"cholesky", "covariance", "metadata"}
        assert arrays["cholesky"].dtype == arrays["covariance"].dtype == np.float64
        assert json.loads(str(arrays["metadata"]))["units"] == "grid spacing"


def test_equal_dictionaries_have_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Dictionary(KERNELS, {"a": 1, "b": 2}).save(tmp_path / "one.npz")
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    Dictionary(KERNELS.copy(), {"b": 2, "a": 1}).save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


@pytest.mark.parametrize(
    "kernels",
    [[[0.0, 0, 1]], [[1.0, 0, -1]], [[1.0, np.nan, 1]], np.zeros((0, 3)), np.ones((3, 2))],
)
def test_kernels_that_are_not_positive_definite_make_no_dictionary(kernels: object) -> None:
    with pytest.raises(DictionaryError):
        Dictionary(np.array(kernels))


def _write(path: Path, **changed: object) -> None:
    arrays = {
        "cholesky": KERNELS,
        "covariance": covariance_from_cholesky(KERNELS),
        "metadata": json.dumps({"format": "dgp-dictionary/1", "units": "grid spacing"}),
    }
    np.savez(path, **{key: value for key, value in {**arrays, **changed}.items() if value is not None})


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"covariance": None}, "missing"),
        ({"covariance": KERNELS}, "do not match its Cholesky"),
        ({"covariance": covariance_from_cholesky(KERNELS)[:2]}, "do not match its Cholesky"),
        ({"cholesky": -KERNELS}, "positive definite"),
        ({"cholesky": np.array(["a", "b"])}, "is not a kernel dictionary"),
        ({"cholesky": np.array([None], dtype=object)}, "cholesky must be floats"),
        ({"metadata": "no json"}, "its metadata is not JSON"),
        ({"metadata": "[]"}, "dgp-dictionary/1"),
        ({"metadata": json.dumps({"format": "dgp-dictionary/1", "units": "px"})}, "units are 'px'"),
    ],
)
def test_a_file_that_is_no_dictionary_is_named_with_the_reason(
    tmp_path: Path, changed: dict[str, object], reason: str
) -> None:
    path = tmp_path / "x.npz"
    _write(path, **changed)
    with pytest.raises(DictionaryError, match=reason) as caught:
        Dictionary.load(path)
    assert str(path) in str(caught.value)


def test_other_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(DictionaryError, match="does not exist"):
        Dictionary.load(path)
    with pytest.raises(DictionaryError, match="it is a folder, not a file"):
        Dictionary.load(tmp_path)
    Dictionary(KERNELS).save(path)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:100], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DictionaryError, match=r"x\.npz is not a kernel dictionary"):
            Dictionary.load(path)


def test_a_dictionary_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DictionaryError, match=r"dict\.npz cannot be written .*: name another file"):
        Dictionary(KERNELS).save(tmp_path / "missing" / "dict.npz")
    (tmp_path / "dict.npz").mkdir()
    with pytest.raises(DictionaryError, match=r"dict\.npz cannot be written .*: name another file"):
        Dictionary(KERNELS).save(tmp_path / "dict.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["dict.npz"]


positive = st.floats(0.01, 10)


@given(st.tuples(positive, st.floats(-10, 10), positive))
def test_covariance_and_cholesky_are_two_forms_of_one_kernel(entries: tuple[float, ...]) -> None:
    cholesky = np.array(entries)
    factor = np.array([[cholesky[0], 0], cholesky[1:]])
    xx, xy, yy = covariance = covariance_from_cholesky(cholesky)
    np.testing.assert_allclose([[xx, xy], [xy, yy]], factor @ factor.T, rtol=1e-12)
    np.testing.assert_allclose(smallest_eigenvalue(covariance), np.linalg.svd(factor)[1][1] ** 2, rtol=1e-4)
    np.testing.assert_allclose(covariance_from_cholesky(cholesky_from_covariance(covariance)), covariance)


def test_what_the_trainer_imports_brings_neither_dask_nor_zarr() -> None:
    code = (
        "import sys, dgp_mining, dgp_mining.images.reader, dgp_mining.prior.dictionary;"
        "dgp_mining.Dictionary;"
        "print([m for m in ('dask', 'distributed', 'zarr', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_reference_prior_is_shipped_and_names_no_folder():
    reference = Dictionary.reference()
    assert len(reference) == 730
    assert reference.metadata["images"] is None
    assert reference.metadata["crops"] >= 4000
