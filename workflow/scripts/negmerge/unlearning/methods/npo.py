"""NPO: make what is to be forgotten less probable than it was, and less and less so."""

from pydantic import Field
from torch import Tensor, nn

from negmerge.settings.recipe import Positive
from negmerge.unlearning.core import Balanced, Data, Method, fit_both, frozen_copy
from negmerge.unlearning.tokens import preference, score


class Options(Balanced):
    beta: Positive = Field(
        0.1,
        description="The larger, the sooner an answer counts as forgotten; 0.1 in "
        "open-unlearning's code, 0.05 to 0.5 in searches of others.",
    )


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise alpha * loss(retain) - gamma * (2 / beta) mean of log sigmoid(-beta * (S - S_r)).

    The mean is over the answers of the forget batch. S sums log p over an answer's tokens, and S_r
    is that of the reference, a frozen copy of the start. With a beta near 0 it is gradient ascent.
    """
    original = frozen_copy(model)

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        log_ratios = score(model, ids, labels).sums - score(original, ids, labels).sums
        return preference(-log_ratios, options.beta)

    fit_both(model, data, options, away)


METHOD = Method(
    run,
    title="NPO",
    reference="Zhang et al., Negative Preference Optimization (COLM 2024)",
    options=Options,
)
