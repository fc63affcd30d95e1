"""Factors of a vector, tensor by tensor: the nearest of a rank, or the exact ones of adapters.

Of a tensor with more than two axes, all but the first are taken as one. The factors B (rows, rank)
and A (rank, columns) are of the tensor as the base stores it; `Layers` knows how PEFT would put
them on it.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from negmerge.adapters.adapter import Adapter
from negmerge.adapters.changes import Layer, LowRank, Orientation, Part
from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError

# Without a bias, a linear layer and an embedding look alike; these names are of linear layers.
LINEAR = re.compile(
    r"([qkvo]|out|qkv|query_key_value|gate|up|down|gate_up|c)_?proj|fc_?[12]|lm_head|wi(_[01])?|wo"
    r"|query|key|value|dense|classifier|score"
)
# Up to this size the singular values are computed exactly, above by subspace iteration.
EXACT = 512


class Layers:
    """What is known of the layers of a base: by the adapters of a pool, or by its tensors."""

    def __init__(self, base: StoredState, adapters: Sequence[Adapter]):
        self.base = base
        self._names = set(base.names)
        self.modules = {name.rpartition(".")[0] for name in base.names}
        self._orientation = Orientation(base, False)
        self._known: dict[str, Layer] = {}
        self._paths: dict[str, str] = {}
        for adapter in adapters:
            self._paths |= adapter.paths
            for name, changes in adapter.changes.items():
                for change in changes:
                    if isinstance(change, LowRank):
                        self._known[name] = change.layer

    def layer(self, name: str) -> Layer:
        """Return the kind of layer that a tensor of two axes or more belongs to."""
        layer = self._known.get(name) or self._guess(name)
        if layer is None or (layer == "parameter" and len(self.base.shape(name)) > 2):
            raise UserError(
                f"{self.base.path}: an adapter cannot hold the change of {name!r} "
                f"{list(self.base.shape(name))}; leave it out with --exclude, or write a model"
            )
        return layer

    def path(self, module: str) -> str:
        """Return the path of a module of the base in memory."""
        if module in self._paths or not self._paths:
            return self._paths.get(module, module)
        for known, path in self._paths.items():
            if path.endswith(known):
                return path.removesuffix(known) + module
            if known.endswith(path):
                return module.removeprefix(known.removesuffix(path))
        return module

    def is_attention(self, module: str) -> bool:
        """Whether a module is an nn.MultiheadAttention, by its joined weight."""
        return f"{module}.in_proj_weight" in self._names

    def has_parts(self, module: str) -> bool:
        """Whether other modules lie inside a module."""
        return any(other.startswith(f"{module}.") for other in self.modules)

    def _guess(self, name: str) -> Layer | None:
        module, _, leaf = name.rpartition(".")
        shape = self.base.shape(name)
        parent, _, last = module.rpartition(".")
        if leaf == "in_proj_weight" or self.is_attention(parent):
            return "attention"
        if len(shape) in (4, 5) and leaf == "weight":
            # One input per output is a convolution in groups, which PEFT does not merge.
            return "convolution" if shape[1] > 1 else None
        if len(shape) != 2 or not module or self.has_parts(module):
            return None
        if leaf != "weight":
            return "parameter"
        bias = self.base.shape(f"{module}.bias") if f"{module}.bias" in self._names else None
        if bias is None:
            return "linear" if LINEAR.fullmatch(last) else "parameter"
        turned = self._orientation.transposed(module) if shape[0] == shape[1] else bias != shape[:1]
        return "conv1d" if turned else "linear"


OVERSAMPLING, ITERATIONS = 16, 6


@dataclass
class Factored:
    """A vector as an adapter can hold it."""

    rank: int
    factors: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    # Changes of tensors with less than two axes, whole.
    values: dict[str, Tensor] = field(default_factory=dict)
    # Frobenius norms of each change, and of what the factors lack of it.
    norms: dict[str, float] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """What the factors lack of the whole vector, relative to it, by the Frobenius norm."""
        norm = math.hypot(*self.norms.values())
        return math.hypot(*self.lost.values()) / norm if norm else 0.0

    def losses(self) -> dict[str, float]:
        """Return what the factors lack of each tensor's change, relative to it."""
        return {name: lost / self.norms[name] for name, lost in self.lost.items()}


