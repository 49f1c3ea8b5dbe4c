"""Recognising the weights in a file of another project, or saying what comes nearest to them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

import torch
from torch import Tensor

from dgp_mining.harmless import harmless
from dgp_mining.schema import shortened

from .container import ENCODER, Weights, find_weights, under
from .layout import Signature
from .layouts import CONTINUOUSSR, GSASR_DECODER, LAYOUTS, RELEASED
from .tensor_file import CheckpointError
from .weight_file import read_weight_file

log = logging.getLogger(__name__)

MOST_LOOKED_AT, MOST_COMPARED = 8, 5000
"""Places in a file of unknown weights, and names there, that are compared with the known layouts."""
KNOWN = (*RELEASED, *LAYOUTS)
"""All layouts that a file may have, in the order in which they are tried."""


@dataclass(frozen=True)
class PublicWeights:
    """The weights of a file in a known layout."""

    layout: Signature
    """One of KNOWN."""
    tensors: Mapping[str, Tensor]
    """By their names in the layout; numbers with a fraction are float32, but for indices."""
    key: str
    """Where they are in the file, such as `params_ema` or `model.sd`; "" for a plain state dict."""


def read_public_weights(path: str | Path, key: str = "") -> PublicWeights:
    """Return the weights in a file, whatever wraps them.

    Of several networks with the same layout, the averaged one is taken, or the first in the order of
    `container.KEYS`; that there were others is logged, and that the numbers were of another type.

    Args:
        path: a file of torch.save or safetensors.
        key: where in the file to take the weights from, such as `params`; default: wherever they are.

    Raises:
        CheckpointError: if the file cannot be read, has nothing under `key`, or no weights in a layout of
            KNOWN, or several networks under keys that do not tell which is meant.
    """
    content = under(everything := read_weight_file(path), key)
    if content is None:
        held = listed([weights.key or "its top" for weights in find_weights(everything)]) or "no key"
        raise CheckpointError(f"{path} has nothing under key={key}: it has weights under {held}.")
    found = find_weights(content)
    if not found:
        held = listed([str(name) for name in content]) or "nothing"
        raise CheckpointError(f"{path} holds no weights, but {held}: name the file of a state dict.")
    fitting = [(weights, layout) for weights in found if (layout := layout_of(weights.tensors))]
    if not fitting:
        raise CheckpointError(f"{path} {_unknown(found)}.")
    weights, layout = fitting[0]
    others = [other for other, its in fitting[1:] if its is layout]
    taken, alike = _join(key, weights.key), [_join(key, other.key) for other in others]
    rivals = [other for other in others if other.unfamiliar != weights.unfamiliar]
    if weights.unfamiliar and (rivals or ENCODER in weights.path):
        raise CheckpointError(
            f"{path} holds {layout.name} under {listed([taken, *alike])}, which does not tell whether it is "
            f"meant: name it with key={printable(taken)}."
        )
    if alike:
        averaged = ", the averaged weights" if weights.averaged else ""
        others_at = " or ".join(map(printable, alike[:MOST_LOOKED_AT]))
        log.info("%s: taken from %s%s; key=%s takes others", path, printable(taken), averaged, others_at)
    elif weights.unfamiliar:
        log.info("%s: taken from %s, which alone holds %s", path, printable(taken), layout.name)
    name_unused(path, layout, weights.tensors)
    return PublicWeights(layout, _as_float32(weights.tensors, path), taken)


def name_unused(path: str | Path, layout: Signature, names: Collection[str]) -> None:
    """Warn of tensors that networks in the layout do not have: what they change is lost."""
    if unused := [name for name in names if not layout.knows(name)]:
        log.warning(
            "%s: %s left out, which %s does not have: a network that uses them computes something else",
            path,
            listed(unused),
            layout.name,
        )


def identify(path: str | Path) -> Signature | None:
    """Return the layout of the weights in a file; None if it is not known here.

    Raises CheckpointError if the file cannot be read.
    """
    found = find_weights(read_weight_file(path))
    return next((layout for weights in found if (layout := layout_of(weights.tensors))), None)


def advice(layout: Signature) -> str:
    """Return what can be done with weights in a layout."""
    if layout is CONTINUOUSSR:
        return "convert it with sr-convert, and name the file that this makes"
    if layout is GSASR_DECODER:
        return "convert the folder of encoder and decoder with sr-convert, and name the file that this makes"
    return "it is an encoder alone, from which a training can start with sr-train --encoder-weights"


def layout_of(tensors: Collection[str]) -> Signature | None:
    """Return the layout that these names of tensors have; None if it is not known here."""
    return next((layout for layout in KNOWN if layout.fits(tensors)), None)


def _as_float32(tensors: Mapping[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """Return the tensors for a network here. Raises CheckpointError if their numbers cannot be weights."""
    for name, tensor in tensors.items():
        if not name.endswith(("weight", "bias", "bias_table", "embedding")):
            continue
        if not tensor.is_floating_point():
            kind, what = _plain_name(tensor.dtype), "complex" if tensor.is_complex() else "quantized"
            raise CheckpointError(
                f"{path} holds {what} weights ({kind} in {printable(name)}): save them as float16 or float32."
            )
        if not torch.isfinite(tensor.float()).all():
            raise CheckpointError(
                f"{path} holds weights that are not finite (in {printable(name)}), as a training that "
                "diverged leaves behind: name an earlier checkpoint."
            )
    numbers = {n: t for n, t in tensors.items() if t.is_floating_point() and not n.endswith("_index")}
    if others := {_plain_name(t.dtype) for t in numbers.values()} - {"float32"}:
        log.info("%s: %s weights become float32", path, " and ".join(sorted(others)))
    return {**tensors, **{name: t.detach().float() for name, t in numbers.items()}}


def _unknown(found: Collection[Weights]) -> str:
    """Return the sentence on weights in no known layout: what was tried, found, and is nearest."""
    tried = ", ".join(layout.name for layout in KNOWN)
    if wrapped := _wrapped_otherwise(found):
        return wrapped
    places = [list(islice(weights.tensors, MOST_COMPARED)) for weights in islice(found, MOST_LOOKED_AT)]
    sizes = accumulate(map(len, places))
    places = [names for names, total in zip(places, sizes, strict=True) if total - len(names) < MOST_COMPARED]
    layout, names, known = max(
        ((layout, names, sum(map(layout.knows, names))) for layout in KNOWN for names in places),
        key=lambda each: each[2] / (len(each[1]) + len(each[0].missing(each[1]))),
    )
    text = f"holds no weights in a layout known here ({tried}): its {len(names)} names are {listed(names)}"
    if not known:
        return f"{text}, and none of the layouts has any of them"
    missing, extra = layout.missing(names), [name for name in names if not layout.knows(name)]
    text += f", and the nearest layout is {layout.name}"
    parts = [f"lacks {listed(missing)}"] if missing else []
    parts += [f"adds {listed(extra)}"] if extra else []
    return text + (", of which it " + " and to which it ".join(parts) if parts else "")


def _wrapped_otherwise(found: Collection[Weights]) -> str:
    """Return the sentence on weights under a prefix that is not known as one; "" if there are none."""
    for weights in islice(found, MOST_LOOKED_AT):
        for layout in KNOWN:
            marked = (name for name in weights.tensors if name.endswith(f".{layout.marks[0]}"))
            for name in islice(marked, MOST_LOOKED_AT):
                prefix = name.removesuffix(layout.marks[0])
                if prefix in ("", name, f"{ENCODER}.") or not prefix.endswith("."):
                    continue
                below = [n.removeprefix(prefix) for n in weights.tensors if n.startswith(prefix)]
                if layout.fits(below):
                    key = _join(weights.key, prefix.rstrip("."))
                    return (
                        f"holds {layout.name} under an unfamiliar prefix: take it with key={printable(key)}"
                    )
    return ""


def _join(*keys: str) -> str:
    return ".".join(key for key in keys if key)


def listed(names: Collection[str], most: int = 3) -> str:
    """Return a few names, and the number of the others, on one line."""
    some = ", ".join(printable(name) for name in islice(names, most))
    return some + (f" and {len(names) - most} more" if len(names) > most else "")


def printable(name: str) -> str:
    """Return a name in a file as it can be printed on a line."""
    return harmless(shortened(name, 100))


def _plain_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
