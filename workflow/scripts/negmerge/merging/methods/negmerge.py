"""NegMerge: the mean where all models agree in sign, zero elsewhere."""

from collections.abc import Iterable

from torch import Tensor

from negmerge.merging.consensus import mean_and_consensus
from negmerge.merging.registry import Method


def combine(vectors: Iterable[Tensor]) -> Tensor:
    """Keep the mean of the task vectors where all K have the same non-zero sign.

    Elsewhere the result is +0. With K = 1 it is the task vector itself.
    """
    mean, agree = mean_and_consensus(vectors)
    return mean.where(agree, 0.0)


METHOD = Method(
    combine,
    title="NegMerge",
    reference="Kim et al., NegMerge (ICML 2025), section 3",
)
