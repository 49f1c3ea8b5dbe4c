"""Features that the public encoders' own code computed, from weights by the rule of `released.py`.

The code was run once on a CPU, at small widths, and only its figures are kept, in encoders/published.npz:
EDSR of BasicSR 1.4.2, of EDSR-PyTorch (3dd71ae) and of LIIF (cb4c0e8); RDN of LIIF and of yjn870/RDN-pytorch
(b8456c0); RLFN of bytedance/RLFN (79700af), with images up to 255; SPAN, SAFMN, SwinIR and HAT as their
authors wrote them, in spandrel 0.4.2. All were stopped before their last convolution. `hat-continuoussr` and
`swinir-gsasr` are used as in those projects: without a mean, and SwinIR without its upsampler.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from released import weights
from torch import Tensor

IMAGE = torch.from_numpy(np.random.RandomState(100).random_sample((1, 3, 21, 37))).float()
"""The image of all figures, in [0, 1]; SAFMN and transformers extended it by reflection to whole windows."""


class Published:
    """The figures of one encoder in one layout."""

    def __init__(self, case: str) -> None:
        with np.load(Path(__file__).parent / "encoders" / "published.npz") as file:
            content = {name.split("/")[1]: file[name] for name in file if name.startswith(f"{case}/")}
        self.layout = [(name, tuple(shape)) for name, shape in json.loads(str(content["layout"]))]
        self.weights = weights(self.layout)
        self.shape = tuple(content["shape"].tolist())
        """Of the features, [C, H, W]."""
        self.unit = float(content["unit"])
        """What these encoders call 1, in units of images in [0, 1]."""
        self._index, self._features = (torch.from_numpy(content[part]) for part in ("index", "features"))

    def check(self, features: Tensor) -> None:
        """Assert that features [1, C, H, W], in the unit of images in [0, 1], are the published ones."""
        assert features.shape[1:] == self.shape
        ours = self.unit * features.flatten()[self._index]
        atol = 2e-5 * float(self._features.abs().max())
        torch.testing.assert_close(ours, self._features, atol=atol, rtol=0)
