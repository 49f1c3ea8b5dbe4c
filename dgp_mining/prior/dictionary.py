"""The kernel dictionary, `dict.npz`: the result of mining, on which networks are trained."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from splat2d.atomic_write import atomic_write, refuse_irregular

from ..array_file import Form, read_npz
from ..covariance import covariance_from_cholesky, smallest_eigenvalue
from ..schema import parse_json, shortened
from ..shipped import PRIOR, shipped_file
from .provenance import check_provenance

FORMAT = "dgp-dictionary/1"
UNITS = "grid spacing"

MOST_KERNELS = 100_000
"""Most kernels; comparing them with each other takes time and memory that grow faster than their number."""

LARGEST = 1e9
"""Largest entry of a kernel, and the inverse of the smallest l11 and l22: their squares keep their digits."""

MOST_METADATA = 1_000_000
"""Characters of the longest metadata that are read."""

MOST_BYTES = 2 * 24 * MOST_KERNELS + 4 * MOST_METADATA + 100_000
"""Size of the largest file that is read: kernels twice, and metadata of four bytes a character."""

_ARRAYS = {
    "cholesky": Form("f", (None, 3), 24 * MOST_KERNELS),
    "covariance": Form("f", (None, 3), 24 * MOST_KERNELS),
    "metadata": Form("U", (), 4 * MOST_METADATA),
}


class DictionaryError(ValueError):
    """A dictionary cannot be built, read or written; the message is one sentence naming it."""


@dataclass(frozen=True, eq=False)
class Dictionary:
    """The Deep Gaussian Prior as networks use it: K Gaussian shapes in grid spacings, 1/sqrt(density).

    A network with k^2 Gaussians per LR pixel, 1/k LR pixel apart, divides `cholesky` by k to get LR pixels.
    `cholesky` and `covariance` hold the same kernels, read-only. Raises DictionaryError unless all kernels
    are finite and positive definite.

    >>> Dictionary(np.array([[0.6, 0.0, 0.6], [1.0, 0.3, 0.5]])).covariance.round(2).tolist()
    [[0.36, 0.0, 0.36], [1.0, 0.3, 0.34]]
    """

    cholesky: np.ndarray
    """[K, 3] float64, (l11, l21, l22) in grid spacings; l11, l22 > 0."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Provenance: recipe, density, method, fingerprint, PSNR, coverage; JSON-serialisable."""
    covariance: np.ndarray = field(init=False)
    """[K, 3] float64, (S_xx, S_xy, S_yy) in squared grid spacings."""

    def __post_init__(self) -> None:
        cholesky = np.array(self.cholesky, np.float64)
        if cholesky.ndim != 2 or cholesky.shape[1] != 3 or not len(cholesky):
            raise DictionaryError(f"A dictionary's cholesky must be [K, 3], got {list(cholesky.shape)}.")
        if not np.isfinite(cholesky).all() or not (cholesky[:, [0, 2]] > 0).all():
            raise DictionaryError("A dictionary's kernels must be finite and positive definite.")
        if len(cholesky) > MOST_KERNELS:
            raise DictionaryError(
                f"A dictionary has at most {MOST_KERNELS:,} kernels, and not {len(cholesky):,}."
            )
        if np.abs(cholesky).max() > LARGEST or cholesky[:, [0, 2]].min() < 1 / LARGEST:
            raise DictionaryError(
                f"A dictionary's kernels must be at most {LARGEST:g} grid spacings large, and l11 and l22 at "
                f"least {1 / LARGEST:g}."
            )
        covariance = covariance_from_cholesky(cholesky)
        if not (smallest_eigenvalue(covariance) > 0).all():
            raise DictionaryError("A dictionary's kernels must be wider across than a rounding error.")
        cholesky.flags.writeable = covariance.flags.writeable = False
        object.__setattr__(self, "cholesky", cholesky)
        object.__setattr__(self, "covariance", covariance)
        object.__setattr__(self, "metadata", {**self.metadata, "format": FORMAT, "units": UNITS})

    def __len__(self) -> int:
        """Number of kernels, K."""
        return len(self.cholesky)

    @property
    def warnings(self) -> dict[str, str]:
        """The warnings, by key, that its mining and its kernels gave (soundness.py); most have none."""
        found = self.metadata.get("warnings")
        return {str(key): str(text) for key, text in found.items()} if isinstance(found, dict) else {}

    @property
    def min_eigenvalue(self) -> float:
        """The smallest eigenvalue among all covariances, in squared grid spacings."""
        return float(smallest_eigenvalue(self.covariance).min())

    def save(self, path: str | Path) -> None:
        """Write an .npz file, byte-identical for the same content.

        Raises DictionaryError if it cannot be written, or `load` would refuse its metadata.

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "dict.npz"
        >>> Dictionary(np.array([[0.6, 0.0, 0.6]])).save(path)
        >>> Dictionary.load(path).cholesky.tolist()
        [[0.6, 0.0, 0.6]]
        """
        path, text = Path(path), json.dumps(self.metadata, sort_keys=True)
        try:
            _check_metadata(text)
        except ValueError as error:
            raise DictionaryError(
                f"{path} is not written, since it could not be read again: {error}."
            ) from error
        arrays = {"cholesky": self.cholesky, "covariance": self.covariance, "metadata": np.array(text)}
        try:
            with atomic_write(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
                for name, array in arrays.items():
                    content = io.BytesIO()
                    np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
                    # No modification time: a bare ZipInfo has the date 1980.
                    archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())
        except OSError as error:
            raise DictionaryError(
                f"{path} cannot be written ({error.strerror or error}): name another file."
            ) from error

    @staticmethod
    def reference(file: str = PRIOR) -> Dictionary:
        """Load the reference prior (data/README.md), or with FORMER_PRIOR that of 0.1.0.

        Raises DictionaryError if it is not installed.

        >>> len(Dictionary.reference())
        730
        """
        try:
            with shipped_file(file) as path:
                return Dictionary.load(path)
        except FileNotFoundError as error:
            raise DictionaryError(
                "No reference prior is installed here: name a dictionary with prior=."
            ) from error

    @staticmethod
    def load(path: str | Path) -> Dictionary:
        """Read and check a file that `save` wrote. Raises DictionaryError, which names the file."""
        path = Path(path)
        try:
            refuse_irregular(path)  # opening a pipe waits for somebody who writes
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except FileNotFoundError as error:
            raise DictionaryError(
                f"{path} does not exist: make it with 'dgp-mine dictionary build'."
            ) from error
        except OSError as error:
            raise DictionaryError(f"{path} cannot be read ({error.strerror or error}).") from error
        try:
            return _parsed(content)
        except ValueError as error:
            raise DictionaryError(
                f"{path} is not a kernel dictionary ({str(error).rstrip('.')}): make one with 'dgp-mine "
                "dictionary build'."
            ) from error


def _parsed(content: bytes) -> Dictionary:
    """Return the dictionary in the content of a file. Raises ValueError, with the reason."""
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than the {MOST_BYTES} bytes that are read")
    arrays = read_npz(content, _ARRAYS)
    metadata = _check_metadata(str(arrays["metadata"]))
    dictionary = Dictionary(arrays["cholesky"], metadata)
    if arrays["covariance"].shape != dictionary.covariance.shape or not np.allclose(
        arrays["covariance"], dictionary.covariance, rtol=1e-9, atol=0
    ):
        raise ValueError("its covariances do not match its Cholesky factors")
    return dictionary


def _check_metadata(text: str) -> dict[str, Any]:
    """Return the metadata in a text of JSON. Raises ValueError, with the reason."""
    if len(text) > MOST_METADATA:
        raise ValueError(f"its metadata is longer than the {MOST_METADATA} characters that are read")
    metadata = parse_json(text, "its metadata")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise ValueError(f"it is not marked '{FORMAT}'")
    if metadata.get("units") != UNITS:
        raise ValueError(f"its units are {shortened(repr(metadata.get('units')), 60)}, not {UNITS!r}")
    check_provenance(metadata)
    return metadata
