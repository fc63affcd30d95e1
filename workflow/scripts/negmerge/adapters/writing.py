"""A vector as an adapter of a rank: the nearest factors, and the folder that PEFT loads."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from negmerge.adapters.changes import PREFIX
from negmerge.adapters.reading import WEIGHTS, architecture
from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError
from negmerge.files import replacing
from negmerge.merging.blocks import Block

# Where the modules are not known, these names tell that a matrix is none of a linear layer.
EMBEDDING = re.compile(r"(^|\.)(wte|wpe|shared|\w*embed\w*)(\.\w*embed\w*)*\.weight$")
# Up to this size the singular values are computed exactly, above by subspace iteration.
EXACT = 512
OVERSAMPLING, ITERATIONS = 16, 6


@dataclass
class Factored:
    """A vector as an adapter can hold it."""

    rank: int
    factors: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    # Changes of norms and biases, whole.
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


class Layers:
    """The layers of a base, by the tensors of its file."""

    def __init__(self, base: StoredState):
        if find_spec("peft") is None:
            raise UserError("--adapter needs PEFT: pip install 'negmerge[hub]'")
        self.base = base
        self._model, names = architecture(base) or (None, {})
        # Of tensors that are tied, the one that the file has comes first.
        self._targets = {name: target for target, name in reversed(list(names.items()))}

    def path(self, name: str) -> str:
        """Return the path in memory of the module that a tensor belongs to."""
        return self._targets.get(name, name).rpartition(".")[0]

    def kind(self, name: str) -> str:
        """Return how PEFT holds the change of a tensor: as linear, turned, embedding or value."""
        shape, target = self.base.shape(name), self._targets.get(name, name)
        if len(shape) < 2:
            return "value"
        if target.rpartition(".")[2] == "weight":
            if self._model is None:
                if len(shape) == 2 and not EMBEDDING.search(name):
                    return "linear"
            elif name in self._targets:
                module = self._model.get_submodule(self.path(name))
                if type(module).__name__ == "Conv1D":
                    return "turned"
                if isinstance(module, nn.Embedding):
                    return "embedding"
                if isinstance(module, (nn.Linear, nn.Conv2d)) and getattr(module, "groups", 1) == 1:
                    return "linear"
        raise UserError(
            f"{self.base.path}: an adapter cannot hold the change of {name!r} {list(shape)}, "
            f"expected a linear layer, an embedding or a convolution; leave it out with --exclude "
            f"'{re.escape(name)}', or write a model"
        )


def factor(
    vector: Iterable[tuple[Block, Tensor]], coefficient: float, rank: int, layers: Layers
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


def _tensors(
    vector: Iterable[tuple[Block, Tensor]], layers: Layers
) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a vector that change, put together from their blocks."""
    flat = torch.empty(0)
    for block, rows in vector:
        if block.start == 0:
            flat = torch.zeros(math.prod(block.shape), dtype=rows.dtype)
        if rows.any():
            layers.kind(block.name)  # what cannot be held is refused before it is computed
            flat[block.start : block.stop] = rows
        if block.stop == len(flat):
            yield block.name, flat.view(block.shape)


def _distance(matrix: Tensor, a: Tensor, b: Tensor) -> float:
    """Return the Frobenius norm of matrix - B A, computed some rows at a time."""
    step = max(2**22 // matrix.shape[1], 1)
    norms = [
        float(torch.linalg.vector_norm(rows - left @ a, dtype=torch.float64))
        for rows, left in zip(matrix.split(step), b.split(step), strict=True)
    ]
    return math.hypot(*norms)


def write_adapter(folder: Path, factored: Factored, layers: Layers, base_name: str) -> list[str]:
    """Write an adapter into a folder, its configuration last, and return notes for the user.

    The scale is 1: the factors hold it. Norms and biases are stored whole, as PEFT stores trained
    biases, and PEFT puts them into the base when it loads the adapter.
    """
    from peft import LoraConfig

    if not factored.factors:
        raise UserError(f"{folder}: the vector changes no matrix, so there is no adapter to write")
    tensors: dict[str, Tensor] = {}
    targets, notes, is_turned = [], [], False
    for name, (a, b) in factored.factors.items():
        kind, path, shape = layers.kind(name), layers.path(name), layers.base.shape(name)
        targets.append(path)
        more = factored.rank - len(a)
        a = nn.functional.pad(a, (0, 0, 0, more)).float()
        b = nn.functional.pad(b, (0, more)).float()
        if kind == "linear":
            a, b = a.view(-1, *shape[1:]), b.view(*b.shape, *[1] * (len(shape) - 2))
        else:
            a, b = b.T, a.T
        is_turned = is_turned or kind == "turned"
        first, second = "lora_A.weight", "lora_B.weight"
        if kind == "embedding":
            first, second = "lora_embedding_A", "lora_embedding_B"
            notes.append(
                f"the adapter changes {name!r}; where the model's head is tied to it, PEFT changes "
                "the head only once the adapter is merged into the model"
            )
        tensors[f"{PREFIX}{path}.{first}"] = a.contiguous()
        tensors[f"{PREFIX}{path}.{second}"] = b.contiguous()
    for name, change in factored.values.items():
        path, leaf = layers.path(name), name.rpartition(".")[2]
        inside = ".base_layer" * (path in targets)
        value = layers.base[name].float() + change.float()
        tensors[f"{PREFIX}{path}{inside}.{leaf}"] = value
    if factored.values:
        notes.append(
            f"the adapter holds {len(factored.values)} norms and biases whole, which PEFT puts "
            "into the base when it loads the adapter; --exclude leaves them out"
        )
    config = LoraConfig(
        r=factored.rank,
        lora_alpha=factored.rank,
        target_modules=sorted(targets),
        bias="all" if factored.values else "none",
        fan_in_fan_out=is_turned,
        inference_mode=True,
        base_model_name_or_path=base_name,
    )
    with replacing(folder / WEIGHTS[0]) as partial:
        save_file(tensors, partial, metadata={"format": "pt"})
    config.save_pretrained(str(folder))
    return notes
