"""Of many images each is upscaled once, what is done is left, and no result takes another's place."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgp_mining.images.limits import MAX_PIXELS_VARIABLE
from dgp_mining.images.reader import ImageError
from sr_model.upscaling.batch import targets, upscale_folder, upscale_images
from sr_model.upscaling.files import UpscaleRequest

SKIP = UpscaleRequest(2.0, skip_existing=True)


def test_results_of_images_of_one_stem_have_names_of_their_own():
    names = [Path(name) for name in ("a.png", "a.jpg", "a.png.png", "b/a.png", "c.PNG")]
    made = targets(names, ".png")
    assert len(set(made)) == len(names)
    assert made[3:] == [Path("b/a.png"), Path("c.png")]


def test_what_is_done_is_left_to_the_byte(network, photographs, tmp_path):
    first = list(upscale_folder(photographs, tmp_path / "out", 2.0, network))
    before = {into: (into.read_bytes(), into.stat().st_mtime_ns) for _, into, _ in first}
    again = list(upscale_folder(photographs, tmp_path / "out", SKIP, network))
    assert [outcome for *_, outcome in again] == [None] * 4
    assert {into: (into.read_bytes(), into.stat().st_mtime_ns) for into in before} == before


def test_what_is_damaged_or_of_another_size_is_made_again_and_said(network, photographs, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    out = tmp_path / "out"
    list(upscale_folder(photographs, out, 2.0, network))
    (out / "0.png").write_bytes(b"")
    (out / "1.png").write_bytes((out / "1.png").read_bytes()[:20])
    Image.new("RGB", (12, 10)).save(out / "2.png")
    outcomes = [outcome for *_, outcome in upscale_folder(photographs, out, SKIP, network)]
    assert outcomes == [(80, 96), (80, 96), (80, 96), None]
    assert caplog.messages == [
        f"{out / '0.png'}: made again, since it is no whole image",
        f"{out / '1.png'}: made again, since it is no whole image",
        f"{out / '2.png'}: made again, since it has 12x10 pixels, not 96x80",
    ]


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "tiff"])
def test_a_result_that_is_cut_short_is_made_again(network, photographs, tmp_path, form):
    folder = tmp_path / "one"
    folder.mkdir()
    (photographs / "0.png").rename(folder / "0.png")
    ((_, into, _),) = upscale_folder(folder, tmp_path / "out", 2.0, network, form)
    whole = into.read_bytes()
    for length, outcome in ((len(whole), None), (len(whole) - 10, (80, 96)), (len(whole) // 2, (80, 96))):
        into.write_bytes(whole[:length])
        ((*_, found),) = upscale_folder(folder, tmp_path / "out", SKIP, network, form)
        assert found == outcome
        assert into.read_bytes() == whole


def test_a_result_larger_than_what_is_read_is_done(network, photographs, tmp_path, monkeypatch):
    list(upscale_folder(photographs, tmp_path / "out", 2.0, network))
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, str(48 * 40))
    again = upscale_folder(photographs, tmp_path / "out", SKIP, network)
    assert [outcome for *_, outcome in again] == [None] * 4


def test_an_image_that_cannot_be_read_is_an_error_though_a_result_is_there(network, photographs, tmp_path):
    list(upscale_folder(photographs, tmp_path / "out", 2.0, network))
    (photographs / "1.png").write_text("no image")
    outcomes = [outcome for *_, outcome in upscale_folder(photographs, tmp_path / "out", SKIP, network)]
    assert isinstance(outcomes.pop(1), ImageError)
    assert outcomes == [None] * 3


def test_leaving_and_replacing_contradict_each_other():
    with pytest.raises(ValueError, match=r"overwrite=True or skip_existing=True"):
        UpscaleRequest(2.0, overwrite=True, skip_existing=True)


def test_images_from_anywhere_go_into_one_folder(network, photographs, tmp_path):
    (tmp_path / "b").mkdir()
    Image.fromarray(np.zeros((6, 5), np.uint8)).save(tmp_path / "b" / "black.jpg")
    images = [photographs / "0.png", tmp_path / "b" / "black.jpg", photographs / "." / "0.png"]
    done = list(upscale_images(images, tmp_path / "out", 2.0, network, "tiff"))
    assert [(into.name, size) for _, into, size in done] == [("0.tif", (80, 96)), ("black.tif", (12, 10))]


def test_images_that_would_take_each_others_place_are_refused(network, photographs, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "0.png").write_bytes((photographs / "0.png").read_bytes())
    for images, out, mentions in (
        ([photographs / "0.png", tmp_path / "b" / "0.png"], tmp_path / "out", r"b/0\.png have the same name"),
        ([photographs / "0.png", tmp_path / "b"], tmp_path / "out", "b is a folder"),
        ([photographs / "0.png", photographs / "1.png"], photographs, "folder of the images themselves"),
    ):
        with pytest.raises(ImageError, match=mentions):
            list(upscale_images(images, out, 2.0, network))
    assert not (tmp_path / "out").exists()


def test_a_link_to_itself_is_an_error_of_its_own(network, photographs, tmp_path):
    link = photographs / "self.png"
    link.symlink_to("self.png")
    outcomes = [outcome for *_, outcome in upscale_folder(photographs, tmp_path / "out", 2.0, network)]
    assert outcomes[:4] == [(80, 96)] * 4
    assert "self.png" in str(outcomes[4])
    images = [photographs / "0.png", link]
    (_, (_, _, error)) = upscale_images(images, tmp_path / "more", 2.0, network)
    assert str(error) == f"{link} is a link that leads back to itself: remove it."
