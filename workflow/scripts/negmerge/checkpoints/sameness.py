"""Which tensors on disk hold the same numbers: tied ones within a state, and copies of a state."""

import math
from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor

from negmerge.checkpoints.states import StoredState

SAMPLE = 1024
PART = 2**22


def same_tensor(state: StoredState, name: str, other: StoredState, other_name: str) -> bool:
    """Whether two tensors have one shape and dtype and the same bits."""
    if _kind(state, name) != _kind(other, other_name):
        return False
    size = math.prod(state.shape(name))
    steps = [0, min(SAMPLE, size), *range(PART, size, PART), size]
    return all(
        torch.equal(_bits(state, name, start, stop), _bits(other, other_name, start, stop))
        for start, stop in pairwise(steps)
        if start < stop
    )


def same_state(state: StoredState, other: StoredState) -> bool:
    """Whether two states have the same tensors, with the same bits."""
    # The beginnings come first, so that little is read of states that differ.
    begins = state.names == other.names and all(
        _kind(state, name) == _kind(other, name) and _begin(state, name) == _begin(other, name)
        for name in state.names
    )
    return begins and all(same_tensor(state, name, other, name) for name in state.names)


def tied(state: StoredState, names: Iterable[str]) -> list[tuple[str, ...]]:
    """Find groups of tensors that are stored twice, as tied weights are in some files.

    Those whose numbers are all equal tell nothing: many tensors begin as zeros or ones.
    """
    groups: dict[tuple, list[list[str]]] = {}
    for name in sorted(names):
        alike = groups.setdefault((_kind(state, name), _begin(state, name)), [])
        group = next((g for g in alike if same_tensor(state, g[0], state, name)), None)
        if group is None:
            alike.append([name])
        else:
            group.append(name)
    return sorted(
        tuple(group)
        for alike in groups.values()
        for group in alike
        if len(group) > 1 and not _constant(state, group[0])
    )


def _kind(state: StoredState, name: str) -> tuple[tuple[int, ...], torch.dtype]:
    return state.shape(name), state.dtype(name)


def _begin(state: StoredState, name: str) -> bytes:
    """Return the first bytes of a tensor."""
    stop = min(SAMPLE, math.prod(state.shape(name)))
    return _bits(state, name, 0, stop).numpy().tobytes()


def _bits(state: StoredState, name: str, start: int, stop: int) -> Tensor:
    numbers = state.numbers(name, start, stop)
    return numbers.view(torch.uint8) if len(numbers) else torch.empty(0, dtype=torch.uint8)


def _constant(state: StoredState, name: str) -> bool:
    size = math.prod(state.shape(name))
    parts = (state.numbers(name, at, min(at + PART, size)) for at in range(0, size, PART))
    first = state.numbers(name, 0, min(1, size))
    return all(bool((part == first).all()) for part in parts)
