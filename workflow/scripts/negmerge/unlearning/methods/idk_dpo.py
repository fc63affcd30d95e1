"""IdkDPO: prefer "I don't know" to the answers that are to be forgotten."""

from pydantic import Field
from torch import Tensor, nn

from negmerge.settings.recipe import Positive
from negmerge.unlearning.core import Balanced, Data, Method, fit_both, frozen_copy
from negmerge.unlearning.tokens import preference, score


class Options(Balanced):
    refusals = True

    beta: Positive = Field(
        0.1, description="How strongly the reference holds; 0.1 in open-unlearning's code."
    )


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise alpha * loss(retain) - gamma * (2 / beta) mean of log sigmoid(beta * (R - A)).

    The mean is over the questions of the forget batch. R and A are S - S_r of the refusal and of
    the answer: S sums log p over the tokens, and S_r is that of a frozen copy of the start.
    """
    original = frozen_copy(model)

    def prefer(ids: Tensor, labels: Tensor) -> Tensor:
        answered, refused = (
            score(model, *answers).sums - score(original, *answers).sums
            for answers in zip(ids.unbind(1), labels.unbind(1), strict=True)
        )
        return preference(refused - answered, options.beta)

    fit_both(model, data, options, prefer, forget=data.refusals)


METHOD = Method(
    run,
    title="IdkDPO",
    reference="Maini et al., TOFU (COLM 2024), with DPO (Rafailov et al., NeurIPS 2023)",
    options=Options,
)
