"""Statistics at intermediate iterations are stored next to the final ones, and do not change them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dgp_mining.cli import main
from dgp_mining.fitting.fit import fit_image
from dgp_mining.fitting.statistics import COUNTS, MOMENTS, measure
from dgp_mining.images.reader import decode_image
from dgp_mining.prior.build import build_dictionary
from dgp_mining.store.layout import crop_arrays
from dgp_mining.store.store import Store
from dgp_mining.store.verify import verify

LOOKS = (0, 4, 6)


def mine(photos: Path, store: Path, *more: str) -> Store:
    arguments = ["fit", "--images", photos, "--store", store, "--scheduler", "sync", *more]
    arguments += ["--crop", 32, "--max-crops", 4, "--iterations", 6]
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return Store.open(store)


@pytest.fixture
def watched(photos: Path, tmp_path: Path) -> Store:
    return mine(photos, tmp_path / "watched.zarr", "--snapshots", ",".join(map(str, LOOKS)))


def test_snapshots_are_the_statistics_of_the_fit_at_those_iterations(watched: Store, photos: Path) -> None:
    name, (row, column) = watched.plan.names[watched.plan.image[0]], watched.plan.position[0]
    pixels = decode_image(photos / name).pixels[row : row + 32, column : column + 32]
    fit = fit_image(pixels, iterations=6, snapshots=LOOKS)
    stored = watched.at().snapshots.moments[0]
    for at, look in enumerate(fit.snapshots):
        found = measure(look.field, fit.start.numpy(), np.random.default_rng(0))
        np.testing.assert_array_equal(stored[at], found.moments)
        np.testing.assert_array_equal(watched.at().snapshots.histograms[0, at], found.histograms)
        np.testing.assert_array_equal(watched.at().snapshots.counts[0, at], found.counts)
        assert watched.at().snapshots.psnr[0, at] == look.psnr
    assert stored[0, 0, MOMENTS.index("ratio")] == pytest.approx(1)
    assert watched.at().snapshots.counts[0, 0, COUNTS.index("gaussians")] == 256


def test_snapshots_change_nothing_else(watched: Store, photos: Path, tmp_path: Path) -> None:
    plain = mine(photos, tmp_path / "plain.zarr")
    assert plain.fingerprint == watched.fingerprint
    dictionaries = [build_dictionary(store.path, size=64) for store in (plain, watched)]
    np.testing.assert_array_equal(dictionaries[0].cholesky, dictionaries[1].cholesky)
    np.testing.assert_array_equal(plain.statistics.moments, watched.statistics.moments)


def test_lost_snapshots_are_found(watched: Store) -> None:
    assert verify(watched.path).sound
    (part,) = watched.parts
    for name in [name for name in crop_arrays(part.extent) if name.startswith("snapshots/")]:
        folder = Path(str(part.place)) / name / "c" / "0"
        file = next(path for path in folder.rglob("*") if path.is_file())
        before = file.read_bytes()
        file.unlink()
        (damage, *_) = verify(watched.path).damage
        assert "snapshots" in damage.what
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("a,b", "a list such as 0,50,100"),
        ("5,0", "ascending"),
        ("-1", "ascending"),
        ("0,301", "225 iterations"),
    ],
)
def test_snapshots_that_cannot_be_are_refused(photos: Path, tmp_path: Path, asked: str, answer: str) -> None:
    arguments = ["fit", "--images", str(photos), "--store", str(tmp_path / "x.zarr"), "--snapshots", asked]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2
    assert answer in refused.output
