"""How many numbers of a merged vector are zero."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from negmerge.stored import StoredState


@dataclass(frozen=True)
class Sparsity:
    """Counts of numbers.

    Attributes:
        kept: non-zero numbers of the vector.
        trainable: numbers that fine-tuning may change.
        state: numbers in the whole state.
    """

    kept: int
    trainable: int
    state: int


def sparsity(vector: StoredState | Mapping, is_trainable: Callable[[str], bool]) -> Sparsity:
    """Count the zeros of a vector against both of their denominators.

    Frozen tensors are exact zeros in every vector, so a share of zeros means little without the
    numbers that it is a share of.

    Args:
        vector: name -> tensor.
        is_trainable: whether fine-tuning may change the tensor of that name.
    """
    kept = trainable = state = 0
    for name, tensor in vector.items():
        kept += int(tensor.count_nonzero())
        state += tensor.numel()
        trainable += tensor.numel() if is_trainable(name) else 0
    return Sparsity(kept, trainable, state)
