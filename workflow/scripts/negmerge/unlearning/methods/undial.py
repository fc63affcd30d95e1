"""UNDIAL: learn from the original model with the logits of forgotten tokens turned down."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.undial import Options
from negmerge.unlearning.passes import fit_both
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.tokens import (
    Reference,
    is_answer,
    logits_of,
    mean_over_answers,
    next_tokens,
)


def self_distillation(logits: Tensor, teacher: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Return the cross-entropy to softmax(teacher - beta * one-hot(label)), a mean over tokens.

    Over the tokens of answers. open-unlearning averages over questions and padding too, where it
    takes the mark that there is no label for a token.

    Args:
        logits: (n, tokens, vocabulary) of the model.
        teacher: likewise of the teacher.
        labels: (n, tokens).
        beta: how far a token's logit is turned down.
    """
    where = is_answer(labels)
    student, _ = next_tokens(logits, labels)
    fixed, tokens = next_tokens(teacher, labels)
    # Where there is no label, any token will do: it does not count.
    index = tokens.clamp(min=0)[..., None]
    turned = fixed.scatter_add(2, index, torch.full_like(index, -beta, dtype=fixed.dtype))
    target = turned.softmax(dim=-1)
    each = functional.cross_entropy(
        student.transpose(1, 2), target.transpose(1, 2), reduction="none"
    )
    return mean_over_answers(each, where)


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise gamma * self-distillation(forget batch) + alpha * loss(retain batch).

    The teacher is a frozen copy of the start.
    """
    teacher = Reference(model)

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        fixed = teacher.logits(ids)
        return self_distillation(logits_of(model, ids), fixed, labels, options.beta)

    loss = data.objective.loss(model, recipe.label_smoothing)
    fit_both(model, data, away, loss, options.weights, recipe, device)


METHOD = Method(
    run,
    title="UNDIAL",
    reference="Dong et al., UNDIAL: Self-Distillation with Adjusted Logits (NAACL 2025)",
    options=Options,
)
