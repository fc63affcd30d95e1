"""PCB-Merging: weights from a competition of the numbers, inside and between the vectors."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from negmerge.merging import order
from negmerge.merging.blocks import Block, Vectors, divisor, to_device, to_host
from negmerge.merging.engine import Method
from negmerge.merging.signs import running_sum
from negmerge.settings.recipe import Settings, Share


class Options(Settings):
    """The options of PCB-Merging."""

    ratio: Share = Field(
        0.1,
        description="Share of each vector's numbers, those of highest score, that get a weight.",
    )
    clip: float = Field(
        0.0001,
        ge=0,
        le=0.25,
        description="Share of the smallest and of the largest magnitudes to clamp.",
    )


class Limits(NamedTuple):
    """The range to which numbers are clamped before they are brought to 0..1."""

    low: float
    high: float


Survey = list[tuple[Limits, Limits]]  # of each vector's magnitudes, and of its scores


def survey(vectors: Vectors, ratio: float, clip: float) -> Survey:
    """Find each vector's limits, by sorting the d numbers of the whole flattened vector.

    Magnitudes: from place int(d * clip) to place int(d * (1 - clip) - 1). Scores: from place
    int(d * (1 - ratio)) to the largest.
    """
    d = vectors.size
    if d == 0:
        return []

    places = int(d * clip), int(d * (1 - clip) - 1)
    of_magnitudes = [Limits(*limits) for limits in order.magnitudes(vectors, *places)]
    scores = order.passes(vectors, lambda block: _scores(block, of_magnitudes))
    places = min(int(d * (1 - ratio)), d - 1), d - 1
    limits = order.select(scores, [places] * len(vectors), order.widest(vectors))
    return list(zip(of_magnitudes, (Limits(*pair) for pair in limits), strict=True))


def combine(block: Block, ratio: float, clip: float, survey: Survey) -> Tensor:
    """Average the clamped vectors, each number weighted by its score brought to 0..1.

    sum_k(sign(tau_k) * clamped |tau_k| * weight_k) / max(sum_k weight_k, 1e-12)
    """
    of_magnitudes = [magnitudes for magnitudes, _ in survey]
    total, weights = torch.zeros(()), torch.zeros(())
    scored = zip(block, _scores(block, of_magnitudes), survey, strict=True)
    for vector, score, (magnitudes, limits) in scored:
        weight = _normalised(score, *limits)
        total = total + vector.abs().clamp_(*magnitudes).mul_(vector.sign()).mul_(weight)
        weights = weights + weight
    return total / weights.clamp_(min=1e-12)


def _scores(block: Block, limits: list[Limits]) -> Iterator[Tensor]:
    """Score each vector's numbers: exp(K * normalised |tau_k|^2) * tanh(tau_k * sum of all tau).

    All is divided by exp(K), which changes no weight and keeps large pools from overflowing.
    """
    everything = running_sum(block)
    for vector, magnitudes in zip(block, limits, strict=True):
        inside = _normalised(vector.abs(), *magnitudes).square_().sub_(1).mul_(len(block))
        between = vector * everything
        yield _on_host(Tensor.exp_, inside).mul_(_on_host(Tensor.tanh_, between))


def _on_host(function: Callable[[Tensor], Tensor], numbers: Tensor) -> Tensor:
    """Compute a function on the CPU: a GPU rounds it otherwise, and might keep other numbers."""
    return to_device(function(to_host(numbers)), numbers.device)


def _normalised(numbers: Tensor, low: float, high: float) -> Tensor:
    """Clamp numbers to their limits and bring these to 0 and 1.

    With equal limits, where the official code divides 0 by 0, what reaches them is 1.
    """
    if low == high:
        return (numbers >= high).to(numbers.dtype)
    return numbers.clamp(low, high).sub_(low).div_(divisor(high - low, numbers))


METHOD = Method(
    combine,
    title="PCB-Merging",
    reference="Du et al., Parameter Competition Balancing for Model Merging (NeurIPS 2024)",
    options=Options,
    survey=survey,
    passes=5,
)
