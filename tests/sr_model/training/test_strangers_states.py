"""The state of a training is restored, or refused in one sentence that names what is wrong in the file."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import mutations
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from sr_model import PRESETS
from sr_model.config.toml import configured
from sr_model.training.distributed import DistributedContext
from sr_model.training.errors import TrainingError
from sr_model.training.resumed import recorded_digest
from sr_model.training.run import identify
from sr_model.training.saved_state import names_digest
from sr_model.training.start import Start
from sr_model.training.state import FORMAT, STATE, TrainingState

SMALL = (
    "width=4",
    "depth=1",
    "features=4",
    "latent=4",
    "embedding=4,4",
    "hidden=4,4",
    "dictionary_size=none",
)
PRESET = configured(PRESETS["light"], {}, [f"network.{setting}" for setting in SMALL])
KERNELS = torch.tensor([[x, y, z] for x in (0.5, 0.9) for y in (-0.2, 0.2) for z in (0.5, 0.9)]).double()
SETTINGS = {"network": PRESET.network, "training": PRESET.train}
IDENTITY = json.loads(json.dumps({name: asdict(one) for name, one in SETTINGS.items()})) | {"seed": 0}


def new() -> TrainingState:
    context = DistributedContext(torch.device("cpu"))
    return TrainingState.new(PRESET.network, KERNELS, PRESET.train, 0, context)


@cache
def parts() -> tuple[dict[str, Tensor], dict]:
    """The tensors and the header of a state with Adam's moments."""
    state = new()
    for parameter in state.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    state.optimiser.step()
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in state.average.state_dict().items()}
    for index, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
    header = {
        "identity": IDENTITY,
        "budget": {"steps": 9, "minutes": None},
        "progress": {"step": 1, "seconds": 2.5, "best": float("-inf")},
    }
    return {name: tensor.clone().contiguous() for name, tensor in tensors.items()}, header


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("changed") / STATE


@pytest.fixture(scope="module")
def restored() -> TrainingState:
    return new()


def restore(path: Path, state: TrainingState) -> str:
    """The sentence with which the file is refused; "" if it is not."""
    try:
        state.restore(path, IDENTITY, SETTINGS)
    except TrainingError as error:
        text = str(error)
        assert str(path.parent) in text
        assert text.endswith(".")
        assert len(text) < 2000
        assert not mutations.CONTROL.search(text)
        recorded_digest(path.parent, "init")
        return text
    assert type(state.step) is int
    return ""


def write(path: Path, tensors: dict[str, Tensor], header: object) -> None:
    path.write_bytes(save(tensors, {"format": FORMAT, "header": json.dumps(header)}))


def test_what_was_saved_is_restored(path: Path, restored: TrainingState):
    write(path, *parts())
    assert restore(path, restored) == ""
    assert (restored.step, restored.seconds, restored.best) == (1, 2.5, float("-inf"))


def test_a_training_on_hundreds_of_thousands_of_images_is_resumed(path: Path, restored: TrainingState):
    images = [Path("photographs", "p" * 40)] * 400_000
    identity = identify(PRESET, Start(PRESET.network, KERNELS, None), 0, images)
    restored.save(path, identity, {"steps": 9, "minutes": None})
    restored.restore(path, identity, SETTINGS)
    assert len(json.dumps(identity)) < 10_000


def test_states_that_list_the_names_of_images_are_resumed(path: Path, restored: TrainingState):
    names = [f"{number:0100}.png" for number in range(90_000)]
    write(path, parts()[0], {**parts()[1], "identity": IDENTITY | {"images": names}})
    restored.restore(path, IDENTITY | {"images": names_digest(names)}, SETTINGS)
    with pytest.raises(TrainingError, match=r"\(images\)"):
        restored.restore(path, IDENTITY | {"images": names_digest(names[::-1])}, SETTINGS)


def test_long_headers_of_many_values_are_not_read(path: Path, restored: TrainingState):
    write(path, parts()[0], {**parts()[1], "more": [[]] * 2_500_000})
    assert "more than the 2000000 values" in restore(path, restored)


@mutations.examples(60)
@given(st.data())
def test_headers(path: Path, restored: TrainingState, data):
    write(path, parts()[0], data.draw(mutations.changed_json(parts()[1])))
    restore(path, restored)


@mutations.examples(40)
@given(st.data())
def test_bytes(path: Path, restored: TrainingState, data):
    write(path, *parts())
    path.write_bytes(data.draw(mutations.changed_bytes(path.read_bytes())))
    restore(path, restored)


HEADERS = {
    "identity": [None, 3, [], {}, {"network": 3, "training": {}}],
    "budget": [None, {}, {"steps": True}, {"steps": "9"}, {"steps": 3, "minutes": 4}, {"more": 1}],
    "progress": [None, [], {"step": 1}, {"step": -1, "seconds": 1, "best": 0}, {"model": 3}],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, v) for name in HEADERS for v in HEADERS[name]])
def test_headers_of_another_type_are_refused_by_name(path: Path, restored: TrainingState, name, value):
    write(path, parts()[0], {**parts()[1], name: value})
    assert name in restore(path, restored)
    write(path, parts()[0], {key: v for key, v in parts()[1].items() if key != name})
    assert f"lacks {name}" in restore(path, restored)


TENSORS = {
    "model.encoder.head.weight": [torch.ones(3), torch.ones(4, 3, 3, 3) / 0, torch.ones(4, 3, 3, 3).long()],
    "adam.0.exp_avg": [torch.ones(3), torch.ones(()) / 0],
    "adam.0.step": [torch.ones(3)],
    "adam.999999.step": [torch.ones(())],
    "adam.x.step": [torch.ones(())],
    "adam.0": [torch.ones(())],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, v) for name in TENSORS for v in TENSORS[name]])
def test_tensors_that_do_not_fit_are_refused_by_name(path: Path, restored: TrainingState, name, value):
    write(path, {**parts()[0], name: value}, parts()[1])
    assert name.removeprefix("model.").removesuffix(".step") in restore(path, restored)
