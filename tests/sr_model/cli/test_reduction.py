"""sr-upscale and sr-eval make results consistent by the kernel of --reduction."""

from pathlib import Path

from commands import refused, run

from sr_model.cli.evaluate import main as evaluate
from sr_model.cli.upscale import main as upscale


def test_bicubic_is_the_default_and_each_kernel_makes_a_result_of_its_own(checkpoint, photographs):
    results = {}
    for kernel in (None, "bicubic", "area", "none"):
        chosen = ["--reduction", kernel] if kernel else []
        asked = (photographs / "0.png", "--out", f"{kernel}.png", "--scale", "2", "--model", checkpoint)
        assert run(upscale, *asked, *chosen).exit_code == 0
        results[kernel] = Path(f"{kernel}.png").read_bytes()
    assert results[None] == results["bicubic"]
    assert len(set(results.values())) == 3


def test_figures_say_for_which_kernel_they_are(checkpoint, photographs):
    asked = ("--model", checkpoint, "--images", photographs, "--scales", "2", "--reduction")
    printed = {kernel: run(evaluate, *asked, kernel).stdout.splitlines() for kernel in ("bicubic", "none")}
    assert "protocol benchmark, reduction none" in printed["none"][-1]
    assert printed["none"][0] != printed["bicubic"][0]


def test_an_unknown_kernel_and_one_for_a_saved_field_are_refused(checkpoint, photographs):
    asked = (photographs / "0.png", "--model", checkpoint)
    refused(run(upscale, *asked, "--scale", "2", "--reduction", "cubic"), 2, "--reduction", "'cubic'")
    assert run(upscale, *asked, "--save-field", "a.safetensors").exit_code == 0
    of_field = run(upscale, "a.safetensors", "--out", "b.png", "--scale", "2", "--reduction", "area")
    refused(of_field, 1, "a.safetensors", "give --reduction when an image's field is saved")
