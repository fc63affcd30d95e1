"""All that a training run changes, as one state: model, optimizer and random generators."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from negmerge.checkpoints.checks import require_same_tensors
from negmerge.checkpoints.states import State, shapes
from negmerge.errors import UserError
from negmerge.training import TrainingState

# What an optimizer keeps of a parameter that has had a gradient, unless it is switched off.
KEPT = {
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.SGD: {"momentum_buffer"},
}


def snapshot(training: TrainingState) -> State:
    """Return all of it as `model.NAME`, `optimizer.NUMBER.KEY` and `generator.NUMBER`, on the CPU.

    Rates are not in it, since each step sets its own. On the CPU the tensors are the run's own,
    not copies.
    """
    found = {f"model.{name}": tensor for name, tensor in training.model.state_dict().items()}
    for number, entries in training.optimizer.state_dict()["state"].items():
        # Momentum that is switched off is None.
        tensors = {key: value for key, value in entries.items() if isinstance(value, Tensor)}
        found |= {f"optimizer.{number}.{key}": value for key, value in tensors.items()}
    for number, generator in enumerate(training.generators):
        found[f"generator.{number}"] = generator.get_state()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}


def put_back(training: TrainingState, state: Mapping[str, Tensor], where: object) -> None:
    """Bring a run back to a snapshot of it.

    Args:
        training: what is changed; after an error it is as before.
        state: what `snapshot` gave.
        where: what errors call it.

    Raises:
        UserError: the snapshot is that of another model, optimizer or number of generators.
    """
    model = _below("model.", state)
    _require_same_kind(training.model.state_dict(), model, where)
    entries = _optimizer_entries(training, state, where)
    generators = {str(n): generator for n, generator in enumerate(training.generators)}
    found = _below("generator.", state)
    _require_same_kind({n: one.get_state() for n, one in generators.items()}, found, where)
    for number, generator in generators.items():
        generator.set_state(found[number])
    training.model.load_state_dict(model)
    groups = training.optimizer.state_dict()["param_groups"]
    training.optimizer.load_state_dict({"state": entries, "param_groups": groups})


def content_digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names and numbers of a state whose tensors are on the CPU."""
    found = hashlib.sha256()
    for name in sorted(state):
        found.update(f"{name} {state[name].dtype} {list(state[name].shape)}\n".encode())
        if state[name].numel():
            numbers = state[name].contiguous().reshape(-1).view(torch.uint8)
            found.update(memoryview(numbers.numpy()))
    return found.hexdigest()


def _below(prefix: str, state: Mapping[str, Tensor]) -> State:
    chosen = (name for name in state if name.startswith(prefix))
    return {name.removeprefix(prefix): state[name] for name in chosen}


def _require_same_kind(
    reference: Mapping[str, Tensor], found: Mapping[str, Tensor], where: object
) -> None:
    """Check that a state has the names, shapes and dtypes of a reference."""
    require_same_tensors(shapes(reference), shapes(found), where)
    for name, tensor in reference.items():
        if found[name].dtype != tensor.dtype:
            raise UserError(
                f"{where}: tensor {name!r} holds {found[name].dtype}, expected {tensor.dtype}"
            )


def _optimizer_entries(
    training: TrainingState, state: Mapping[str, Tensor], where: object
) -> dict[int, State]:
    """Return the optimizer's tensors by the number of the parameter, laid out as it makes them."""
    kept = KEPT[type(training.optimizer)]
    parameters = {str(number): one for number, one in enumerate(training.parameters)}
    stored: dict[str, State] = {}
    for name, tensor in _below("optimizer.", state).items():
        number, _, key = name.partition(".")
        stored.setdefault(number, {})[key] = tensor
    found: dict[int, State] = {}
    for number, entries in stored.items():
        if number not in parameters:
            raise UserError(f"{where}: no parameter {number!r}, expected 0..{len(parameters) - 1}")
        count = torch.zeros((), dtype=torch.float32)
        expected = {key: count if key == "step" else parameters[number] for key in kept}
        _require_same_kind(expected, entries, f"{where}: optimizer, parameter {number}")
        # Files hold the standard layout; a sum over another one may be rounded elsewhere.
        found[int(number)] = {
            key: torch.empty_like(expected[key], requires_grad=False).copy_(tensor)
            for key, tensor in entries.items()
        }
    return found
