"""State dicts in the containers in which projects save them, in several file formats and dtypes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

State = dict[str, Tensor]


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def under(key: str, *, prefix: str = "", **beside: Any) -> Callable[[State], dict[str, Any]]:
    return lambda state: {**beside, key: prefixed(prefix)(state)}


ADAM = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}
LOSS = {"loss.vgg.features.0.weight": torch.zeros(2, 3, 3, 3), "metric.total": torch.tensor(0)}

WRAPPERS: dict[str, Callable[[State], dict[str, Any]]] = {
    "plain": lambda state: state,
    **{
        key: under(key)
        for key in (
            "params", "params_ema", "params-ema", "state_dict", "model_state_dict", "model", "net", "net_g",
            "generator", "some_other_key",
        )
    },
    **{
        prefix: prefixed(prefix)
        for prefix in (
            "module.", "model.", "netG.", "net_g.", "generator.", "_orig_mod.", "module._orig_mod.",
            "_orig_mod.module.", "module.netG.", "model.net_g._orig_mod.", "_fsdp_wrapped_module.",
        )
    },
    "with the optimizer": under("model_state_dict", epoch=3, optimizer_state_dict=ADAM),
    "params_ema of DataParallel": under("params_ema", prefix="module."),
    "state_dict of a compiled netG": under("state_dict", prefix="netG._orig_mod."),
    "as LIIF": lambda state: {"model": {"name": "x", "args": {"n": 1}, "sd": state}, "epoch": 1},
    "Lightning": lambda state: {
        "state_dict": {**prefixed("model.")(state), **LOSS},
        "optimizer_states": [ADAM],
        "epoch": 1,
    },
    "Lightning, a GAN": lambda state: {
        "state_dict": {**prefixed("net_d.")({"conv.weight": torch.zeros(1)}), **prefixed("net_g.")(state)}
    },
    "AveragedModel": lambda state: {"n_averaged": torch.tensor(9), **prefixed("module.")(state)},
    "twice": lambda state: {"net_g": {"params": state}},
}  # fmt: skip
"""What training code and wrappers of networks make of a state dict."""

FORMATS: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "zip": torch.save,
    "legacy": lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    "safetensors": lambda content, path: save_file(flattened(content), str(path)),
}
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def flattened(content: dict[str, Any], prefix: str = "") -> State:
    """The tensors of a container by names with dots, as converters to safetensors write them."""
    flat = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}.")
        elif isinstance(value, Tensor):
            flat[f"{prefix}{key}"] = value.clone()
    return flat


def cast(state: State, dtype: torch.dtype) -> State:
    return {name: t.to(dtype) if t.is_floating_point() else t for name, t in state.items()}
