"""How an adapter changes one tensor, computed for a part of it.

A part is given by `start` and `stop` in the flattened tensor. Nothing here is as large as the
tensor: of the factors only the rows or columns that a part needs are widened.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import torch
from torch import Tensor

from negmerge.checkpoints.states import StoredState
from negmerge.vectors import widen


class Part(Protocol):
    """A part of a tensor of the base; `merging.blocks.Block` is one."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def device(self) -> torch.device:
        """Where its numbers are computed."""

    @property
    def origin(self) -> Tensor:
        """The base's numbers, flattened, as float32 or float64."""


class Change(Protocol):
    """A change of a tensor."""

    def rows(self, part: Part) -> Tensor:
        """Return the change of a part, flattened, in memory of its own."""


Layer = Literal["linear", "conv1d", "embedding", "convolution", "attention", "parameter"]


@dataclass(frozen=True)
class LowRank:
    """scale * B A, or its transpose, for each of `experts` matrices that a tensor holds.

    A is (experts * rank, inputs), where further axes count as inputs; B is (outputs, rank *
    experts), where the expert is the faster index.
    """

    file: StoredState
    a: str
    b: str
    scale: float
    transposed: bool = False
    experts: int = 1
    layer: Layer = "linear"

    @property
    def rank(self) -> int:
        """The rank of each matrix."""
        return self.file.shape(self.a)[0] // self.experts

    @property
    def inputs(self) -> int:
        """The columns of B A."""
        return math.prod(self.file.shape(self.a)[1:])

    @property
    def outputs(self) -> int:
        """The rows of B A."""
        return self.file.shape(self.b)[0]

    def factors(self, expert: int = 0) -> tuple[Tensor, Tensor]:
        """Return A, (rank, inputs), and B, (outputs, rank), as they are stored."""
        a = whole(self.file, self.a).reshape(self.experts, self.rank, self.inputs)
        b = whole(self.file, self.b).reshape(self.outputs, self.rank, self.experts)
        return a[expert], b[:, :, expert]

    def rows(self, part: Part) -> Tensor:
        """See `Change`."""
        size = self.inputs * self.outputs
        pieces = []
        for expert in range(part.start // size, -(-part.stop // size)):
            first = max(part.start - expert * size, 0)
            last = min(part.stop - expert * size, size)
            pieces.append(self._piece(expert, first, last, part.device))
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _piece(self, expert: int, start: int, stop: int, device: torch.device) -> Tensor:
        """Return the numbers start..stop of one flattened matrix."""
        a, b = self.factors(expert)
        width = self.outputs if self.transposed else self.inputs
        first, last = start // width, -(-stop // width)
        if self.transposed:
            a = a[:, first:last]
        else:
            b = b[first:last]
        a, b = widen(a.to(device)), widen(b.to(device))
        dtype = torch.promote_types(a.dtype, b.dtype)
        product = b.to(dtype) @ a.to(dtype)
        product *= self.scale
        rows = product.T if self.transposed else product
        return rows.reshape(-1)[start - first * width : stop - first * width]


@dataclass(frozen=True)
class Offset:
    """scale * a stored tensor: the bias of an adapter."""

    file: StoredState
    key: str
    scale: float

    def rows(self, part: Part) -> Tensor:
        """See `Change`."""
        return widen(self.file.numbers(self.key, part.start, part.stop).to(part.device)) * (
            self.scale
        )


@dataclass(frozen=True)
class Value:
    """A stored tensor that takes the place of the base's."""

    file: StoredState
    key: str

    def rows(self, part: Part) -> Tensor:
        """See `Change`."""
        value = widen(self.file.numbers(self.key, part.start, part.stop).to(part.device))
        return value - part.origin


@dataclass(frozen=True)
class Rows:
    """Stored rows that take the place of some of the base's."""

    file: StoredState
    key: str
    indices: tuple[int, ...]

    def rows(self, part: Part) -> Tensor:
        """See `Change`."""
        change = torch.zeros_like(part.origin)
        columns = part.shape[-1]
        for place, index in enumerate(self.indices):
            start = index * columns - part.start
            if 0 <= start < part.stop - part.start:
                stored = self.file.numbers(self.key, place * columns, (place + 1) * columns)
                here = slice(start, start + columns)
                change[here] = widen(stored.to(part.device)) - part.origin[here]
        return change


def whole(file: StoredState, key: str) -> Tensor:
    """Return a stored tensor, as it is stored."""
    shape = file.shape(key)
    return file.numbers(key, 0, math.prod(shape)).view(shape)


class Orientation:
    """What the other layers of a base tell about a square weight.

    A layer with a bias shows it by the bias's length, if its weight is not square. A layer without
    one is a linear layer, since Conv1D always has a bias.
    """

    def __init__(self, base: StoredState, default: bool):
        self._base, self._default = base, default

    def transposed(self, module: str) -> bool:
        """Whether a module's weight, which is square, is stored as (inputs, outputs)."""
        if f"{module}.bias" not in self._names:
            return False
        same_name = {transposed for name, transposed in self._shown if name == _last(module)}
        everywhere = {transposed for _, transposed in self._shown}
        for evidence in (same_name, everywhere):
            if len(evidence) == 1:
                return evidence.pop()
        return self._default

    @cached_property
    def _names(self) -> set[str]:
        return set(self._base.names)

    @cached_property
    def _shown(self) -> set[tuple[str, bool]]:
        return set(self._show())

    def _show(self) -> Iterator[tuple[str, bool]]:
        """Yield the last name of each layer that shows its orientation, and what it shows."""
        for name in self._names:
            module = name.removesuffix(".weight")
            if module == name or f"{module}.bias" not in self._names:
                continue
            shape, bias = self._base.shape(name), self._base.shape(f"{module}.bias")
            if len(shape) == 2 and shape[0] != shape[1] and bias in ((shape[0],), (shape[1],)):
                yield _last(module), bias == (shape[1],)


def _last(path: str) -> str:
    return path.rpartition(".")[2]
