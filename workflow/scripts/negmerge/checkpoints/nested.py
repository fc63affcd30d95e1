"""The state in what `torch.save` wrote: alone, or inside a training checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

from torch import Tensor

from negmerge.errors import UserError, unknown

# Wrappers of a module that put a word before all its names: DataParallel and torch.compile.
PREFIXES = ("module.", "_orig_mod.")
# How the state of a file that is no more than a state is called among others.
WHOLE = "."
# The state of an optimiser has tensors too, under such a name.
OPTIMISER = "optim"
# States lie at most this deep: a file that lies may hold itself.
DEPTH = 8


def state_in(found: object, key: str | None, path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Find the state in what a file holds, and the lines that tell what was done to find it."""
    states = _states(found)
    if not states:
        raise UserError(f"{path}: holds no tensors by name, but a {type(found).__name__}")
    if key is not None and list(states) != [WHOLE]:
        if key not in states:
            raise UserError(f"{path}: {unknown('key', key, states)}")
        states = {key: states[key]}
    if len(states) > 1:
        sizes = [f"{place} ({len(_tensors(state))} tensors)" for place, state in states.items()]
        raise UserError(f"{path}: holds several states, choose one by --key: {', '.join(sizes)}")
    [(place, state)] = states.items()
    tensors = _tensors(state)
    rest = sorted(str(name) for name in state if name not in tensors)
    for name in rest:
        if _holds_tensors(state[name]) and not isinstance(state[name], Mapping):
            raise UserError(f"{path}: entry {name!r} holds several tensors, expected one")
    tensors, dropped = _without_prefixes(tensors)
    notes = [f"read from {place!r}"] * (place != WHOLE)
    notes += [f"dropped {dropped!r} from the names"] * bool(dropped)
    notes += [f"left out what is no tensor: {', '.join(rest)}"] * bool(rest)
    return tensors, [f"{path}: {'; '.join(notes)}"] if notes else []


def _states(found: object) -> dict[str, Mapping]:
    """Find the states that are held, each once, by their places."""
    held, seen = {}, set()
    waiting: list[tuple[tuple[str, ...], object]] = [((), found)]
    while waiting:
        place, mapping = waiting.pop(0)
        if not _is_by_name(mapping) or id(mapping) in seen or len(place) > DEPTH:
            continue
        seen.add(id(mapping))
        if _tensors(mapping):
            held["/".join(place) or WHOLE] = mapping
        waiting += [
            ((*place, name), inner)
            for name, inner in mapping.items()
            if not name.startswith(OPTIMISER)
        ]
    # Beside a state, single numbers are measures, and whole numbers those of a random generator.
    weighty = {place: one for place, one in held.items() if any(map(_is_weight, one.values()))}
    return weighty or held


def _is_by_name(found: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(found, Mapping) and all(isinstance(name, str) for name in found)


def _tensors(state: Mapping) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _is_weight(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 0


def _holds_tensors(value: object) -> bool:
    """Whether a value is a tensor, or holds one at any depth."""
    waiting, seen = [value], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, Tensor):
            return True
        if isinstance(one, Mapping | list | tuple | set) and id(one) not in seen:
            seen.add(id(one))
            waiting += one.values() if isinstance(one, Mapping) else one
    return False


def _without_prefixes(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Drop the prefixes that all names have; return them too."""
    dropped = ""
    while prefix := next((p for p in PREFIXES if all(n.startswith(p) for n in tensors)), ""):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        dropped += prefix
    return tensors, dropped