def factor(
    vector: Iterable[tuple[Part, Tensor]], coefficient: float, rank: int, layers: Layers
) -> Factored:
    """Compute the adapter of a rank that is nearest to -coefficient * vector."""
    factored = Factored(rank)
    for name, change in _tensors(vector, layers):
        change *= -coefficient
        norm = float(torch.linalg.vector_norm(change, dtype=torch.float64))
        if not norm:
            continue
        factored.norms[name] = norm
        if change.dim() < 2:
            factored.values[name] = change
            continue
        matrix = change.flatten(1)
        a, b = nearest_factors(matrix, rank)
        factored.factors[name] = a, b
        factored.lost[name] = _distance(matrix, a, b)
    return factored


def concatenate(
    adapters: Sequence[Adapter], weights: Sequence[float], coefficient: float, layers: Layers
) -> Factored:
    """Return -coefficient * the weighted sum of adapters, exactly; ranks add up."""
    names = sorted({name for adapter in adapters for name in adapter.names})
    factored = Factored(0)
    for name in names:
        shape = layers.base.shape(name)
        pieces: list[tuple[Tensor, Tensor]] = []
        whole = None
        for adapter, weight in zip(adapters, weights, strict=True):
            for change in adapter.changes.get(name, ()):
                if isinstance(change, LowRank) and change.experts == 1:
                    pieces.append(_stored_as(change, -coefficient * weight))
                    continue
                part = _Whole(name, shape, 0, math.prod(shape), layers.base)
                rows = change.rows(part).view(shape) * (-coefficient * weight)
                whole = rows if whole is None else whole + rows
        if whole is not None:
            for a, b in pieces:
                whole += (b @ a).view(shape)
            factored.values[name] = whole
        else:
            a = torch.cat([a for a, _ in pieces])
            factored.factors[name] = a, torch.cat([b for _, b in pieces], dim=1)
            factored.rank = max(factored.rank, len(a))
    return factored


def nearest_factors(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return A (rank, columns) and B (rows, rank) whose product is nearest to a matrix.

    Both have an equal share of the singular values. Above `EXACT` rows and columns, the subspace
    is found by iteration from a fixed start, so that equal matrices have equal factors.
    """
    if min(matrix.shape) <= EXACT:
        u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    else:
        start = torch.Generator().manual_seed(0)
        width = min(rank + OVERSAMPLING, *matrix.shape)
        probe = torch.randn(matrix.shape[1], width, generator=start, dtype=matrix.dtype)
        basis = torch.linalg.qr(matrix @ probe)[0]
        for _ in range(ITERATIONS):
            other = torch.linalg.qr(matrix.T @ basis)[0]
            basis = torch.linalg.qr(matrix @ other)[0]
        inner, s, v = torch.linalg.svd(basis.T @ matrix, full_matrices=False)
        u = basis @ inner
    root = s[:rank].sqrt()
    return root[:, None] * v[:rank], u[:, :rank] * root


def _tensors(vector: Iterable[tuple[Part, Tensor]], layers: Layers) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a vector that change, put together from their parts."""
    flat = torch.empty(0)
    for part, rows in vector:
        if part.start == 0:
            flat = torch.zeros(math.prod(part.shape), dtype=rows.dtype)
        if rows.any():
            if len(part.shape) > 1:
                layers.layer(part.name)
            flat[part.start : part.stop] = rows
        if part.stop == len(flat):
            yield part.name, flat.view(part.shape)


def _distance(matrix: Tensor, a: Tensor, b: Tensor) -> float:
    """Return the Frobenius norm of matrix - B A, computed some rows at a time."""
    step = max(2**22 // matrix.shape[1], 1)
    norms = [
        float(torch.linalg.vector_norm(rows - left @ a, dtype=torch.float64))
        for rows, left in zip(matrix.split(step), b.split(step), strict=True)
    ]
    return math.hypot(*norms)


def _stored_as(change: LowRank, weight: float) -> tuple[Tensor, Tensor]:
    """Return A and B of weight * a change, of the tensor as it is stored."""
    a, b = (factor.float() for factor in change.factors())
    if change.transposed:
        a, b = b.T, a.T
    return a, b * (change.scale * weight)


@dataclass
class _Whole:
    """A whole tensor as a `Part`."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int
    base: StoredState

    device = torch.device("cpu")

    @property
    def origin(self) -> Tensor:
        """See `Part`."""
        return self.base[self.name].float().reshape(-1)
