"""Mining the Deep Gaussian Prior: images -> crops -> fits -> Zarr -> statistics -> dictionary."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dictionary import Dictionary
    from .fit import Fit, fit_image
    from .merging import merge
    from .mining import mine
    from .plan import Settings
    from .prior import build_dictionary
    from .store import Store
    from .summary import summarise
    from .verification import verify

__all__ = [
    "Dictionary",
    "Fit",
    "Settings",
    "Store",
    "build_dictionary",
    "fit_image",
    "merge",
    "mine",
    "summarise",
    "verify",
]

# Imported on first use, so that a trainer that needs a dictionary loads neither Dask nor Zarr.
_HOME = {
    "Dictionary": "dictionary",
    "Fit": "fit",
    "Settings": "plan",
    "Store": "store",
    "build_dictionary": "prior",
    "fit_image": "fit",
    "merge": "merging",
    "mine": "mining",
    "summarise": "summary",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
