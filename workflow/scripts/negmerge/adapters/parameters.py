"""Changes of parameters that are no layer of their own, such as stacked experts.

PEFT wraps the module of a parameter once for each parameter that it changes, and its file says only
how deep a wrapper lies; which parameter it is for, the shapes must tell.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

from negmerge.adapters.changes import LowRank
from negmerge.adapters.configuration import Configuration
from negmerge.adapters.parts import Module
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError


def targeted(base: StoredState, configuration: Configuration, path: str, target: str) -> list[str]:
    """List the tensors of a module of the base that are changed as parameters."""
    ends = tuple(f".{end}" for end in configuration.target_parameters)
    if not ends:
        return []
    return [
        name
        for name in base.names
        if name.rpartition(".")[0] == target and f".{path}.{name.rpartition('.')[2]}".endswith(ends)
    ]


def parameter_changes(
    file: StoredState,
    configuration: Configuration,
    base: StoredState,
    label: str,
    modules: Sequence[Module],
    names: Sequence[str],
) -> dict[str, LowRank]:
    """Return the changes of the parameters of one module."""
    path = modules[0].path
    possible = []
    for order in permutations(names, len(modules)):
        changes = {
            name: _change(file, configuration, base, module, name)
            for module, name in zip(modules, order, strict=True)
        }
        if all(_fits(change, base.shape(name)) for name, change in changes.items()):
            possible.append(changes)
    if len(modules) != len(names) or len(possible) != 1:
        raise UserError(
            f"{label}: {len(modules)} changes of {path!r} fit {', '.join(names)} of the base in "
            f"{len(possible)} ways, expected one"
        )
    return _oriented(possible[0], base, f"{label}: {path!r}")


def _change(
    file: StoredState, configuration: Configuration, base: StoredState, module: Module, name: str
) -> LowRank:
    shape = base.shape(name)
    full = f"{module.path}.{name.rpartition('.')[2]}"
    change = LowRank(
        file,
        module.factors["lora_A"],
        module.factors["lora_B"],
        configuration.scale(full),
        experts=shape[0] if len(shape) == 3 else 1,
        layer="parameter",
    )
    rank = configuration.rank(full) * change.experts
    # A pair of another rank fits no parameter.
    return change if _ranks(change) == (rank, rank) else replace(change, experts=0)


def _ranks(change: LowRank) -> tuple[int, int]:
    return change.file.shape(change.a)[0], change.file.shape(change.b)[1]


def _fits(change: LowRank, shape: tuple[int, ...]) -> bool:
    """Whether a change is of a parameter's shape; stacked matrices may be stored transposed."""
    product = (change.outputs, change.inputs)
    if len(shape) == 3 and change.experts:
        return product in (shape[1:], shape[:0:-1])
    return change.experts == 1 and product == shape


def _oriented(changes: dict[str, LowRank], base: StoredState, where: str) -> dict[str, LowRank]:
    """Return the changes, of stacked matrices transposed if those that are not square show it."""
    stacked = {name: change for name, change in changes.items() if len(base.shape(name)) == 3}
    shown = {
        (change.outputs, change.inputs) != base.shape(name)[1:]
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
