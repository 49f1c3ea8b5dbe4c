"""The benchmark of upscaling and training with the small presets runs, and its baseline is IMDN."""

from __future__ import annotations

import pytest
import torch


def test_inference_prints_ratios_to_the_faster_imdn(quick):
    printed, written = quick("inference.py", "--parts", "picture")
    seconds = {name: row["CPU s"] for name, row in written["picture"].items()}
    baseline = min((name for name in seconds if name.startswith("IMDN")), key=seconds.get)
    assert f"ratios to {baseline}" in printed
    for name in ("reference model", "reference model, with the correction"):
        row = next(line for line in printed.splitlines() if line.startswith(f"{name}  "))
        assert f" {seconds[name] / seconds[baseline]:.2f} " in row
    assert list(seconds)[2:] == ["light", "reference model", "reference model, with the correction"]
    assert all(list(row) == ["CPU s", "bytes"] for row in written["picture"].values())


def test_a_training_step_is_timed_in_both_precisions_and_with_torch_alone(quick):
    printed, written = quick("inference.py", "--parts", "training")
    ways = ("float32, torch alone", "float32", "bfloat16")
    names = ("light", "span", "span with its encoder frozen")
    assert list(written["training"]) == [f"{name}, {way}" for way in ways for name in names]
    assert "ratios to light, float32, torch alone" in printed


def test_a_photograph_is_upscaled_by_the_program_with_two_models(quick):
    printed, written = quick("inference.py", "--parts", "photograph")
    assert list(written["photograph"]) == ["preset light, torch alone", "preset span"]
    assert all(cost["CPU s"] > 0 and cost["bytes"] > 0 for cost in written["photograph"].values())
    assert "x2, PNG to PNG" in printed


def test_an_unknown_part_is_refused(run):
    result = run("inference.py", "--parts", "picture,sound")
    assert result.returncode == 2
    assert "--parts has sound" in result.stderr


def test_imdn_has_the_published_number_of_parameters_and_scales_the_image():
    from imdn import IMDN

    network = IMDN(4).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 715_176
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 5, 7)).shape == (1, 3, 20, 28)


def test_the_synthetic_photograph_is_smooth_and_uses_the_range_of_values():
    from inference import synthetic_photograph

    pixels = synthetic_photograph(96, 144)
    assert pixels.shape == (96, 144, 3)
    values = torch.from_numpy(pixels).double()
    steps = (values[:, 1:] - values[:, :-1]).abs().mean()
    assert values.std() > 30
    assert steps < 0.5 * values.std()


@pytest.mark.parametrize("layout", ["IMDN, default layout", "IMDN, channels-last"])
def test_both_layouts_of_imdn_compute_the_same(layout):
    from inference import SCALE, upscaler

    image = torch.rand(1, 3, 9, 8)
    torch.manual_seed(0)
    run, parameters = upscaler(layout)
    torch.manual_seed(0)
    from imdn import IMDN

    with torch.inference_mode():
        torch.testing.assert_close(run(image), IMDN(SCALE).eval()(image), rtol=1e-4, atol=1e-5)
    assert parameters == 715_176
