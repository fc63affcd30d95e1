"""Uniform merge: the plain mean."""

from collections.abc import Iterable

from torch import Tensor

from negmerge.merging.registry import Method, running_sum


def combine(vectors: Iterable[Tensor]) -> Tensor:
    """Average the task vectors: (1 / K) * sum of tau_k."""
    total, count = running_sum(vectors)
    return total / count


METHOD = Method(
    combine,
    title="Uniform merge",
    reference="Wortsman et al., Model soups (ICML 2022), the uniform soup",
)
