"""The pipeline from HR to LR images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from splat2d.matlab_imresize import imresize

from .blur import Blur
from .custom import import_effect
from .jpeg import Jpeg
from .noise import Noise
from .resize import Bicubic, Resize, bicubic, border_of
from .weather import Rain

Order = Literal["fixed", "random"]
"""Order of the effects of a stage."""
Step = Callable[[Tensor, np.random.Generator], Tensor]
"""A part of the pipeline, from an image, [3, h, w] float32 in [0, 1], to another one."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A second degradation of what the first one left, as of a picture that is edited and uploaded again."""

    blur: Blur | None = None
    """Blur; none by default."""
    resize: Resize | None = None
    """Resizing; none by default: the image keeps the size that the first stage gave it."""
    noise: Noise | None = None
    """Noise; none by default."""
    jpeg: Jpeg | None = None
    """JPEG compression; none by default."""


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """The pipeline from HR images to LR images.

    Without further settings it is a bicubic reduction. An image then goes through these steps, each clamped
    to [0, 1]: blur; reduction to LR size, or to a multiple of it (`resize.factor`); rain; noise; those of the
    second stage, blur, resizing, noise; reduction to LR size if it has another; JPEG (the second stage's, the
    first stage's being before that stage); `custom`; rounding (`eight_bit`).

    With `order = "random"`, blur, reduction (with rain), noise and JPEG of a stage come in an order that is
    drawn for each image; after the last reduction, JPEG follows once more, as the format in which the
    picture is stored. So do BSRGAN (Zhang et al. 2021, section 3.4), with one stage that has two blurs, and,
    with two stages in fixed order, Real-ESRGAN (Wang et al. 2021, section 3.2), which also filters with a
    sinc against which there is nothing here.

    Raises ValueError, in a sentence that names the setting, for an unknown `bicubic` or `order`, or a
    `custom` that is not of the form module:name.

    >>> hr = torch.full((1, 3, 12, 12), 128, dtype=torch.uint8)
    >>> lr = Degradation(noise=Noise(sigma=(5, 5)))(hr, (4, 4), [np.random.default_rng(0)])
    >>> lr.shape, lr.dtype
    (torch.Size([1, 3, 4, 4]), torch.float32)
    """

    bicubic: Bicubic = "matlab"
    """Implementation of the bicubic reduction: MATLAB's; its older releases', with other borders; Pillow's,
    which rounds to 8 bits."""
    eight_bit: bool = False
    """Round LR images to 8 bits, as in image files."""
    order: Order = "fixed"
    """Order of blur, reduction, noise and JPEG in a stage: as listed, or drawn for each image, with a last
    JPEG in the end."""
    blur: Blur | None = None
    """Blur, of the HR image; none by default."""
    resize: Resize | None = None
    """Reduction by other kernels than bicubic ones; none by default."""
    rain: Rain | None = None
    """Rain streaks, after the reduction; none by default."""
    noise: Noise | None = None
    """Noise, after the rain; none by default."""
    jpeg: Jpeg | None = None
    """JPEG compression, after the noise; none by default."""
    second: Stage | None = None
    """A second stage; none by default."""
    custom: str | None = None
    """Effect of your own, after all others: `module:name` of a function that can be imported (PYTHONPATH). It
    takes an image, a float tensor [3, h, w] in [0, 1], and a numpy Generator, and returns an image."""

    def __post_init__(self) -> None:
        for name, choices in (("bicubic", get_args(Bicubic)), ("order", get_args(Order))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if self.custom is not None and not all(self.custom.partition(":")):
            raise ValueError(f"custom must be module:name of a function, got {self.custom!r}")

    def __call__(self, hr: Tensor, size: tuple[int, int], random: Sequence[np.random.Generator]) -> Tensor:
        """Reduce [B, 3, H, W] uint8 to [B, 3, h, w] float32 in [0, 1]; each image has its own generator.

        All that is random in an image is drawn from its generator: it does not depend on other images.

        Raises:
            ValueError: if the `custom` effect cannot be imported.
        """
        if not self.reduces_first:
            images = zip(hr.float() / 255, random, strict=True)
            return torch.stack([self._degrade(image, size, source) for image, source in images])
        if self.bicubic == "pil":
            lr = torch.stack([bicubic(image, size, "pil") for image in hr]).float() / 255
        elif self.eight_bit:
            lr = imresize(hr, size, border=border_of(self.bicubic)).float() / 255
        else:
            lr = imresize(hr.float() / 255, size, border=border_of(self.bicubic)).clamp(0, 1)
        if self.affects:
            lr = torch.stack([self.affect(image, source) for image, source in zip(lr, random, strict=True)])
        return lr

    @property
    def reduces_first(self) -> bool:
        """Whether the pipeline is a bicubic reduction, followed by effects on the LR image (`affect`)."""
        if self.order == "random" and self.affects:
            return False
        return not (self.blur or self.resize or self.second)

    @property
    def affects(self) -> bool:
        """Whether there is anything but the bicubic reduction."""
        effects = (self.blur, self.resize, self.rain, self.noise, self.jpeg, self.second, self.custom)
        return any(effect is not None for effect in effects)

    @property
    def plain(self) -> bool:
        """Whether this is MATLAB's bicubic reduction alone, which can be computed on a GPU."""
        return self.bicubic == "matlab" and not self.affects

    def check(self) -> None:
        """Raise ValueError if the `custom` effect cannot be imported."""
        if self.custom:
            import_effect(self.custom)

    def affect(self, image: Tensor, random: np.random.Generator) -> Tensor:
        """Apply the effects that follow the reduction to an LR image, [3, h, w] float32 in [0, 1].

        For pipelines that `reduces_first`. Raises ValueError like `check`.
        """
        custom = import_effect(self.custom) if self.custom else None
        for effect in (self.rain, self.noise, self.jpeg, custom):
            if effect:
                image = effect(image, random).clamp(0, 1)
        return self._rounded(image)

    def _degrade(self, image: Tensor, size: tuple[int, int], random: np.random.Generator) -> Tensor:
        """Degrade an HR image, [3, H, W] float32 in [0, 1], to [3, h, w]: the whole pipeline."""
        resizing = self.resize or Resize(kernels=("bicubic",))
        stages = [Stage(blur=self.blur, resize=resizing, noise=self.noise, jpeg=self.jpeg)]
        stages += [self.second] if self.second else []
        for stage in stages:
            resizing = stage.resize or resizing
            steps = self._steps(stage, size, self.rain if stage is stages[0] else None)
            if self.order == "fixed" and stage is stages[-1]:
                steps = [step for step in steps if step is not stage.jpeg]  # it comes in the end
            if self.order == "random":
                steps = [steps[index] for index in random.permutation(len(steps))]
            for step in steps:
                image = step(image, random).clamp(0, 1)
        if image.shape[1:] != size:
            image = resizing(image, size, random, self.bicubic).clamp(0, 1)
        custom = import_effect(self.custom) if self.custom else None
        for effect in (stages[-1].jpeg, custom):
            if effect:
                image = effect(image, random).clamp(0, 1)
        return self._rounded(image)

    def _steps(self, stage: Stage, lr: tuple[int, int], rain: Rain | None) -> list[Step]:
        """The steps of a stage in fixed order, for an LR image of size `lr`."""

        def blurred(image: Tensor, random: np.random.Generator) -> Tensor:
            pixel = math.sqrt(image.shape[1] * image.shape[2] / (lr[0] * lr[1]))
            return stage.blur(image, random, pixel) if stage.blur else image

        def reduced(image: Tensor, random: np.random.Generator) -> Tensor:
            if stage.resize:
                size = stage.resize.size(lr, random)
                image = stage.resize(image, size, random, self.bicubic)
            return rain(image.clamp(0, 1), random) if rain else image

        steps = ((stage.blur, blurred), (stage.resize, reduced), *((e, e) for e in (stage.noise, stage.jpeg)))
        return [step for setting, step in steps if setting and step]

    def _rounded(self, image: Tensor) -> Tensor:
        return (image * 255).round() / 255 if self.eight_bit else image
