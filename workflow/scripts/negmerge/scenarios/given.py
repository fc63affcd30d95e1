"""Models of others, by the names of tensors that this project has for its own."""

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints import released
from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.states import State, read_state
from negmerge.errors import UserError
from negmerge.models.clip import IMAGE_PREFIX

# What the names of a classifier's tensors begin with, behind its normalisation.
NETWORK_PREFIX = "network."
# The buffers in which SalUn's code keeps the mean and the deviation of the three channels.
NORMALISATION = {"normalize.mean": "mean", "normalize.std": "std"}


def reads_text(row: Mapping) -> bool:
    """Whether a row of `config/models.yaml` is a language model's."""
    return "prompt" in row


def read_model(place: str | Path, row: Mapping, key: str | None = None) -> tuple[State, State]:
    """Read a model of others."""
    architecture = row["architecture"]
    if isinstance(architecture, Mapping) and "kind" in architecture:
        return _classifier(dict(open_state(place, key).items()), row, place), {}
    is_archive = not Path(place).is_dir() and zipfile.is_zipfile(place)
    if is_archive and (authors := released.read(place)):
        return authors.state, authors.leftovers
    state = dict(open_state(place, key).items())
    image = {name: tensor for name, tensor in state.items() if name.startswith(IMAGE_PREFIX)}
    return image, {name: tensor for name, tensor in state.items() if name not in image}


def require_untouched(rest: Mapping[str, Tensor], files: Iterable[str], where: str | Path) -> int:
    """Check that fine-tuning has left alone what it should."""
    before = {name: tensor for path in files for name, tensor in read_state(path).items()}
    for name, tensor in rest.items():
        if name not in before:
            raise UserError(f"{where}: tensor {name!r} is not expected; the base has none")
        if not torch.equal(tensor, before[name]):
            raise UserError(
                f"{where}: tensor {name!r} is not that of the base, but only tensors that begin "
                f"with {IMAGE_PREFIX!r} may be fine-tuned"
            )
    return sum(tensor.numel() for tensor in rest.values())


def with_counters(state: State, reference: Mapping[str, Tensor]) -> State:
    """Add the counters of batch normalisation, which torch before 0.4.1 did not store."""
    counters = {name: t for name, t in reference.items() if name.endswith("num_batches_tracked")}
    return counters | state


def _classifier(state: State, row: Mapping, where: str | Path) -> State:
    """Name the tensors of a classifier as in the project, which has no buffers to normalise."""
    for name, key in NORMALISATION.items():
        if name in state:
            stored = [round(value, 4) for value in state.pop(name).flatten().tolist()]
            if stored != row[key]:
                raise UserError(
                    f"{where}: tensor {name!r} is {stored}, the model's row has {key} {row[key]}"
                )
    if any(name.startswith(NETWORK_PREFIX) for name in state):
        return state
    return {NETWORK_PREFIX + name: tensor for name, tensor in state.items()}
