"""SimNPO: NPO without a reference, on the mean loss of an answer's tokens."""

from pydantic import Field
from torch import Tensor, nn

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.unlearning.core import Balanced, Data, Method, fit_both
from negmerge.unlearning.tokens import preference, score


class Options(Balanced):
    gamma: Positive = Field(
        0.125, description="Weight of the forget set's loss; 0.125 in open-unlearning's code."
    )
    beta: Positive = Field(
        4.5,
        description="The larger, the sooner an answer counts as forgotten; 4.5 in "
        "open-unlearning's code, 3.5 in searches of others.",
    )
    delta: NonNegative = Field(
        0.0,
        description="The mean loss at which an answer counts as forgotten; 0 in open-unlearning's "
        "code, 1 in searches of others.",
    )


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise alpha * loss(retain) - gamma * (2 / beta) mean of log sigmoid(beta * (L - delta)).

    The mean is over the answers of the forget batch, of each of which L is the mean loss of the
    tokens.
    """

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        return preference(score(model, ids, labels).losses - options.delta, options.beta)

    fit_both(model, data, options, away)


METHOD = Method(
    run,
    title="SimNPO",
    reference="Fan et al., Simplicity Prevails: Rethinking NPO for LLM Unlearning (2024)",
    options=Options,
)
