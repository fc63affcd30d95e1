"""How an adapter changes one tensor, computed for a block of it."""

import copy
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError, one_line
from negmerge.merging.blocks import Block
from negmerge.vectors import widen

# What PEFT calls the adapter in memory; no module of a model has this name.
ADAPTER = "negmerge"
# What PEFT puts before the name of each module.
PREFIX = "base_model.model."
# Modules whose changes are kept: threads may be at the end of one and at the start of the next.
KEPT = 2


class Change(Protocol):
    """A change of a tensor."""

    def rows(self, block: Block) -> Tensor:
        """Return the change of a block, flattened, in memory of its own."""


@dataclass(frozen=True)
class LowRank:
    """scale * left right; the factors stay in the adapter's file until rows of them are needed.

    `left` is (rows, rank) and `right` (rank, columns) of the tensor as the base stores it, where
    all axes but the first count as columns.
    """

    left: Tensor
    right: Tensor
    scale: float

    def rows(self, block: Block) -> Tensor:
        columns = self.right.shape[1]
        first, last = block.start // columns, -(-block.stop // columns)
        left = widen(self.left[first:last].to(block.device))
        right = widen(self.right.to(block.device))
        dtype = torch.promote_types(left.dtype, right.dtype)
        product = left.to(dtype) @ right.to(dtype)
        product *= self.scale
        begin = first * columns
        return product.reshape(-1)[block.start - begin : block.stop - begin]


@dataclass(frozen=True)
class Value:
    """A tensor that takes the place of the base's."""

    tensor: Tensor

    def rows(self, block: Block) -> Tensor:
        value = self.tensor.reshape(-1)[block.start : block.stop]
        return widen(value.to(block.device)) - block.origin


@dataclass(frozen=True)
class Rows:
    """Rows that take the place of some of the base's."""

    tensor: Tensor
    indices: tuple[int, ...]

    def rows(self, block: Block) -> Tensor:
        change, columns = torch.zeros_like(block.origin), block.shape[-1]
        for row, index in zip(self.tensor, self.indices, strict=True):
            start = index * columns - block.start
            if 0 <= start < len(change):
                here = slice(start, start + columns)
                change[here] = widen(row.to(block.device)) - block.origin[here]
        return change


@dataclass(frozen=True)
class Merged:
    """What PEFT's merge changes in a tensor of a module, whole."""

    merges: "Merges"
    path: str
    leaf: str

    def rows(self, block: Block) -> Tensor:
        change = self.merges.changes(self.path)[self.leaf]
        return change[block.start : block.stop].to(block.device)


class Merges:
    """PEFT's merge of an adapter into one module at a time, for kinds other than plain LoRA.

    The module is put alone in its place, with its weights and its part of the adapter. `modules`
    are on `meta`; `names` maps the model's tensors to the base's. Where what PEFT adds does not
    depend on the weights, which is `additive`, they are zero, so that no digit is lost.
    """

    def __init__(
        self,
        folder: Path,
        config: Any,
        tensors: Mapping[str, Tensor],
        names: Mapping[str, str],
        base: StoredState,
    ):
        self._folder, self._config, self._tensors = folder, config, tensors
        self._names, self._base = names, base
        self._modules: dict[str, tuple[nn.Module, bool]] = {}
        self._kept: OrderedDict[str, dict[str, Tensor]] = OrderedDict()
        self._lock = Lock()

    def add(self, path: str, module: nn.Module, additive: bool) -> dict[str, Merged]:
        """Return the changes of the tensors of a module, by their names in the model."""
        self._modules[path] = module, additive
        leaves = dict(module.named_parameters())
        return {f"{path}.{leaf}": Merged(self, path, leaf) for leaf in leaves}

    def changes(self, path: str) -> dict[str, Tensor]:
        """Return the changes of a module's tensors, flattened."""
        with self._lock:
            if path not in self._kept:
                while len(self._kept) >= KEPT:
                    self._kept.popitem(last=False)
                self._kept[path] = self._merge(path)
            self._kept.move_to_end(path)
            return self._kept[path]

    @torch.no_grad()
    def _merge(self, path: str) -> dict[str, Tensor]:
        from peft import PeftModel

        module, additive = self._modules[path]
        module = copy.deepcopy(module).float().to_empty(device="cpu")
        before = module.state_dict()
        for leaf, tensor in before.items():
            name = self._names.get(f"{path}.{leaf}")
            tensor.zero_() if additive or name is None else tensor.copy_(self._base[name])
        before = {leaf: tensor.clone() for leaf, tensor in before.items()}
        root = place = nn.Module()
        *parents, last = path.split(".")
        for parent in parents:
            place.add_module(parent, nn.Module())
            place = place.get_submodule(parent)
        place.add_module(last, module)
        config = copy.deepcopy(self._config)
        if hasattr(config, "fan_in_fan_out"):
            config.fan_in_fan_out = type(module).__name__ == "Conv1D"
        if not getattr(config, "target_parameters", None):
            config.target_modules = [path]
        own = f"{PREFIX}{path}."
        tensors = {
            key: widen(tensor)
            for key, tensor in self._tensors.items()
            if key.startswith(own) or not key.startswith(PREFIX)
        }
        try:
            tuned = PeftModel(root, config, ADAPTER)
            tuned.load_state_dict(tensors, strict=False, assign=True)
            after = tuned.merge_and_unload().get_submodule(path).state_dict()
        except Exception as error:
            raise UserError(
                f"{self._folder}: PEFT cannot merge {config.peft_type.value} into {path!r} "
                f"({one_line(error)})"
            ) from error
        return {leaf: (after[leaf] - tensor).reshape(-1) for leaf, tensor in before.items()}
