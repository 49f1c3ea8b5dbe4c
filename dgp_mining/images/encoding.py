"""How the values of an image become colours: an ICC profile, or primaries and a transfer function."""

from __future__ import annotations

from dataclasses import dataclass

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""CIE x, y of white, red, green and blue."""

SRGB_CHROMATICITIES: Chromaticities = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""ITU-R BT.709-6, which sRGB shares (IEC 61966-2-1)."""


@dataclass(frozen=True)
class Encoding:
    """How values in [0, 1] become colours; the default is sRGB."""

    profile: bytes | None = None
    """An ICC profile, which then counts alone."""
    transfer: str | float = "srgb"
    """Name of the transfer function (one of `icc.CURVES`, "pq" or "hlg"), or an exponent g: light is the
    value to the power of g."""
    primaries: Chromaticities = SRGB_CHROMATICITIES
    """Chromaticities of white and the primaries."""
    said_by: str = ""
    """What in the file says so, for notes: "its gAMA chunk". Empty: nothing does, and sRGB is assumed."""
    cicp: tuple[int, int, int, int] | None = None
    """Colour primaries, transfer characteristics, matrix coefficients and full-range flag (ITU-T H.273), if
    the file gives them."""

    @property
    def is_srgb(self) -> bool:
        """Whether values are sRGB without any profile."""
        return (
            self.profile is None
            and self.transfer == "srgb"
            and max(abs(a - b) for a, b in zip(self.primaries, SRGB_CHROMATICITIES, strict=True)) < 1e-3
        )


SRGB = Encoding()
"""The encoding of files that say nothing."""

LINEAR = Encoding(transfer="linear", said_by="its format")
"""Linear light with the primaries of sRGB, as of OpenEXR and Radiance HDR."""
