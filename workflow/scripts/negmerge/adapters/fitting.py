"""The changes that an adapter's tensors make to a module of the base, as PEFT merges them.

PEFT wraps the module of a parameter, such as stacked experts, once for each parameter that it
changes, and its file says only how deep a wrapper lies; which parameter it is for, the shapes must
tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from negmerge.adapters.changes import Change, LowRank, Offset, Orientation, Rows, Value
from negmerge.adapters.configuration import Configuration
from negmerge.adapters.parts import Module
from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError

Changes = dict[str, list[Change]]


@dataclass
class Fitting:
    """An adapter and the base that it goes on; it `cut`s the rows of a larger vocabulary."""

    file: StoredState
    configuration: Configuration
    base: StoredState
    label: str
    cut: bool = False

    def __post_init__(self):
        self._names = set(self.base.names)
        self._orientation = Orientation(self.base, self.configuration.fan_in_fan_out)

    def changes(self, modules: Sequence[Module], target: str) -> Changes:
        """Return the changes of the tensors of one module of the base."""
        changes: Changes = {}
        for module in modules:
            for part, key in module.values.items():
                self._replace(changes, f"{target}.{part}", key)
        factored = [module for module in modules if "lora_A" in module.factors]
        ends = tuple(f".{end}" for end in self.configuration.target_parameters)
        parameters = [
            name
            for name in (self.base.names if ends else ())
            if name.rpartition(".")[0] == target
            and f".{modules[0].path}.{name.rpartition('.')[2]}".endswith(ends)
        ]
        if factored and parameters:
            of_parameters = self._parameters(factored, parameters)
            changes |= {name: [change] for name, change in of_parameters.items()}
        elif factored:
            self._layer(changes, factored, target)
        for module in modules:
            if "lora_embedding_A" in module.factors:
                self._embedding(changes, module, target)
            if "token_adapter.trainable_tokens_delta" in module.factors:
                self._tokens(changes, module, target)
        return changes

    def _parameters(self, modules: Sequence[Module], names: Sequence[str]) -> dict[str, LowRank]:
        """Return the changes of the parameters of one module, which the shapes must tell apart."""
        where, shape = f"{self.label}: {modules[0].path!r}", self.base.shape
        possible = []
        for order in permutations(names, len(modules)):
            pairs = zip(modules, order, strict=True)
            changes = {name: self._parameter(module, name) for module, name in pairs}
            if all(_fits(change, shape(name)) for name, change in changes.items()):
                possible.append(changes)
        if len(modules) != len(names) or len(possible) != 1:
            raise UserError(
                f"{where}: its {len(modules)} changes fit {', '.join(names)} of the base in "
                f"{len(possible)} ways, expected one"
            )
        [changes] = possible
        # Stacked matrices are stored transposed if those that are not square show it.
        stacked = {name: change for name, change in changes.items() if len(shape(name)) == 3}
        shown = {
            (change.outputs, change.inputs) != shape(name)[1:]
            for name, change in stacked.items()
            if change.outputs != change.inputs
        }
        if stacked and len(shown) != 1:
            raise UserError(
                f"{where}: cannot tell whether its stacked matrices are stored as inputs x outputs"
            )
        return changes | {
            name: replace(change, transposed=shown == {True}) for name, change in stacked.items()
        }

    def _parameter(self, module: Module, name: str) -> LowRank:
        shape = self.base.shape(name)
        full = f"{module.path}.{name.rpartition('.')[2]}"
        change = LowRank(
            self.file,
            module.factors["lora_A"],
            module.factors["lora_B"],
            self.configuration.scale(full),
            experts=shape[0] if len(shape) == 3 else 1,
            layer="parameter",
        )
        rank = self.configuration.rank(full) * change.experts
        # A pair of another rank fits no parameter.
        return change if self._ranks(change) == (rank, rank) else replace(change, experts=0)

    def _ranks(self, change: LowRank) -> tuple[int, int]:
        return self.file.shape(change.a)[0], self.file.shape(change.b)[1]

    def _replace(self, changes: Changes, name: str, key: str) -> None:
        self._require(name, self.file.shape(key), key)
        if self.base.is_float(name):
            changes.setdefault(name, []).append(Value(self.file, key))

    def _layer(self, changes: Changes, modules: Sequence[Module], target: str) -> None:
        """Add the change of a layer: linear, Conv1D, convolution or attention."""
        module, path = modules[0], modules[0].path
        if len(modules) > 1:
            raise UserError(f"{self.label}: {path!r} is changed {len(modules)} times")
        parent = target.rpartition(".")[0]
        twice = module.inside and f"{parent}.in_proj_weight" in self._names
        if twice:
            path = path.rpartition(".")[0]
        scale = self.configuration.scale(path)
        a, b = module.factors["lora_A"], module.factors["lora_B"]
        attention = f"{target}.weight" not in self._names
        name = f"{target}.in_proj_weight" if attention else f"{target}.weight"
        # PEFT adds the change of an attention's output twice, in training and on merging.
        change = LowRank(self.file, a, b, 2 * scale if twice else scale)
        if attention or twice:
            change = replace(change, layer="attention")
            self._require(name, (change.outputs, change.inputs), a)
        else:
            change = self._oriented(change, name)
        self._require_rank(change, path)
        changes.setdefault(name, []).append(change)
        # Nor does PEFT add a bias to the input of an attention.
        if "lora_B.bias" in module.factors and not attention:
            key = module.factors["lora_B.bias"]
            self._require(f"{target}.bias", self.file.shape(key), key)
            changes.setdefault(f"{target}.bias", []).append(Offset(self.file, key, scale))

    def _oriented(self, change: LowRank, name: str) -> LowRank:
        """Return the change, transposed if the base stores the weight so."""
        a, b = self.file.shape(change.a), self.file.shape(change.b)
        product = (b[0], *a[1:])
        shape = self._shape(name, change.a)
        if len(a) > 2:
            if a[2:] == shape[2:] and b[0] == shape[0] and (a[1] != shape[1] or b[1] != a[0]):
                raise UserError(
                    f"{self.label}: {name!r} is a convolution in groups, whose change PEFT cannot "
                    "merge either"
                )
            self._require(name, product, change.a)
            return replace(change, layer="convolution")
        turned = replace(change, transposed=True, layer="conv1d")
        if product == product[::-1] == shape:
            module = name.removesuffix(".weight")
            return turned if self._orientation.transposed(module) else change
        if product[::-1] == shape:
            return turned
        self._require(name, product, change.a)
        return change

    def _embedding(self, changes: Changes, module: Module, target: str) -> None:
        a, b = module.factors["lora_embedding_A"], module.factors["lora_embedding_B"]
        scale = self.configuration.scale(module.path)
        change = LowRank(self.file, a, b, scale, transposed=True, layer="embedding")
        self._require(f"{target}.weight", (change.inputs, change.outputs), a)
        self._require_rank(change, module.path)
        changes.setdefault(f"{target}.weight", []).append(change)

    def _tokens(self, changes: Changes, module: Module, target: str) -> None:
        key = module.factors["token_adapter.trainable_tokens_delta"]
        stored, name = self.configuration.trainable_token_indices, f"{target}.weight"
        by_module = {module.path: stored} if isinstance(stored, list) else stored
        indices = next(
            (rows for path, rows in by_module.items() if f".{module.path}".endswith(f".{path}")),
            [],
        )
        shape = self._shape(name, key)
        if self.file.shape(key) != (len(indices), *shape[1:]) or len(set(indices)) < len(indices):
            raise UserError(
                f"{self.label}: {key!r} holds {list(self.file.shape(key))}, expected a row of "
                f"{list(shape[1:])} for each of {len(indices)} trainable_token_indices"
            )
        if not all(0 <= index < shape[0] for index in indices):
            raise UserError(
                f"{self.label}: trainable_token_indices up to {max(indices)}, but {name!r} of the "
                f"base has {shape[0]} rows"
            )
        changes.setdefault(name, []).append(Rows(self.file, key, tuple(indices)))

    def _shape(self, name: str, key: str) -> tuple[int, ...]:
        if name not in self._names:
            raise UserError(f"{self.label}: {key!r} changes {name!r}, which the base lacks")
        return self.base.shape(name)

    def _require(self, name: str, shape: Sequence[int], key: str) -> None:
        """Check that what is added to a tensor of the base has its shape."""
        expected, shape = self._shape(name, key), tuple(shape)
        larger = shape[:1] > expected[:1] and shape[1:] == expected[1:]
        if shape == expected or (self.cut and larger):
            return
        advice = "; --vocabulary base cuts it to the base's rows" if larger else ""
        raise UserError(
            f"{self.label}: the change of {name!r} has shape {list(shape)}, but {self.base.path} "
            f"has {list(expected)} there; the adapter belongs to another base{advice}"
        )

    def _require_rank(self, change: LowRank, path: str) -> None:
        rank = self.configuration.rank(path)
        first, second = self._ranks(change)
        if (first, second) != (rank, rank):
            raise UserError(
                f"{self.label}: the factors of {path!r} have ranks {first} and {second}, "
                f"expected {rank} by adapter_config.json"
            )


def _fits(change: LowRank, shape: tuple[int, ...]) -> bool:
    """Whether a change is of a parameter's shape; stacked matrices may be stored transposed."""
    product = (change.outputs, change.inputs)
    if len(shape) == 3 and change.experts:
        return product in (shape[1:], shape[:0:-1])
    return change.experts == 1 and product == shape
