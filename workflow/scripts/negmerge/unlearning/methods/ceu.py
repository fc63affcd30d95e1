"""CEU: teach the model its own distribution without the token that is to be forgotten."""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from negmerge.settings.recipe import Positive
from negmerge.unlearning.core import Data, Method, TrainingOptions, fit_set
from negmerge.unlearning.tokens import Scored, score


class Options(TrainingOptions):
    scenarios = ("language",)
    data_used = "forget"

    epochs: PositiveInt = Field(
        10, description="Passes over the forget set; 10 in open-unlearning's code."
    )
    learning_rate: Positive = Field(1e-5, description="Peak rate; 1e-5 in open-unlearning's code.")


def without_the_token(scored: Scored) -> Tensor:
    """Return the cross-entropy to the softmax of the logits with the token at -infinity.

    The mean over the tokens of a batch's answers but the first of each; the softmax that is learned
    has no gradient. 0 where all answers have one token.
    """
    logits, tokens = (part[~scored.is_first] for part in (scored.logits, scored.tokens))
    target = logits.detach().scatter(1, tokens[:, None], -torch.inf).softmax(dim=1)
    total = functional.cross_entropy(logits, target, reduction="sum")
    return total / max(len(tokens), 1)


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise it on the forget set; nothing holds the rest."""

    def loss(ids: Tensor, labels: Tensor) -> Tensor:
        return without_the_token(score(model, ids, labels))

    fit_set(model, data, data.forget, loss)


METHOD = Method(
    run,
    title="CEU",
    reference="CE-U: Cross Entropy Unlearning (Yang 2025), as in open-unlearning",
    options=Options,
)
