"""ContinuousSR tables are read and written in pixels at x4; other files are refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dgp_mining.cli import main
from dgp_mining.prior.continuoussr_table import continuoussr_dictionary, continuoussr_kernels
from dgp_mining.prior.dictionary import Dictionary

KERNELS = np.array([[1.0, 0.25, 0.5], [0.4, -0.1, 0.6]])


def run(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(main, ["dictionary", *map(str, arguments)])
    assert done.exit_code == status, done.output
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done.output


@pytest.mark.parametrize("name", ["table.npy", "table.csv"])
def test_what_is_exported_is_imported(tmp_path: Path, name: str) -> None:
    Dictionary(KERNELS).save(tmp_path / "dict.npz")
    run("export", tmp_path / "dict.npz", "--out", tmp_path / name)
    run("import", tmp_path / name, "--out", tmp_path / "again.npz")
    again = Dictionary.load(tmp_path / "again.npz")
    np.testing.assert_allclose(again.cholesky, KERNELS, atol=1e-6)
    assert again.metadata["source"] == name


def test_exported_numbers_are_pixels_at_x4(tmp_path: Path) -> None:
    """For a network with four Gaussians per LR pixel, whose spacing is two pixels at x4."""
    Dictionary(KERNELS).save(tmp_path / "dict.npz")
    run("export", tmp_path / "dict.npz", "--out", tmp_path / "table.npy")
    np.testing.assert_allclose(np.load(tmp_path / "table.npy"), 2 * KERNELS, rtol=1e-6)


def test_the_dictionary_widens_the_singular_kernels_of_the_table() -> None:
    kernels, dictionary = continuoussr_kernels(), continuoussr_dictionary()
    assert np.array_equal(dictionary.cholesky, np.maximum(kernels, [1e-3, -9, 1e-3]))
    assert (kernels[:, [0, 2]] == 0).any(axis=1).sum() == dictionary.metadata["widened"] == 154
    assert len(dictionary) == 730


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("1 2\n3 4\n", "three columns"),
        ("1 2 x\n", "neither an .npy file nor text"),
        ("1 0 -1\n", "negative l11 or l22"),
        ("1 nan 1\n", "not finite"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "table.txt").write_text(content)
    said = run("import", tmp_path / "table.txt", "--out", tmp_path / "dict.npz", status=1)
    assert reason in said
    assert "table.txt" in said
    assert not (tmp_path / "dict.npz").exists()


def test_a_file_or_the_published_table_must_be_named(tmp_path: Path) -> None:
    assert "Name a FILE" in run("import", status=2)
    assert "Name a FILE" in run("import", "x.npy", "--released", status=2)
    assert "does not exist" in run("import", tmp_path / "x.npy", status=1)
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    assert "neither" in run("import", tmp_path / "bad.npy", status=1)
