"""GSASR's checkpoints are converted with their settings; other folders are named and refused.

`networks/test_released.py` compares what a converted network predicts with what the released one does.
"""

from dataclasses import replace
from pathlib import Path

import gsasr_layout as plain
import public_layouts as public
import pytest
import torch
from click.testing import CliRunner
from containers import FORMATS, WRAPPERS
from gsasr_renderer import render_released
from published import IMAGE, Published
from released import Released
from torch import Tensor

from sr_model import (
    GSASR,
    PRESETS,
    Budget,
    Checkpoint,
    CheckpointError,
    GSASRSettings,
    Preset,
    load,
    train,
)
from sr_model.checkpoints.convert_gsasr import convert_gsasr, whole_numbers
from sr_model.cli.convert import main as sr_convert
from sr_model.encoders import fill_windows
from sr_model.networks.gsasr.network import MASS_WITHIN_CUTOFF

WINDOW, WIDTH = 4, 8
SMALL = {"c": 12, "heads": 3, "window": WINDOW, "injection": (2, 2), "interaction": (2, 2), "inputs": WIDTH}


def encoder_file(kind: str = "edsr") -> dict[str, Tensor]:
    if kind == "rdn":
        return public.fabricate(public.rdn_liif(WIDTH, 2, prefix=""), seed=1)
    shapes = {
        n: s for n, s in public.edsr_basicsr(WIDTH, 2, 2).items() if "upsample" not in n and "last" not in n
    }
    return public.fabricate(shapes, seed=1)


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A folder as GSASR is released, of small widths."""
    folder = tmp_path / "EDSR"
    folder.mkdir()
    decoder = plain.fabricated(plain.decoder(**SMALL), WINDOW)
    torch.save({"params_ema": decoder}, folder / "decoder.pth")
    torch.save({"params_ema": encoder_file()}, folder / "encoder.pth")
    return folder


@torch.no_grad()
def test_an_image_that_fills_no_window_is_extended_by_reflection(released: Path, tmp_path: Path):
    convert_gsasr(released, tmp_path / "a.safetensors")
    model = load(tmp_path / "a.safetensors", "cpu")
    image = torch.rand(1, 3, 6, 7)
    whole = torch.nn.functional.pad(image, (0, 1, 0, 2), mode="reflect")
    field, expected = model(image, 2), model(whole, 2)
    assert field.size == (6, 7)
    for name in ("means", "cholesky", "colors"):
        assert torch.equal(getattr(field, name), getattr(expected, name))


def test_encoders_come_in_several_layouts(released: Path, tmp_path: Path):
    convert_gsasr(released, tmp_path / "edsr.safetensors")
    assert not Checkpoint.load(tmp_path / "edsr.safetensors").network.long_skip
    torch.save({"params_ema": encoder_file("rdn")}, released / "encoder.pth")
    assert convert_gsasr(released, tmp_path / "rdn.safetensors").encoder.startswith("RDN")
    assert Checkpoint.load(tmp_path / "rdn.safetensors").network == GSASRSettings(
        encoder="rdn", width=WIDTH, depth=2, channels=12, heads=3, window=WINDOW, injection=(2, 2),
        interaction=(2, 2), head_hidden=(12, 48), cells=4, compat=True,
    )  # fmt: skip


@torch.no_grad()
def test_swinir_reads_images_without_a_mean_and_does_not_upsample(released: Path, tmp_path: Path):
    figures = Published("swinir-gsasr")
    torch.save({"params_ema": figures.weights}, released / "encoder.pth")
    decoder = plain.fabricated(plain.decoder(**SMALL | {"inputs": 64}), WINDOW)
    torch.save({"params_ema": decoder}, released / "decoder.pth")
    assert convert_gsasr(released, tmp_path / "a.safetensors").encoder.startswith("SwinIR")
    model = load(tmp_path / "a.safetensors", "cpu")
    figures.check(model.encoder(fill_windows(IMAGE, 24)))  # as for windows of 12


@pytest.mark.parametrize("ratio", [0.1, 0.5])
@torch.no_grad()
def test_the_released_renderer_cuts_off_at_a_part_of_the_image(released: Path, tmp_path: Path, ratio):
    convert_gsasr(released, tmp_path / "a.safetensors")
    model = load(tmp_path / "a.safetensors", "cpu")
    image = torch.rand(1, 3, 2 * WINDOW, 3 * WINDOW)
    height, width = 21, 31
    field = model(image, 2.6)
    rendered = render_released(field, (height, width), ratio)
    means, amplitudes = field.means[0], MASS_WITHIN_CUTOFF * field.colors[0]
    l11, l21, l22 = field.cholesky[0].unbind(-1)
    covariances = torch.stack([l11**2, l11 * l21, l11 * l21, l21**2 + l22**2], -1).view(-1, 2, 2)
    stretch = torch.diag(torch.tensor([width / (3 * WINDOW), height / (2 * WINDOW)]))
    expected = torch.zeros(3, height, width)
    for i in range(height):
        for j in range(width):
            # In the released code's coordinates, which go from -1 to 1 between the outermost pixel centres.
            pixel = torch.tensor([2 * j / (width - 1) - 1, 2 * i / (height - 1) - 1])
            centre = 2 * (means @ stretch - 0.5) / torch.tensor([width - 1, height - 1]) - 1
            distance = pixel - centre
            near = (distance.abs() <= ratio).all(1)
            away = distance * torch.tensor([(width - 1) / 2, (height - 1) / 2])
            inverse = torch.linalg.inv((stretch @ covariances @ stretch).double()).float()
            weight = torch.exp(-torch.einsum("na,nab,nb->n", away, inverse, away) / 2) * near
            expected[:, i, j] = weight @ amplitudes
    # Single precision decides otherwise about a few pixels on the rectangles' edges.
    assert ((rendered[0] - expected).abs() > 1e-4).float().mean() < 0.01
    assert (rendered[0] - expected).abs().median() < 1e-6


@torch.no_grad()
def test_splat2d_renders_released_fields_as_bright_as_the_released_renderer(released: Path, tmp_path: Path):
    convert_gsasr(released, tmp_path / "a.safetensors")
    field = load(tmp_path / "a.safetensors", "cpu")(torch.rand(1, 3, 8, 8), 4)
    whole, ours = render_released(field, (32, 32), ratio=1.0), field.render((32, 32))
    assert abs(ours.mean() / whole.mean() - 1) < 1e-3  # 0.4 % less without `MASS_WITHIN_CUTOFF`
    assert (ours - whole).abs().max() < 0.01 * whole.max()


def published(encoder: public.Shapes) -> tuple[int, int, int]:
    """Numbers of parameters of the encoder, of the released decoder, and of the decoder's unused parts."""
    shapes = plain.decoder(180, 6, 12, (1, 2), (6, 6))
    count = {n: torch.Size(s).numel() for n, s in shapes.items() if not n.endswith("index")}
    unused = sum(n * 2 // 3 for name, n in count.items() if "cross_attn_scale.in_proj" in name)
    norms = {"window_crossattn": ".norm1.", "gs_selfattn": ".norm3."}
    unused += sum(n for name, n in count.items() if norms.get(name.split("_blocks")[0], "-") in name)
    return sum(torch.Size(s).numel() for s in encoder.values()), sum(count.values()), unused


# What the layouts give, in the order encoder, released decoder, unused in it; 1.22 and 22.0 million are also
# what LIIF states of these encoders.
@pytest.mark.parametrize(
    ("encoder", "depth", "expected"),
    [("edsr", 16, (1_220_416, 19_224_381, 2_489_760)), ("rdn", 16, (21_973_952, 19_224_381, 2_489_760))],
)
def test_the_published_networks_have_the_published_numbers_of_parameters(encoder, depth, expected):
    shapes = public.rdn_liif(64, depth) if encoder == "rdn" else public.edsr_basicsr(64, depth, 2)
    shapes = {n: s for n, s in shapes.items() if "upsample" not in n and "last" not in n}
    assert published(shapes) == expected
    of_encoder, of_decoder, unused = expected
    with torch.device("meta"):
        model = GSASR(replace(PRESETS["gsasr-paper"].network, encoder=encoder, depth=depth))
    assert sum(p.numel() for p in model.encoder.parameters()) == of_encoder
    assert sum(p.numel() for p in model.parameters()) == of_encoder + of_decoder - unused


def test_the_layout_of_these_tests_is_the_released_one():
    figures = Released("gsasr-edsr")
    buffers = {name.removeprefix("decoder/") for name in figures.json("buffers")}
    layout = plain.decoder(180, 6, 12, (1, 2), (6, 6))
    assert {n: list(s) for n, s in layout.items() if n not in buffers} == dict(figures.json("decoder_layout"))
    assert buffers < set(layout)


def test_layers_that_the_released_decoder_does_not_have_are_named(released: Path, tmp_path: Path, caplog):
    convert_gsasr(released, tmp_path / "a.safetensors")
    assert not caplog.text
    decoder = torch.load(released / "decoder.pth", weights_only=True)["params_ema"]
    gate = "gs_selfattn_blocks.0.blocks.0.gs_self_attn.gate.weight"
    torch.save({"params_ema": decoder | {gate: torch.zeros(1)}}, released / "decoder.pth")
    convert_gsasr(released, tmp_path / "b.safetensors")
    assert f"{gate} left out" in caplog.text


def test_a_folder_that_is_not_a_released_gsasr_is_refused_in_one_sentence(released: Path, tmp_path: Path):
    decoder = torch.load(released / "decoder.pth", weights_only=True)["params_ema"]
    encoder = torch.load(released / "encoder.pth", weights_only=True)["params_ema"]

    def refused(change: dict, into: str, mention: str) -> None:
        folder = tmp_path / f"other-{mention}"
        folder.mkdir()
        torch.save({"params_ema": decoder}, folder / "decoder.pth")
        torch.save({"params_ema": encoder}, folder / "encoder.pth")
        torch.save({"params_ema": change}, folder / f"{into}.pth")
        with pytest.raises(CheckpointError, match=mention) as error:
            convert_gsasr(folder, tmp_path / "b.safetensors")
        assert str(folder) in str(error.value)
        assert str(error.value).count(". ") == 0
        assert not (tmp_path / "b.safetensors").exists()

    attention = "gs_selfattn_blocks.0.blocks.0.gs_self_attn"
    refused(decoder | {f"{attention}.rope_freqs": torch.zeros(2)}, "decoder", "rotary")
    refused({n: t for n, t in decoder.items() if n != f"{attention}.proj.bias"}, "decoder", "no tensor")
    refused({n: t for n, t in decoder.items() if "rgb" not in n}, "decoder", "mlp_block_rgb")
    narrow = {f"{attention}.relative_position_bias_table": torch.zeros(3, 3)}
    refused(decoder | narrow, "decoder", "other shapes")
    refused(decoder | {"gs_embedding": decoder["gs_embedding"][1:]}, "decoder", "shapes")
    refused(
        decoder | {"mlp_block_rgb.2.bias": torch.zeros(1)}, "decoder", r"heads\.colour\.2\.bias is 1 and not"
    )
    refused(encoder, "decoder", "gs_embedding")
    refused(decoder, "encoder", "no encoder")
    refused(public.fabricate(public.edsr_basicsr(12, 1, 2)), "encoder", "not a released")
    with pytest.raises(CheckpointError, match=r"decoder\.pth is missing: a released GSASR has two files"):
        convert_gsasr(tmp_path, tmp_path / "b.safetensors")


@pytest.mark.parametrize(
    "wrapper", ["plain", "params", "_orig_mod.", "Lightning", "as LIIF", "AveragedModel"]
)
@pytest.mark.parametrize("file_format", FORMATS)
def test_parts_are_taken_from_every_container_and_from_the_training_code(
    released: Path, tmp_path: Path, wrapper, file_format
):
    convert_gsasr(released, tmp_path / "a.safetensors")
    folder = tmp_path / "models"
    folder.mkdir()
    for part, name in (("encoder", "net_g_500"), ("decoder", "net_fea2gs_500")):
        state = torch.load(released / f"{part}.pth", weights_only=True)["params_ema"]
        suffix = "safetensors" if file_format == "safetensors" else "pth"
        FORMATS[file_format](WRAPPERS[wrapper](state), folder / f"{name}.{suffix}")
    convert_gsasr(folder, tmp_path / "b.safetensors")
    first, second = (Checkpoint.load(tmp_path / f"{name}.safetensors") for name in "ab")
    assert first.network == second.network
    assert all(torch.equal(t, second.weights[name]) for name, t in first.weights.items())
    torch.save({}, folder / "net_g_1000.pth")
    with pytest.raises(CheckpointError, match=r"encoders in several files \(net_g_1000.pth, net_g_500"):
        convert_gsasr(folder, tmp_path / "c.safetensors")


def test_an_index_that_was_cast_with_the_weights_is_still_one(released: Path, tmp_path: Path):
    decoder = torch.load(released / "decoder.pth", weights_only=True)["params_ema"]
    convert_gsasr(released, tmp_path / "a.safetensors")
    torch.save({n: t.half() for n, t in decoder.items()}, released / "decoder.pth")
    convert_gsasr(released, tmp_path / "b.safetensors")
    first, second = (Checkpoint.load(tmp_path / f"{name}.safetensors") for name in "ab")
    for name, tensor in first.weights.items():
        if not name.startswith("encoder."):
            torch.testing.assert_close(second.weights[name], tensor, atol=0.01, rtol=0.001)
    with pytest.raises(ValueError, match="rounded to bfloat16"):
        whole_numbers(torch.tensor([528.0], dtype=torch.bfloat16))


def test_a_training_goes_on_from_it(released: Path, tmp_path: Path, photographs: Path, tiny_gsasr: Preset):
    convert_gsasr(released, tmp_path / "a.safetensors")
    best = train(
        None,
        photographs,
        tiny_gsasr,
        tmp_path / "run",
        init=tmp_path / "a.safetensors",
        budget=Budget(steps=1),
    )
    assert Checkpoint.load(best).notes["converted"]["license"] == "Apache-2.0"


def test_sr_convert_takes_the_folder(released: Path, tmp_path: Path):
    arguments = [str(released), "--out", str(tmp_path / "a.safetensors")]
    made = CliRunner().invoke(sr_convert, arguments)
    assert made.exit_code == 0, made.output
    assert "GSASR on EDSR" in made.output
    assert "Apache-2.0" in made.output
    again = CliRunner().invoke(sr_convert, arguments)
    assert again.exit_code == 1
    assert "--overwrite" in again.output
