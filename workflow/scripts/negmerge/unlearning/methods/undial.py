"""UNDIAL: learn from the original model with the logits of forgotten tokens turned down."""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.unlearning.core import Balanced, Data, Method, fit_both, frozen_copy
from negmerge.unlearning.tokens import Scored, score


class Options(Balanced):
    learning_rate: Positive = Field(
        1e-4,
        description="Peak rate; 1e-4 in open-unlearning's code for this method, 3e-4 the best of a "
        "search (unlearning-depth-score).",
    )
    alpha: NonNegative = Field(
        0.0,
        description="Weight of the retain set's loss; 0 in open-unlearning's code, where it is "
        "not read.",
    )
    beta: Positive = Field(
        10.0,
        description="How far the logit of a forgotten token is turned down; 10 in "
        "open-unlearning's code.",
    )


def self_distillation(scored: Scored, teacher: Tensor, beta: float) -> Tensor:
    """Return the cross-entropy to softmax(teacher - beta * one-hot(token)), a mean over tokens.

    The teacher's logits (tokens, vocabulary) are of the same places. Over the tokens of answers;
    open-unlearning averages over questions and padding too, where it takes the mark that there is
    no label for a token.
    """
    index = scored.tokens[:, None]
    turned = teacher.scatter_add(1, index, torch.full_like(index, -beta, dtype=teacher.dtype))
    return functional.cross_entropy(scored.logits, turned.softmax(dim=1))


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise gamma * self-distillation(forget batch) + alpha * loss(retain batch).

    The teacher is a frozen copy of the start.
    """
    teacher = frozen_copy(model)

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        fixed = score(teacher, ids, labels).logits
        return self_distillation(score(model, ids, labels), fixed, options.beta)

    fit_both(model, data, options, away)


METHOD = Method(
    run,
    title="UNDIAL",
    reference="Dong et al., UNDIAL: Self-Distillation with Adjusted Logits (NAACL 2025)",
    options=Options,
)
