"""Some coordinates of the vectors of a pool, to show what a merge makes of them (Figure 2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError
from negmerge.merging.agreement import signs_agree

# The number of coordinates on which the vectors agree, and of those on which they do not.
EACH = 6


@dataclass(frozen=True)
class Sample:
    """Some coordinates of one tensor.

    Attributes:
        tensor: its name; None without vectors.
        size: how many coordinates it has.
        agreeing: on how many of them all vectors have the same sign, which is not 0.
        places: (n,) int64, the chosen ones in the flattened tensor, in their order.
        values: (vectors, n), of each vector there.
    """

    tensor: str | None
    size: int
    agreeing: int
    places: Tensor
    values: Tensor


def sample(vectors: Sequence[StoredState], each: int = EACH) -> Sample:
    """Choose coordinates on which vectors agree in sign, and as many on which they do not.

    They are those of the largest tensor that the first vector changes, of equal ones the first by
    name, evenly spread over the agreeing and over the other ones.

    Args:
        vectors: of one layout; of none there is nothing to choose.
        each: how many of both kinds; fewer where the tensor has fewer.

    Raises:
        UserError: the first vector changes nothing.
    """
    if not vectors:
        return Sample(None, 0, 0, torch.empty(0, dtype=torch.int64), torch.empty(0, 0))
    tensor = _largest_changed(vectors[0])
    values = torch.stack([vector[tensor].flatten() for vector in vectors])
    agree = signs_agree(values.amin(0), values.amax(0))
    kinds = [_spread(where.nonzero().flatten(), each) for where in (agree, ~agree)]
    places = torch.cat(kinds).sort().values
    return Sample(tensor, values.shape[1], int(agree.sum()), places, values[:, places])


def _largest_changed(vector: StoredState) -> str:
    # Sorting keeps the order of equal ones.
    for name in sorted(vector.names, key=lambda name: -math.prod(vector.shape(name))):
        if vector[name].any():
            return name
    raise UserError(f"{vector.path}: all numbers of this vector are 0, so there is none to show")


def _spread(places: Tensor, most: int) -> Tensor:
    count = min(most, len(places))
    return places[torch.arange(count) * len(places) // max(count, 1)]
