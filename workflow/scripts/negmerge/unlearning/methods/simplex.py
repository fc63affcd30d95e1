"""Task simplex: models all over the simplex of a pool, whose probabilities are averaged.

Of Task Simplex Arithmetic (NeurIPS 2025, OpenReview pe92NSPLE8) only the abstract and the idea
were read; its closed form, and what its authors average, are not known. So models are drawn
here, and their softmax probabilities averaged. It is a bound of what averaging weights
approximates, and no model to hand on. It reads nothing but the vectors.
"""

import copy
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from negmerge.evaluation.accuracy import Ensemble
from negmerge.settings.recipe import NonNegative
from negmerge.unlearning.core import Data, Method, UnlearnOptions
from negmerge.vectors import apply, widen


class Options(UnlearnOptions):
    """The options of the task simplex."""

    scenarios = ("classifier", "zero-shot")
    data_used = "forget"
    vectors = "any"

    coefficient: NonNegative = Field(
        1.0,
        description="How often the weighted mean of the vectors is subtracted; 1 is our choice.",
    )
    members: Annotated[int, Field(ge=2, le=256)] = Field(
        16,
        description="How many models are drawn; each takes memory, disk and passes. Our choice.",
    )


def simplex_weights(count: int, vectors: int, seed: int) -> Tensor:
    """Draw weights uniformly from a simplex: (count, vectors) float64, each row with the sum 1.

    Dirichlet(1, ..., 1), as exponentials divided by their sum. With K vectors each weight has the
    variance (K - 1) / (K^2 (K + 1)), and two have the covariance -1 / (K^2 (K + 1)).
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.empty(count, vectors, dtype=torch.float64).exponential_(generator=generator)
    return drawn / drawn.sum(dim=1, keepdim=True)


def run(model: nn.Module, data: Data, options: Options) -> Ensemble:
    """Build members base - coefficient * sum of w_k tau_k, with weights w of the seed of the data.

    All coefficients of a search have the same weights. Statistics of batch normalisation are the
    base's.
    """
    base, members = model.state_dict(), []
    for weights in simplex_weights(options.members, len(data.vectors), data.seed).tolist():
        merged = {
            name: sum(
                weight * widen(vector[name])
                for weight, vector in zip(weights, data.vectors, strict=True)
            )
            for name in data.vectors[0]
        }
        member = copy.deepcopy(model)
        member.load_state_dict(apply(base, merged, -options.coefficient, "simplex"))
        members.append(member)
    return Ensemble(members)


METHOD = Method(
    run,
    title="Task simplex, sampled (a bound: many models)",
    reference="Task Simplex Arithmetic (NeurIPS 2025); sampled, this project",
    options=Options,
)
