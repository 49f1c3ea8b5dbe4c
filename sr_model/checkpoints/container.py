"""Containers: where in the content of a file its weights are, whatever wraps them.

Training code saves a network's weights under some key (`params_ema`, `state_dict`, `model`, ...), possibly
nested, and wrappers of networks put their own names before those of the layers (`module.`, `netG.`,
`_orig_mod.`, ...). Both are taken off here, the keys of mappings and the first parts of names alike, and what
the layers are called below them decides which of the results is the network (`recognition`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

KEYS = (
    "model_state_dict", "state_dict", "params_ema", "params-ema", "params", "model", "net", "net_g", "netG",
    "generator", "network", "module", "G", "sd", "weights",
)  # fmt: skip
"""Keys and prefixes under which projects save a network; where a file has several, the first is taken. The
order is spandrel's (`canonicalize_state_dict`) as far as it knows them."""
AVERAGED = re.compile(r"(?<![a-z])(?:ema|averaged?|swa)(?![a-z])", re.IGNORECASE)
"""In the key of averaged weights, as in `params_ema`; they come before all others."""
INSERTED = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Parts that DataParallel, torch.compile, FSDP and activation checkpointing insert anywhere in a name."""
ENCODER = "encoder"
"""Above an encoder in another project's network, which may give it images in other units than its authors
did; never taken off unasked."""
DEEPEST = 8
"""Mappings and prefixes are searched for weights down to this depth, together."""
MOST_VISITED = 500_000
"""Mappings and names that are looked at: a file may hold a mapping that contains itself, and others again and
again."""


@dataclass(frozen=True)
class Weights:
    """Tensors by name, and where in the file they are."""

    path: tuple[str, ...]
    """Keys and prefixes above them; () for a plain state dict."""
    tensors: Mapping[str, Tensor]
    """Tensors by their names below that, with the file's dtypes."""

    @property
    def key(self) -> str:
        """The path as one text, such as `params_ema` or `model.sd`; "" for a plain state dict."""
        return ".".join(self.path)

    @property
    def averaged(self) -> bool:
        """Whether they are averages of the weights over the training (EMA)."""
        return any(AVERAGED.search(part) for part in self.path)

    @property
    def unfamiliar(self) -> tuple[str, ...]:
        """What is above them and not known to hold a network."""
        return tuple(part for part in self.path if part not in KEYS and not AVERAGED.search(part))


def find_weights(content: Mapping[Any, Any]) -> list[Weights]:
    """Return all weights in the content of a file, best first: averaged ones, then in the order of KEYS.

    A file whose names share a prefix gives several results, with and without it.

    >>> names = dict.fromkeys(("module.conv.weight", "module.tail.weight"), torch.zeros(1))
    >>> [(w.key, *w.tensors) for w in find_weights({"epoch": 3, "params": names, "params_ema": names})]
    [('params_ema', 'conv.weight', 'tail.weight'), ('params', 'conv.weight', 'tail.weight')]
    """
    found = list(_below(content))
    return sorted(found, key=lambda weights: (not weights.averaged, len(weights.unfamiliar), _rank(weights)))


def under(content: Mapping[Any, Any], key: str) -> Mapping[Any, Any] | None:
    """Return what a file has under a key, or under several joined by dots; None if it has nothing there.

    The last of them may be prefixes of names.

    >>> content = {"model": {"sd": {"encoder.conv.weight": 1, "head.weight": 2}}}
    >>> under(content, "model.sd.encoder"), under(content, "net")
    ({'conv.weight': 1}, None)
    """
    if not key:
        return content
    for first, value in content.items():
        if isinstance(value, Mapping) and f"{key}.".startswith(f"{first}."):
            found = under(value, key[len(str(first)) + 1 :])
            if found is not None:
                return found
    named = {str(name): value for name, value in content.items()}
    if INSERTED.isdisjoint(key.split(".")):
        named = _without_inserted(named)
    return _strip(named, f"{key}.") or None


def _below(content: Mapping[Any, Any]) -> Iterator[Weights]:
    """Yield the weights in a mapping and in those below it, the nearest first."""
    waiting: deque[tuple[tuple[str, ...], Mapping[Any, Any]]] = deque([((), content)])
    left = MOST_VISITED
    while waiting and left > 0:
        path, one = waiting.popleft()
        left -= 1 + len(one)
        tensors = {str(name): value for name, value in one.items() if _is_weight(value)}
        if tensors:
            yield from _without_prefixes(path, _without_inserted(tensors))
        if len(path) < DEEPEST:
            waiting.extend(((*path, str(key)), v) for key, v in one.items() if isinstance(v, Mapping))


def _is_weight(value: Any) -> bool:
    """Whether `value` is a tensor whose numbers can be read as they are."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_quantized or value.is_meta or value.is_nested)
    )


def _without_prefixes(path: tuple[str, ...], tensors: Mapping[str, Tensor]) -> Iterator[Weights]:
    yield Weights(path, tensors)
    if len(path) == DEEPEST:
        return
    by_prefix: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        prefix, dot, rest = name.partition(".")
        if dot:
            by_prefix.setdefault(prefix, {})[rest] = tensor
    for prefix, below in by_prefix.items():
        of_all = len(below) == len(tensors) and prefix != ENCODER
        if of_all or prefix in KEYS or AVERAGED.search(prefix):
            yield from _without_prefixes((*path, prefix), below)


def _without_inserted(tensors: Mapping[str, Any]) -> dict[str, Any]:
    short = {name: ".".join(p for p in name.split(".") if p not in INSERTED) for name in tensors}
    if len(set(short.values())) < len(short):
        return dict(tensors)
    return {short[name]: value for name, value in tensors.items()}


def _strip(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _rank(weights: Weights) -> tuple[int, ...]:
    return tuple(KEYS.index(part) if part in KEYS else len(KEYS) for part in weights.path)
