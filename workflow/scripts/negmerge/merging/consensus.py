"""Sign consensus: on which coordinates do all task vectors agree?"""

from collections.abc import Iterable

import torch
from torch import Tensor


def mean_and_consensus(vectors: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Average task vectors and find the coordinates on which all of them agree in sign.

    Args:
        vectors: K tensors of one shape, float32 or float64.

    Returns:
        The mean over all K, in the vectors' dtype; and a bool tensor that is true where all K
        signs are equal and not zero. An exact zero in one vector is a disagreement. Votes are
        counted in integers: a counter in bfloat16 would stop at 256.
    """
    total = votes = None
    count = 0
    for vector in vectors:
        signs = vector.sign().to(torch.int32)
        total = vector.clone() if total is None else total.add_(vector)
        votes = signs if votes is None else votes.add_(signs)
        count += 1
    return total / count, votes.abs() == count
