"""sr-upscale writes images, or prints one sentence if it cannot."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from commands import refused, run, size
from PIL import Image

from dgp_mining import shipped
from sr_model.cli.upscale import main as upscale


def test_any_scale_and_any_size(checkpoint, small):
    for option, value, expected in (
        ("--scale", "3.7", (178, 148)),
        ("--scale", "0.5", (24, 20)),
        ("--scale", "2x3", (96, 120)),
        ("--scale", "2.5x0.5", (120, 20)),
        ("--scale", "x4", (192, 160)),
        ("--scale", "2X", (96, 80)),
        ("--scale", "x2x3", (96, 120)),
        ("--size", "100x90", (100, 90)),
        ("--size", "96x", (96, 80)),
        ("--size", "x100", (120, 100)),
    ):
        result = run(upscale, small, "--out", "out.png", option, value, "--model", checkpoint, "--overwrite")
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == f"out.png: {expected[0]}x{expected[1]} pixels"
        assert size("out.png") == expected


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], (False, "")),
        (["--ensemble"], (True, "")),
        (["--wrap"], (False, "xy")),
        (["--wrap-x", "--ensemble"], (True, "x")),
        (["--wrap-y"], (False, "y")),
    ],
)
def test_ensemble_and_wrap_reach_the_library(checkpoint, small, monkeypatch, options, asked):
    requests = []
    monkeypatch.setattr(
        "sr_model.cli.upscale.upscale_unless_done", lambda *given: requests.append(given[2]) or (80, 96)
    )
    assert run(upscale, small, "--scale", 2, *options, "--model", checkpoint).exit_code == 0
    assert [(request.ensemble, request.wrap) for request in requests] == [asked]


def test_a_window_over_the_edge_needs_an_image_that_repeats(checkpoint, small):
    window = ("--window", "-4,0,10,10", "--scale", 2, "--model", checkpoint, "--out", "out.png")
    refused(run(upscale, small, *window), 1, "--window -4,0,10,10", "48x40")
    assert run(upscale, small, *window, "--wrap").exit_code == 0
    assert size("out.png") == (20, 20)


def test_results_are_named_after_their_scale(checkpoint, small):
    for arguments, name in (
        (("--scale", 2), "0_x2.png"),
        (("--scale", "2x1.5", "--format", "webp"), "0_x2x1.5.webp"),
        (("--size", "60x50", "--format", "jpeg"), "0_60x50.jpg"),
        (("--size", "60x"), "0_60x.png"),
    ):
        assert run(upscale, small, *arguments, "--model", checkpoint).exit_code == 0
        assert (small.parent / name).is_file()


def test_grey_palette_and_transparent_images_stay_what_they_are(checkpoint):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 4), np.uint8)
    picture = Image.fromarray(pixels, "RGBA")
    for mode, expected in (("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGBA", "RGBA"), ("1", "L")):
        (picture.convert("RGB") if mode == "P" else picture).convert(mode).save("in.png")
        result = run(
            upscale, "in.png", "--out", "out.png", "--scale", "2", "--model", checkpoint, "--overwrite"
        )
        assert result.exit_code == 0, result.output
        with Image.open("out.png") as out:
            assert (out.size, out.mode) == ((16, 18), expected)


def test_a_folder_keeps_its_structure_and_goes_on_after_a_bad_file(checkpoint, photographs):
    (photographs / "deep" / "er").mkdir(parents=True)
    Image.open(photographs / "0.png").save(photographs / "deep" / "er" / "a.jpg")
    (photographs / "1.png").write_text("no image")
    Image.open(photographs / "0.png").save(photographs / "2.jpg")
    result = run(
        upscale, photographs, "--out", "out", "--scale", 2, "--model", checkpoint, "--format", "webp"
    )
    assert result.exit_code == 3
    assert "failed: " in result.stderr
    assert "1.png" in result.stderr
    assert "1 of 6 images failed" in result.stderr
    found = {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    assert found == {"0.webp", "2.png.webp", "2.jpg.webp", "3.webp", "deep/er/a.webp"}
    assert size("out/deep/er/a.webp") == (96, 80)

    again = run(upscale, photographs, "--out", "out", "--scale", 2, "--model", checkpoint, "--format", "webp")
    assert again.exit_code == 3
    assert again.stderr.count("exists already") == 5


def test_a_folder_beside_its_input_is_the_default_and_within_it_is_not_read_again(
    checkpoint, photographs, monkeypatch
):
    assert run(upscale, photographs, "--scale", 2, "--model", checkpoint).exit_code == 0
    assert len(list(Path("photographs_x2").iterdir())) == 4
    monkeypatch.chdir(photographs)
    assert run(upscale, ".", "--scale", 3, "--model", checkpoint).exit_code == 0
    assert len(list(Path("../photographs_x3").iterdir())) == 4
    for _ in range(2):
        inside = (
            photographs,
            "--out",
            photographs / "large",
            "--scale",
            2,
            "--model",
            checkpoint,
            "--overwrite",
        )
        assert run(upscale, *inside).exit_code == 0
        assert len(list((photographs / "large").iterdir())) == 4


def test_a_saved_field_is_zoomed_into_without_the_network(checkpoint, small):
    made = run(upscale, small, "--save-field", "field.safetensors", "--model", checkpoint)
    assert made.exit_code == 0, made.output
    zoomed = run(
        upscale, "field.safetensors", "--out", "zoom.tif", "--window", "10.5,20,8,4.25", "--scale", 30
    )
    assert zoomed.exit_code == 0, zoomed.output
    assert size("zoom.tif") == (240, 128)
    assert run(upscale, small, "--out", "whole.png", "--scale", 4, "--model", checkpoint).exit_code == 0
    assert (
        run(
            upscale, "field.safetensors", "--out", "part.png", "--scale", 4, "--window", "8,4,16,12"
        ).exit_code
        == 0
    )
    whole, part = (np.asarray(Image.open(name)).astype(int) for name in ("whole.png", "part.png"))
    assert np.abs(part - whole[16:64, 32:96]).max() <= 1


def test_the_reference_model_is_used_where_none_is_named(checkpoint, small, monkeypatch, tmp_path):
    (tmp_path / "data" / "models").mkdir(parents=True)
    monkeypatch.setattr(shipped, "files", lambda package: tmp_path)
    refused(run(upscale, small, "--scale", 2), 1, "reference model", "--model")
    (tmp_path / "data" / shipped.MODEL).write_bytes(checkpoint.read_bytes())
    assert run(upscale, small, "--scale", 2).exit_code == 0


@pytest.mark.parametrize(
    "scale", ["0", "abc", "-1", "nan", "inf", "2x0", "2x3x4", "x", "x4x", "xx2", "", "2x3x"]
)
def test_an_impossible_scale_is_a_usage_error(checkpoint, small, scale):
    refused(run(upscale, small, "--scale", scale, "--model", checkpoint), 2, "--scale")


def test_options_that_contradict_each_other_are_usage_errors(checkpoint, photographs, small):
    model = ("--model", checkpoint)
    refused(run(upscale, small, *model), 2, "--scale", "--size")
    refused(run(upscale, small, "--scale", 2, "--size", "4x4", *model), 2, "--scale", "--size")
    for wrong in ("100", "x", "0x90", "x-1", "4.5x", "1x2x3"):
        refused(run(upscale, small, "--size", wrong, *model), 2, "--size", "1920x1080", "1920x ")
    refused(run(upscale, small, "--scale", 2, "--window", "1,2,3", *model), 2, "10,20,16,9")
    refused(run(upscale, small, "--scale", 2, "--window", "1,2,0,3", *model), 2, "10,20,16,9")
    refused(
        run(upscale, small, "--out", "a.jpg", "--scale", 2, "--format", "png", *model), 2, "--format", "a.jpg"
    )
    refused(run(upscale, photographs, "--scale", 2, "--window", "1,2,3,4", *model), 2, "--window")
    refused(run(upscale, photographs, "--save-field", "f.safetensors", *model), 2, "--save-field")


def test_what_cannot_be_used_is_named_in_one_sentence(checkpoint, photographs, small, tmp_path):
    model = ("--model", checkpoint)
    Path("text.png").write_text("no image")
    whole = small.read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("not.safetensors").write_text("no field")
    Path("empty").mkdir()
    tifffile.imwrite("nan.tif", np.full((4, 4), np.nan, np.float32))
    for name in ("text.png", "cut.png", "nan.tif"):
        refused(run(upscale, name, "--scale", 2, *model), 1, name)
    for name in ("missing.png", "missing.safetensors", "missing"):
        refused(run(upscale, name, "--scale", 2, *model), 1, name, "does not exist: name an image")
    refused(run(upscale, "not.safetensors", "--scale", 2), 1, "not.safetensors")
    refused(run(upscale, checkpoint, "--scale", 2), 1, "model.safetensors", "--save-field")
    refused(run(upscale, "empty", "--scale", 2, *model), 1, "empty")
    refused(run(upscale, small, "--scale", 2, "--model", "text.png"), 1, "text.png")
    refused(run(upscale, small, "--scale", 2, "--model", "missing"), 1, "missing")
    assert run(upscale, small, "--save-field", "f.safetensors", *model).exit_code == 0
    refused(run(upscale, small, "--scale", 2, "--model", "f.safetensors"), 1, "f.safetensors", "sr-train")
    refused(run(upscale, small, "--out", "nowhere/out.png", "--scale", 2, *model), 1, "nowhere")
    refused(run(upscale, small, "--out", "out.xyz", "--scale", 2, *model), 1, "out.xyz", ".png")
    refused(run(upscale, small, "--out", "empty", "--scale", 2, *model), 1, "empty")
    refused(
        run(upscale, small, "--out", small, "--scale", 2, "--overwrite", *model), 1, "0.png", "another output"
    )
    refused(run(upscale, photographs, "--out", photographs, "--scale", 2, *model), 1, "another output")
    refused(run(upscale, small, "--scale", 2, "--window", "40,30,20,5", *model), 1, "0.png", "48x40")
    refused(
        run(upscale, small, "--scale", 1e9, *model), 1, "48,000,000,000x40,000,000,000", "lower the scale"
    )
    refused(run(upscale, small, "--out", "a.webp", "--scale", 400, *model), 1, "16,383", "TIFF")
    refused(
        run(upscale, small, "--out", "a.jpg", "--scale", 100, "--memory", 0.01, *model), 1, "memory", "TIFF"
    )
    refused(
        run(upscale, small, "--out", "a.jpg", "--scale", 2, "--memory", 0.0001, *model), 1, "0.png", "memory"
    )
    assert not list(Path().glob("a.*"))


def test_ctrl_c_leaves_nothing_half_written(checkpoint, small, monkeypatch):
    def interrupted(*arguments) -> Iterator[tuple[int, np.ndarray]]:
        yield 0, np.zeros((4, 96, 3), np.uint8)
        raise KeyboardInterrupt

    monkeypatch.setattr("sr_model.upscaling.upscale.render_layers", interrupted)
    result = run(upscale, small, "--out", "out.png", "--scale", 2, "--model", checkpoint)
    assert result.exit_code == 130
    assert not list(Path().glob("*out*"))


def test_a_folder_is_not_upscaled_into_a_file(checkpoint, photographs):
    Path("file").write_text("precious")
    for out in ("file", "file/out"):
        result = run(upscale, photographs, "--out", out, "--scale", 2, "--model", checkpoint)
        refused(result, 1, "file is a file", "--out")
        assert "failed" not in result.output


def test_if_all_images_fail_there_are_no_others(checkpoint, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_text("no image")
    result = run(upscale, "bad", "--out", "out", "--scale", 2, "--model", checkpoint)
    assert result.exit_code == 3
    assert result.stderr.endswith("1 of 1 image failed; none is upscaled.\n")


def test_messages_name_the_option(checkpoint, small):
    model = ("--model", checkpoint)
    Path("bad.safetensors").write_text("x")
    for arguments, sentence in (
        (("--scale", 2, "--model", "bad.safetensors"), "--model bad.safetensors is not a file of"),
        (("--save-field", "f.txt", *model), "--save-field f.txt does not end in .safetensors"),
        (("--scale", 2, "--out", "a.xyz", *model), "--out a.xyz does not end in"),
        (("--scale", 2, "--out", "none/a.png", *model), "--out none/a.png cannot be written: there is no"),
        (("--scale", 2, "--window", "0,0,9999,9", *model), "--window 0,0,9999,9 (x,y,width,height) is not"),
        (("--scale", 2, "--memory", 0.000001, *model), "--memory allows 1.0 kB"),
        (("--size", "99999999999x", *model), "lower the scale or size"),
    ):
        refused(run(upscale, small, *arguments), 1, sentence)


def test_existing_files_are_kept_unless_told_otherwise(checkpoint, small):
    Path("out.png").write_text("precious")
    Path("f.safetensors").write_text("precious")
    refused(
        run(upscale, small, "--out", "out.png", "--scale", 2, "--model", checkpoint),
        1,
        "out.png",
        "--overwrite",
    )
    field = ("--save-field", "f.safetensors", "--model", checkpoint)
    refused(run(upscale, small, *field), 1, "f.safetensors", "--overwrite")
    assert Path("out.png").read_text() == Path("f.safetensors").read_text() == "precious"
    assert run(upscale, small, "--out", "out.png", "--scale", 2, *field, "--overwrite").exit_code == 0
    assert size("out.png") == (96, 80)


def test_what_cannot_be_written_is_refused_before_the_model_is_loaded(checkpoint, small, monkeypatch):
    def load(model):
        raise AssertionError("the model is loaded")

    monkeypatch.setattr("sr_model.upscaling.files.as_network", load)
    model = ("--model", checkpoint)
    Path("out.png").write_text("precious")
    Path("text.png").write_text("no image")
    refused(run(upscale, small, "--out", "out.png", "--scale", 2, *model), 1, "exists already")
    refused(run(upscale, small, "--out", "nowhere/a.png", "--scale", 2, *model), 1, "nowhere")
    refused(run(upscale, small, "--out", "a.xyz", "--scale", 2, *model), 1, "a.xyz")
    refused(run(upscale, small, "--out", "a.webp", "--scale", 400, *model), 1, "16,383")
    refused(run(upscale, small, "--save-field", "f.txt", *model), 1, "f.txt")
    refused(run(upscale, "text.png", "--scale", 2, *model), 1, "text.png")
    monkeypatch.setattr("os.access", lambda place, mode: mode != os.W_OK)
    refused(run(upscale, small, "--out", "b.png", "--scale", 2, *model), 1, "write-protected")
    refused(run(upscale, small.parent, "--out", "b", "--scale", 2, *model), 1, "b cannot be written")


def test_numbers_are_read_as_chosen_and_said(checkpoint):
    numbers = np.linspace(0, 10_000, 48).astype(np.uint16).reshape(6, 8)
    tifffile.imwrite("reflectance.tif", numbers, photometric="minisblack")
    common = ("--scale", 2, "--model", checkpoint, "--overwrite", "--out", "a.tif")
    result = run(upscale, "reflectance.tif", *common, "--white", 10_000)
    assert result.exit_code == 0, result.output
    assert "reflectance.tif: its values 0 to 10000 become 0 to 65535" in result.stderr
    made = tifffile.imread("a.tif")
    assert made.dtype == np.uint16
    assert made.max() > 60_000
    assert run(upscale, "reflectance.tif", *common, "--levels", "2000,4000").exit_code == 0
    assert np.mean(tifffile.imread("a.tif") > 65_000) > 0.4
    tifffile.imwrite("elevation.tif", numbers.astype(np.float32), photometric="minisblack")
    refused(run(upscale, "elevation.tif", *common), 1, "elevation.tif", "--white or --levels")
    refused(run(upscale, "elevation.tif", *common, "--levels", "5,2"), 2, "--levels")
    refused(run(upscale, "elevation.tif", *common, "--levels", "2,5", "--white", 3), 2, "--white or --levels")
