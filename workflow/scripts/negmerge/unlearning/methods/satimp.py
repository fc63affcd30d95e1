"""SatImp: gradient ascent on the tokens that are neither forgotten already nor certain."""

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.unlearning.core import Balanced, Data, Method, fit_both
from negmerge.unlearning.tokens import score, weighted_ascent


class Options(Balanced):
    epochs: PositiveInt = Field(
        5, description="Passes over the forget set; 5 in open-unlearning's code for this method."
    )
    gamma: Positive = Field(
        0.1,
        description="Weight of the forget set's loss; 0.1 in open-unlearning's code, whose README "
        "has gamma 1 and alpha 0.1.",
    )
    beta1: NonNegative = Field(
        5.0, description="Power of a token's p in its weight; 5 in open-unlearning's code."
    )
    beta2: NonNegative = Field(
        1.0, description="Power of 1 - p in a token's weight; 1 in open-unlearning's code."
    )


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise alpha * loss(retain) - gamma * mean over tokens of p^beta1 (1 - p)^beta2 (-log p).

    The mean is over the tokens of the forget batch; the weights have no gradient.
    """

    def weigh(p: Tensor) -> Tensor:
        return p**options.beta1 * (1 - p) ** options.beta2

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        return weighted_ascent(score(model, ids, labels), weigh)

    fit_both(model, data, options, away)


METHOD = Method(
    run,
    title="SatImp",
    reference="Yang et al., Exploring Criteria of Loss Reweighting (ICML 2025)",
    options=Options,
)
