"""What common libraries call bicubic, PSNR on luma and SSIM, and how far apart they are.

    python workflows/studies/metrics_of_libraries.py
    python workflows/studies/metrics_of_libraries.py --images KODAK --image KODAK/kodim05.png

Compares every library below that is installed, and names those that are not; it installs nothing. The tables
of sr_model/METRICS.md were printed with

    pip install pillow==13.0.0 opencv-python-headless==5.0.0.93 scikit-image==0.26.0 scipy==1.17.1 \
        torchmetrics==1.9.0 kornia==0.9.0 resize-right==0.0.2 sewar==0.4.10
    pip install --no-deps basicsr==1.4.2 pyiqa==0.1.16

Of BasicSR and pyiqa only the files that hold these functions are loaded: the packages themselves also import
torchvision and others.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from dgp_mining.images.reader import image_size, read_rgb
from splat2d import imresize
from sr_model.evaluation.metrics import luma, psnr, ssim

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
SCALES = (2.0, 3.0, 0.5, 0.3)
SCALE = 4
"""Scale of the bicubic reconstructions whose PSNR and SSIM are measured, as 8-bit images."""
BORDER = 12
"""Pixels of a resized image that a border may reach."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", type=Path, default=SAMPLES / "heldout" / "chelsea.png", help="one picture")
    parser.add_argument(
        "--images", type=Path, default=SAMPLES, help="folder of pictures, for means over a set"
    )
    options = parser.parse_args()
    image = planes(options.image)
    height, width = (extent // 30 * 30 for extent in image.shape[1:])  # whole sizes at all scales
    image = image[:, :height, :width]
    print(f"{options.image.name}, {width}x{height} pixels\n")
    bicubic_table(image)
    paths = sorted(path for path in options.images.rglob("*") if path.suffix in (".png", ".jpg"))
    pictures = [planes(path) for path in paths if min(image_size(path)) >= 4 * SCALE]
    psnr_table(image, pictures)
    ssim_table(image)


def planes(path: Path) -> Tensor:
    """[3, H, W] float64 in [0, 1], of 8 bits."""
    return torch.from_numpy(read_rgb(path)).double().mul(255).round().div(255).permute(2, 0, 1)


def reconstructed(image: Tensor) -> tuple[Tensor, Tensor]:
    """An image, cropped, and its bicubic reconstruction from 1 / SCALE of its size, both [0, 1]."""
    height, width = (extent // SCALE * SCALE for extent in image.shape[1:])
    hr = (image[:, :height, :width] * 255).round().byte()
    return hr / 255.0, imresize(imresize(hr, scale=1 / SCALE), scale=SCALE) / 255.0


def bicubic_table(image: Tensor) -> None:
    """Resized images against MATLAB's."""
    print(
        "Bicubic against MATLAB's imresize: largest difference of 255 inside / PSNR of the whole picture, dB"
    )
    row("", *(f"x{scale:g}" for scale in SCALES))
    for name, resize in RESIZERS.items():
        cells = []
        for scale in SCALES:
            expected = imresize(image, scale=scale).clamp(0, 1)
            try:
                found = resize(image, (expected.shape[1], expected.shape[2]), scale).double().clamp(0, 1)
            except ImportError:
                cells = ["not installed"]
                break
            inside = (found - expected)[:, BORDER:-BORDER, BORDER:-BORDER].abs().max().item() * 255
            cells.append(f"{inside:.2f} / {psnr(found, expected):.1f}")
        row(name, *cells)
    try:
        basicsr = loaded("basicsr", "utils.matlab_functions").imresize
    except ImportError:
        print()
        return
    eight_bit = (image * 255).round().byte()
    for scale in (1 / 2, 1 / 3, 1 / 4):
        matlab = imresize(eight_bit, scale=scale)
        once = (basicsr(image.float(), scale) * 255).round().clamp(0, 255).byte()
        differing = (once != matlab).double().mean().item()
        print(f"BasicSR at 1/{1 / scale:.0f}, rounded once: {differing:.1%} of the values are not MATLAB's")
    rows = basicsr(torch.rand(3, 100, 100), 1.1).shape[1]
    print(
        f"100 rows x 1.1: BasicSR {rows}, imresize {imresize(torch.rand(3, 100, 100), scale=1.1).shape[1]}\n"
    )


def psnr_table(image: Tensor, pictures: list[Tensor]) -> None:
    """PSNR on luma of one pair, and of a set."""
    hr, result = reconstructed(image)
    print(f"PSNR on luma of one bicubic reconstruction at x{SCALE}, dB")
    compare(PSNRS, "sr_model, 16..235", psnr(luma(result), luma(hr)), hr, result, 3)
    pairs = [reconstructed(picture) for picture in pictures]
    mean = float(np.mean([psnr(luma(result), luma(hr)) for hr, result in pairs]))
    print(f"PSNR on luma of {len(pairs)} pictures, dB")
    row("mean of the pictures'", f"{mean:.3f}")
    row("torchmetrics, of them all", measured(pooled, pairs, None, 3, mean))
    print()


def ssim_table(image: Tensor) -> None:
    """SSIM on luma of one pair, with the defaults of each library."""
    hr, result = reconstructed(image)
    print(f"SSIM on luma of one bicubic reconstruction at x{SCALE}")
    compare(SSIMS, "sr_model", ssim(luma(result), luma(hr)), hr, result, 4)


def compare(
    measures: Mapping[str, Callable[..., float]],
    name: str,
    ours: float,
    hr: Tensor,
    result: Tensor,
    digits: int,
) -> None:
    """Print our figure of a pair, by `name`, and those of other libraries."""
    row(name, f"{ours:.{digits}f}")
    for other, measure in measures.items():
        row(other, measured(measure, hr, result, digits, ours))


def measured(measure: Callable[..., float], hr: object, result: object, digits: int, ours: float) -> str:
    try:
        value = float(measure(hr, result) if result is not None else measure(hr))
    except ImportError:
        return "not installed"
    return f"{value:.{digits}f}  ({value - ours:+.{digits}f})"


def row(name: str, *cells: str) -> None:
    print(f"{name:<44}" + "".join(f"{cell:>17}" for cell in cells))


def loaded(package: str, module: str) -> ModuleType:
    """A module of BasicSR or pyiqa, without what the packages EMPTIED import. Raises ImportError."""
    if package not in sys.modules:
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise ImportError(package)
        root = Path(next(iter(found.submodule_search_locations)))
        for folder in (root, *(root / name for name in EMPTIED[package])):
            name = ".".join([package, *folder.relative_to(root).parts])
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__path__ = [str(folder)]
        if package == "basicsr":  # what its metrics import from the package
            colors = importlib.import_module("basicsr.utils.color_util")
            sys.modules["basicsr.utils"].bgr2ycbcr = colors.bgr2ycbcr
    return importlib.import_module(f"{package}.{module}")


EMPTIED = {"basicsr": ("utils", "metrics"), "pyiqa": ("archs", "utils")}


def named(name: str, package: str) -> str:
    """The name with the version of the package: 'torch, antialias' becomes 'torch 2.13.0, antialias'."""
    try:
        found = version(package).partition("+")[0]
    except PackageNotFoundError:
        return name
    library, comma, way = name.partition(",")
    return f"{library} {found}{comma}{way}"


Resize = Callable[[Tensor, tuple[int, int], float], Tensor]


def by_basicsr(image: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    return loaded("basicsr", "utils.matlab_functions").imresize(image.float(), scale)


def by_resize_right(pad_mode: str) -> Resize:
    def resize(image: Tensor, size: tuple[int, int], scale: float) -> Tensor:
        from resize_right import interp_methods, resize_right

        return resize_right.resize(
            image, scale_factors=scale, interp_method=interp_methods.cubic, pad_mode=pad_mode
        )

    return resize


def by_pillow(image: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    resized = [
        np.asarray(Image.fromarray(plane.float().numpy()).resize(size[::-1], Image.Resampling.BICUBIC))
        for plane in image
    ]
    return torch.from_numpy(np.stack(resized))


def by_torch(antialias: bool) -> Resize:
    return lambda image, size, scale: F.interpolate(
        image[None], size, mode="bicubic", align_corners=False, antialias=antialias
    )[0]


def by_kornia(antialias: bool) -> Resize:
    def resize(image: Tensor, size: tuple[int, int], scale: float) -> Tensor:
        from kornia.geometry import transform

        return transform.resize(image[None], size, "bicubic", antialias=antialias)[0]

    return resize


def by_opencv(image: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    import cv2

    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return torch.from_numpy(cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_CUBIC)).permute(2, 0, 1)


def by_skimage(image: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    from skimage.transform import resize

    return torch.from_numpy(resize(image.permute(1, 2, 0).numpy(), size, order=3)).permute(2, 0, 1)


def by_scipy(image: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    from scipy.ndimage import zoom

    return torch.from_numpy(zoom(image.numpy(), (1, scale, scale), order=3))


RESIZERS: dict[str, Resize] = {
    named("BasicSR", "basicsr"): by_basicsr,
    named("resize-right", "resize-right"): by_resize_right("constant"),
    named("resize-right, pad_mode reflect", "resize-right"): by_resize_right("reflect"),
    named("Pillow, mode F", "pillow"): by_pillow,
    named("torch, antialias", "torch"): by_torch(True),
    named("torch", "torch"): by_torch(False),
    named("OpenCV", "opencv-python-headless"): by_opencv,
    named("kornia, antialias", "kornia"): by_kornia(True),
    named("kornia", "kornia"): by_kornia(False),
    named("scikit-image, order 3", "scikit-image"): by_skimage,
    named("scipy, zoom of order 3", "scipy"): by_scipy,
}
"""Each takes [3, H, W] in [0, 1], the size (h, w) and the scale."""


def bytes_of(image: Tensor) -> np.ndarray:
    """[H, W, C] uint8."""
    return np.ascontiguousarray((image * 255).round().byte().permute(1, 2, 0).numpy())


def psnr_by_basicsr(hr: Tensor, result: Tensor) -> float:
    measure = loaded("basicsr", "metrics.psnr_ssim").calculate_psnr
    pair = (bytes_of(result)[..., ::-1], bytes_of(hr)[..., ::-1])  # BGR, as OpenCV reads
    return measure(*pair, crop_border=0, test_y_channel=True)


def psnr_by_skimage(hr: Tensor, result: Tensor) -> float:
    from skimage.color import rgb2ycbcr
    from skimage.metrics import peak_signal_noise_ratio

    pair = (rgb2ycbcr(one.permute(1, 2, 0).numpy())[..., 0] for one in (hr, result))
    return peak_signal_noise_ratio(*pair, data_range=255)


def psnr_by_pyiqa(hr: Tensor, result: Tensor) -> float:
    return loaded("pyiqa", "archs.psnr_arch").psnr(result[None], hr[None], test_y_channel=True).item()


def psnr_by_kornia(hr: Tensor, result: Tensor) -> float:
    from kornia.color import rgb_to_y

    return psnr(rgb_to_y(result[None])[0], rgb_to_y(hr[None])[0])


def psnr_by_opencv(hr: Tensor, result: Tensor) -> float:
    import cv2

    return cv2.PSNR(*(cv2.cvtColor(bytes_of(one), cv2.COLOR_RGB2YCrCb)[..., 0] for one in (hr, result)))


def pooled(pairs: list[tuple[Tensor, Tensor]]) -> float:
    from torchmetrics.image import PeakSignalNoiseRatio

    metric = PeakSignalNoiseRatio(data_range=1.0)
    for hr, result in pairs:
        metric.update(luma(result), luma(hr))
    return metric.compute().item()


PSNRS: dict[str, Callable[[Tensor, Tensor], float]] = {
    named("BasicSR, test_y_channel", "basicsr"): psnr_by_basicsr,
    named("scikit-image, of rgb2ycbcr", "scikit-image"): psnr_by_skimage,
    named("pyiqa, test_y_channel", "pyiqa"): psnr_by_pyiqa,
    named("kornia, of rgb_to_y", "kornia"): psnr_by_kornia,
    named("OpenCV, of COLOR_RGB2YCrCb", "opencv-python-headless"): psnr_by_opencv,
}
"""Each takes HR image and result, [3, H, W] in [0, 1]."""


def ssim_by_basicsr(hr: Tensor, result: Tensor) -> float:
    measure = loaded("basicsr", "metrics.psnr_ssim").calculate_ssim
    pair = (bytes_of(result)[..., ::-1], bytes_of(hr)[..., ::-1])
    return measure(*pair, crop_border=0, test_y_channel=True)


def ssim_by_pyiqa(hr: Tensor, result: Tensor) -> float:
    return loaded("pyiqa", "archs.ssim_arch").SSIM()(result[None], hr[None]).item()


def ssim_by_torchmetrics(hr: Tensor, result: Tensor) -> float:
    from torchmetrics.image import StructuralSimilarityIndexMeasure

    return StructuralSimilarityIndexMeasure(data_range=1.0)(luma(result)[None], luma(hr)[None]).item()


def ssim_by_kornia(hr: Tensor, result: Tensor) -> float:
    from kornia.metrics import ssim

    return ssim(luma(result)[None], luma(hr)[None], window_size=11).mean().item()


def ssim_by_skimage(hr: Tensor, result: Tensor) -> float:
    from skimage.metrics import structural_similarity

    return structural_similarity(luma(hr)[0].numpy(), luma(result)[0].numpy(), data_range=1.0)


def ssim_by_sewar(hr: Tensor, result: Tensor) -> float:
    from sewar.full_ref import ssim

    return float(ssim(bytes_of(luma(hr))[..., 0], bytes_of(luma(result))[..., 0])[0])


SSIMS: dict[str, Callable[[Tensor, Tensor], float]] = {
    named("BasicSR", "basicsr"): ssim_by_basicsr,
    named("pyiqa, SSIM()", "pyiqa"): ssim_by_pyiqa,
    named("torchmetrics", "torchmetrics"): ssim_by_torchmetrics,
    named("kornia, window 11", "kornia"): ssim_by_kornia,
    named("scikit-image", "scikit-image"): ssim_by_skimage,
    named("sewar", "sewar"): ssim_by_sewar,
}
"""Each takes HR image and result, [3, H, W] in [0, 1]."""


if __name__ == "__main__":
    main()
