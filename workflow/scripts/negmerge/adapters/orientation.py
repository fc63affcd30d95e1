"""Whether a square weight is stored as (inputs, outputs), as the Conv1D layers of GPT-2 are."""

from collections.abc import Iterator
from functools import cached_property

from negmerge.checkpoints.stored import StoredState


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
        same_name = {found for name, found in self._shown if name == _last(module)}
        everywhere = {found for _, found in self._shown}
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
