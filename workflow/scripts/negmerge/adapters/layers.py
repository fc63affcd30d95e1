"""How PEFT would put a change on a tensor of the base: by which layer, under which names."""

import re
from collections.abc import Sequence

from negmerge.adapters.adapter import Adapter
from negmerge.adapters.changes import Layer, LowRank
from negmerge.adapters.orientation import Orientation
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError

# Without a bias, a linear layer and an embedding look alike; these names are of linear layers.
LINEAR = re.compile(
    r"([qkvo]|out|qkv|query_key_value|gate|up|down|gate_up|c)_?proj|fc_?[12]|lm_head|wi(_[01])?|wo"
    r"|query|key|value|dense|classifier|score"
)


class Layers:
    """What is known of the layers of a base: by the adapters of a pool, or by its tensors."""

    def __init__(self, base: StoredState, adapters: Sequence[Adapter]):
        self.base = base
        self._names = set(base.names)
        self.modules = {name.rpartition(".")[0] for name in base.names}
        self._orientation = Orientation(base, False)
        self._told: dict[str, Layer] = {}
        self._paths: dict[str, str] = {}
        for adapter in adapters:
            self._paths |= adapter.paths
            for name, changes in adapter.changes.items():
                for change in changes:
                    if isinstance(change, LowRank):
                        self._told[name] = change.layer

    def layer(self, name: str) -> Layer:
        """Return the kind of layer that a tensor of two axes or more belongs to."""
        found = self._told.get(name) or self._guess(name)
        if found is None or (found == "parameter" and len(self.base.shape(name)) > 2):
            raise UserError(
                f"{self.base.path}: an adapter cannot hold the change of {name!r} "
                f"{list(self.base.shape(name))}; leave it out with --exclude, or write a model"
            )
        return found

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
