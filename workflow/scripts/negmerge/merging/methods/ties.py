"""TIES-Merging: trim each vector, elect signs, and merge what agrees with them."""

import math
from functools import reduce as fold
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import hardshrink

from negmerge.merging.blocks import Block, Vectors
from negmerge.merging.engine import Method
from negmerge.merging.order import magnitudes
from negmerge.merging.signs import keep
from negmerge.settings.recipe import Settings, Share


class Options(Settings):
    """The options of TIES-Merging."""

    density: Share = Field(
        0.2, description="Share of each vector's numbers to keep, those of largest magnitude."
    )
    of: Literal["state", "trainable"] = Field(
        "state",
        description="The numbers that the density is a share of: all of a vector, or those of "
        "tensors that are not zero in all vectors, which are the tensors that "
        "fine-tuning changed.",
    )
    numbers: int = Field(
        0,
        ge=0,
        le=10**15,
        description="How many numbers the density is a share of; 0: as many as `of` says. The state"
        " that the released code saves of ViT-B/32 has 113448705, with unused text "
        "weights.",
    )
    reduce: Literal["mean", "sum", "max"] = Field(
        "mean", description="What to take of the numbers with the elected sign."
    )


NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


class Survey(NamedTuple):
    """What must be known of the whole model."""

    thresholds: list[float]  # the smallest magnitude that is kept of each vector
    majority: int  # the sign of the sum of all elected signs: 1, 0 or -1


def survey(vectors: Vectors, density: float, of: str, numbers: int, **_: object) -> Survey:
    """Find the thresholds, and the majority of the signs that they elect.

    A vector's threshold is the m-th smallest of n magnitudes, m = n - int(n * density). It is kept,
    and so are those equal to it, so a little more remains than the density says. What `of` and
    `numbers` leave out of the n, or add to them, are exact zeros, the smallest of all; so among the
    vector's own numbers the threshold is in place (size - int(n * density)) from below.
    """
    n = numbers or (_trainable(vectors) if of == "trainable" else vectors.size)
    place = vectors.size - int(n * density) - 1
    thresholds = [0.0] * len(vectors)
    if place >= 0:
        thresholds = [threshold for (threshold,) in magnitudes(vectors, place)]

    def balance_of(block: Block) -> int:
        trimmed = map(_trim, block.flat(), thresholds)
        mass = fold(Tensor.add_, trimmed)
        block.check(mass)
        return int(mass.sign_().int().sum())

    balance = sum(vectors.map(balance_of))
    return Survey(thresholds, (balance > 0) - (balance < 0))


def combine(block: Block, reduce: str, survey: Survey, **_: object) -> Tensor:
    """Take the mean, sum or largest of the trimmed numbers that have the elected sign.

    Elected is the sign of the trimmed numbers' sum, or where that is 0 the majority of the whole
    model. The mean is over the numbers that are not 0. Where the majority is 0 too, mean and sum
    take the negative numbers and max gives 0, as in the official code.
    """
    # Both signs are merged, so that one look at the vectors is enough.
    mass = above = below = None
    for vector, threshold in zip(block.flat(), survey.thresholds, strict=True):
        trimmed = _trim(vector, threshold)
        mass = trimmed.clone() if mass is None else mass.add_(trimmed)
        above = _merged(above, trimmed.relu(), reduce)
        below = _merged(below, trimmed.neg_().relu_(), reduce)
    undecided = survey.majority or (0 if reduce == "max" else -1)
    elected = mass.sign_()
    elected = elected.add_(keep(torch.full_like(elected, undecided), elected == 0))
    up, down = elected > 0, elected < 0
    merged, count = (keep(p, up).add_(keep(n, down)) for p, n in zip(above, below, strict=True))
    if reduce == "mean":
        merged /= count.clamp_(min=1)
    # Adding 0 makes +0 of -0, which is what a negative sign without numbers gives.
    return block.in_rows(merged.mul_(elected).add_(0.0))


def _merged(
    before: tuple[Tensor, Tensor] | None, numbers: Tensor, reduce: str
) -> tuple[Tensor, Tensor]:
    """Merge numbers that are not negative into those before: their largest or sum, and count."""
    if before is None:
        return numbers, numbers.sign()
    merged, count = before
    if reduce == "max":
        return torch.maximum(merged, numbers, out=merged), count
    merged += numbers
    count += numbers.sign_()
    return before


def _trainable(vectors: Vectors) -> int:
    """Count the numbers of the tensors that are not exactly zero in all vectors."""

    def changed(block: Block) -> tuple[str, bool]:
        return block.name, any(bool(vector.any()) for vector in block)

    names = {name for name, is_changed in vectors.map(changed) if is_changed}
    return sum(math.prod(vectors.shapes[name]) for name in names)


def _trim(vector: Tensor, threshold: float) -> Tensor:
    """Put 0 where the magnitude is below the threshold, in a new tensor."""
    # hardshrink keeps what is above a limit, in a fraction of the time of a mask; so the limit is
    # the next number below the threshold, which may lie between two numbers of a shorter dtype.
    limit = np.array(threshold, NUMPY[vector.dtype])
    if float(limit) >= threshold:
        limit = np.nextafter(limit, np.zeros_like(limit))
    return hardshrink(vector, float(limit))


METHOD = Method(
    combine,
    title="TIES-Merging",
    reference="Yadav et al., TIES-Merging (NeurIPS 2023)",
    options=Options,
    survey=survey,
    passes=4,
)
