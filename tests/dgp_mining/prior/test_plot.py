"""The picture of a dictionary shows its kernels as they lie in an image: x right, y down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.prior.plot import ellipses, plot_dictionary


def test_an_ellipse_has_the_axes_and_the_angle_of_its_covariance() -> None:
    long, short, angle = 3.0, 1.0, np.radians(30)
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = axes @ np.diag([long**2, short**2]) @ axes.T
    width, height, degrees = ellipses(covariance[[0, 0, 1], [0, 1, 1]][None])
    assert (width[0], height[0], degrees[0] % 180) == pytest.approx((2 * long, 2 * short, 30))


def test_a_kernel_with_positive_correlation_is_drawn_from_top_left_to_bottom_right(tmp_path: Path) -> None:
    plot_dictionary(Dictionary(np.tile([1.0, 0.95, 0.2], (8, 1))), tmp_path / "d.png")
    picture = np.asarray(Image.open(tmp_path / "d.png").convert("RGB")).astype(int)
    kernels = picture[picture.shape[0] * 2 // 5 :, : picture.shape[1] * 9 // 10]
    labels, found = ndimage.label(kernels.max(axis=2) - kernels.min(axis=2) > 60)
    assert found == 8
    y, x = np.nonzero(labels == 1)
    assert np.corrcoef(x, y)[0, 1] > 0.9


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    dictionary = Dictionary(np.tile([1.0, 0.1, 1.0], (8, 1)))
    for path, error in ((tmp_path / "none" / "d.png", OSError), (tmp_path / "d.xyz", ValueError)):
        with pytest.raises(error, match=rf"{path.name} cannot be written \(.*\): name another file\.$"):
            plot_dictionary(dictionary, path)


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_an_interrupted_drawing_leaves_the_former_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text("former")

    def begin(self: Figure, file: Path, **options: object) -> None:
        assert options["format"] == suffix
        Path(file).write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", begin)
    with pytest.raises(KeyboardInterrupt):
        plot_dictionary(Dictionary.reference(), path)
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]
