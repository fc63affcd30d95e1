"""How alike the vectors of a pool are, and which of them is unlike the others."""

import math

import torch
from torch import Tensor

# A member is unlike the others where its mean cosine to them comes to less than this share of the
# median of all.
SHARE = 1 / 3
# Below this median the pool has nothing in common that a member could lack.
LEAST = 0.05
FEWEST = 3


def cosines(products: Tensor) -> Tensor:
    """Compute the cosine of each pair of vectors.

    Args:
        products: (vectors, vectors) float64, the scalar product of each pair.

    Returns:
        Likewise; NaN where one of the two is zero.
    """
    lengths = products.diagonal().sqrt()
    found = (products / torch.outer(lengths, lengths)).clamp(-1, 1)
    return found.masked_fill(torch.outer(lengths, lengths) == 0, math.nan)


def pairs(matrix: Tensor) -> Tensor:
    """Return the numbers of a symmetric matrix above its diagonal that are not NaN."""
    first, second = torch.triu_indices(len(matrix), len(matrix), offset=1)
    found = matrix[first, second]
    return found[~found.isnan()]


def mean_to_others(matrix: Tensor) -> Tensor:
    """Compute each vector's mean cosine to the others; one that is zero has 0 to all.

    Args:
        matrix: see `cosines`.
    """
    others = matrix.nan_to_num(0).fill_diagonal_(0)
    return others.sum(1) / max(len(matrix) - 1, 1)


def outliers(matrix: Tensor) -> list[int]:
    """Return the places of vectors that do not seem to be of the pool.

    Their mean cosine to the others is below a third of the median of these means. The median stays
    where it is while most members are of the pool; and it is a share of it, since members of one
    pool may be alike to any degree: long and short trainings of one grid come to half of it. In
    spread (a median absolute deviation) the two cannot be told, as the members of a grid differ
    much and those of a seed hardly. Of two members none can be told, and in a pool whose median is
    below 0.05, which has nothing in common, none is.

    Args:
        matrix: see `cosines`.
    """
    means = mean_to_others(matrix)
    if len(means) < FEWEST:
        return []
    middle = means.quantile(0.5)
    return (means < SHARE * middle).nonzero().flatten().tolist() if middle >= LEAST else []
