"""WGA: gradient ascent that leaves alone the tokens that are forgotten already."""

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from negmerge.settings.recipe import NonNegative
from negmerge.unlearning.core import Balanced, Data, Method, fit_both
from negmerge.unlearning.tokens import score, weighted_ascent


class Options(Balanced):
    epochs: PositiveInt = Field(
        5, description="Passes over the forget set; 5 in open-unlearning's code for this method."
    )
    beta: NonNegative = Field(
        1.0,
        description="Power of a token's probability in its weight; 1 in open-unlearning's code; 0 "
        "is GradDiff.",
    )


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise alpha * loss(retain) - gamma * mean over tokens of p^beta (-log p).

    The mean is over the tokens of the forget batch; the weights have no gradient.
    """

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        return weighted_ascent(score(model, ids, labels), lambda p: p**options.beta)

    fit_both(model, data, options, away)


METHOD = Method(
    run,
    title="WGA",
    reference="Wang et al., Rethinking LLM Unlearning Objectives (ICLR 2025)",
    options=Options,
)
