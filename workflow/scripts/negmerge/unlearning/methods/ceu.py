"""CEU: teach the model its own distribution without the token that is to be forgotten."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.ceu import Options
from negmerge.unlearning.passes import fit_set
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.tokens import is_answer, logits_of, mean_over_answers, next_tokens


def without_the_token(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy to the softmax of the logits with the label at -infinity.

    The mean over the tokens of a batch's answers but the first of each; the softmax that is learned
    has no gradient. 0 where all answers have one token.

    Args:
        logits: (n, tokens, vocabulary).
        labels: (n, tokens).
    """
    where = is_answer(labels)
    where &= where.cumsum(dim=1) > 1
    own, tokens = next_tokens(logits, labels)
    # Where there is no label, any token will do: it does not count.
    target = own.detach().scatter(2, tokens.clamp(min=0)[..., None], -torch.inf).softmax(dim=-1)
    each = functional.cross_entropy(own.transpose(1, 2), target.transpose(1, 2), reduction="none")
    return mean_over_answers(each, where)


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise it on the forget set; nothing holds the rest."""

    def loss(ids: Tensor, labels: Tensor) -> Tensor:
        return without_the_token(logits_of(model, ids), labels)

    fit_set(model, data, data.forget, loss, recipe, device)


METHOD = Method(
    run,
    title="CEU",
    reference="CE-U: Cross Entropy Unlearning (Yang 2025), as in open-unlearning",
    options=Options,
)
