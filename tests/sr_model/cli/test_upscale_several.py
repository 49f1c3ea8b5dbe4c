"""sr-upscale of several images: where results go, what is done again, what is left."""

from pathlib import Path

import numpy as np
import pytest
from commands import refused, run, size

from sr_model.cli.upscale import main as upscale


def test_two_images_of_a_pattern_never_overwrite_each_other(checkpoint, photographs, monkeypatch):
    monkeypatch.chdir(photographs)
    before = {path: path.read_bytes() for path in Path().iterdir()}
    for names in (("0.png", "1.png"), ("0.png", "1.png", "2.png")):
        for more in ((), ("--overwrite",), ("--skip-existing",)):
            result = run(upscale, *names, "--scale", 2, "--model", checkpoint, *more)
            refused(result, 2, "0.png and 1.png", "name the folder of their results with --out")
    refused(
        run(upscale, "0.png", "1.png", "--out", "2.png", "--scale", 2, "--overwrite"), 2, "--out 2.png is a"
    )
    refused(
        run(upscale, "0.png", "--out", "1.png", "2.png", "--scale", 2, "--overwrite"), 2, "--out 1.png is a"
    )
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_a_former_output_that_does_not_exist_is_one_still(checkpoint, small, photographs):
    result = run(upscale, small, "new.png", "--scale", 2, "--model", checkpoint)
    assert result.exit_code == 0, result.output
    assert "'new.png' without an option is now --out new.png" in result.stderr
    assert size("new.png") == (96, 80)
    Path("made").mkdir()
    assert run(upscale, photographs, "made", "--scale", 2, "--model", checkpoint).exit_code == 0
    assert len(list(Path("made").iterdir())) == 4


def test_several_images_go_into_a_folder(checkpoint, photographs):
    images = sorted(photographs.iterdir())
    result = run(upscale, *images, "--out", "large", "--scale", 2, "--model", checkpoint, "--format", "jpeg")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in Path("large").iterdir()) == [f"{index}.jpg" for index in range(4)]
    result = run(upscale, images[0], images[1], "--out", "two", "--scale", 2, "--model", checkpoint)
    assert result.exit_code == 0, result.output
    assert "is now --out" not in result.stderr
    assert sorted(path.name for path in Path("two").iterdir()) == ["0.png", "1.png"]
    for more in (("--window", "1,2,3,4"), ("--save-field", "f.safetensors")):
        refused(run(upscale, *images, "--out", "x", "--scale", 2, *more), 2, "--window", "there are several")


def test_out_ending_in_a_slash_is_a_folder_for_one_image_too(checkpoint, small):
    result = run(upscale, small, "--out", "large/", "--scale", 2, "--model", checkpoint, "--format", "tiff")
    assert result.exit_code == 0, result.output
    assert size("large/0.tif") == (96, 80)


def test_a_batch_that_is_repeated_counts_what_is_done_and_what_is_broken(checkpoint, photographs):
    (photographs / "bad.png").write_text("no image")
    batch = (upscale, photographs, "--out", "out", "--scale", 2, "--model", checkpoint)
    first = run(*batch, "--skip-existing")
    assert first.exit_code == 3
    assert first.stderr.endswith("4 upscaled, 1 broken.\n")
    again = run(*batch, "--skip-existing")
    assert again.exit_code == 3
    assert again.stderr.endswith("4 done before, 1 broken.\n")
    assert "out/0.png: done before\n" in again.stdout
    (photographs / "bad.png").unlink()
    (Path("out") / "0.png").write_bytes(b"")
    mended = run(*batch, "--skip-existing")
    assert mended.exit_code == 0
    assert "out/0.png: made again, since it is no whole image" in mended.stderr
    assert mended.stderr.endswith("1 upscaled, 3 done before.\n")
    plain = run(*batch)
    assert plain.exit_code == 3
    assert plain.stderr.endswith("4 results left as before: see --skip-existing and --overwrite.\n")
    refused(run(*batch, "--skip-existing", "--overwrite"), 2, "--skip-existing or --overwrite, not both")


def test_a_name_with_a_line_break_does_not_break_the_output(checkpoint, small):
    Path(small).rename("new\nline.png")
    result = run(upscale, "new\nline.png", "--out", "a/", "--scale", 2, "--model", checkpoint)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    assert "new\N{REPLACEMENT CHARACTER}line.png: " in result.stdout


def test_a_single_result_that_exists_is_left_too(checkpoint, small):
    one = (upscale, small, "--out", "a.png", "--scale", 2, "--model", checkpoint)
    assert run(*one).exit_code == 0
    again = run(*one, "--skip-existing")
    assert (again.exit_code, again.stdout) == (0, "a.png: done before\n")
    refused(run(*one, "--skip-existing", "--save-field", "f.safetensors"), 2, "--save-field")


def test_an_image_that_is_a_folder_is_one_image(checkpoint, photographs):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group("a.zarr", mode="w", zarr_format=3)
    group.create_array("0", shape=(6, 8), dtype="uint8")[...] = np.full((6, 8), 90, np.uint8)
    axes = [{"name": name, "type": "space"} for name in "yx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}
    result = run(upscale, "a.zarr", "--scale", 2, "--model", checkpoint)
    assert result.exit_code == 0, result.output
    assert size("a_x2.png") == (16, 12)
    result = run(upscale, "a.zarr", photographs / "0.png", "--out", "b", "--scale", 2, "--model", checkpoint)
    assert result.exit_code == 0, result.output
    assert size("b/a.png") == (16, 12)
