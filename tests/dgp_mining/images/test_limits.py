"""An image that does not fit into what memory is left is refused before it is decoded."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from dgp_mining.images import limits
from dgp_mining.images.reader import ImageError, decode_image, image_size


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp", "a.webp"])
def test_an_image_larger_than_the_memory_is_refused_with_both_sizes(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    Image.new("RGB", (3000, 2000)).save(path)
    monkeypatch.setattr(limits, "available_memory", lambda: 50_000_000)
    assert image_size(path) == (2000, 3000)  # which needs no memory
    with pytest.raises(
        ImageError, match=r"a\.\w+ has 3000x2000 pixels, .* 90\.0 MB .* 50\.0 MB are free: cut it"
    ):
        decode_image(path)
    monkeypatch.setattr(limits, "available_memory", lambda: 100_000_000)
    assert decode_image(path).pixels.shape == (2000, 3000, 3)


def test_small_images_are_decoded_without_asking_for_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "available_memory", lambda: 0)
    content = io.BytesIO()
    Image.new("RGB", (100, 100)).save(content, "PNG")
    (tmp_path / "a.png").write_bytes(content.getvalue())
    assert decode_image(tmp_path / "a.png").pixels.shape == (100, 100, 3)


def test_what_a_file_says_cannot_control_a_terminal_by_an_error() -> None:
    said = str(ImageError("a.exr holds \x1b[2J\n\udc80: convert it."))
    assert said == "a.exr holds \ufffd[2J\ufffd\ufffd: convert it."


@pytest.mark.parametrize("name", ["9.41\u202fPM", "日本\u3000語", "a\u200db", "a\u00adb"])
def test_names_of_files_stand_in_errors_as_they_are(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.png"
    path.write_bytes(b"xx")
    with pytest.raises(ImageError) as refused:
        decode_image(path)
    assert str(refused.value).startswith(str(path))


def test_letters_in_another_order_do_not_hide_what_a_file_is() -> None:
    assert "\u202e" not in str(ImageError("a\u202egnp.exe is not an image."))
