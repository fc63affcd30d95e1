"""Two models that forget, one of them too much and one too little, are merged by TIES.

Read in the authors' code, zjunlp/unlearn at 0800fd2, and in PEFT 0.21.2, which merges there.
They train adapters and merge the factors of these; that all weights are trained, and the
changes of the weights merged, is this project's use. It reads the items to forget and those to
retain.
"""

from typing import ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from negmerge.checkpoints.states import require_finite
from negmerge.data.tokenising import WITHOUT_LOSS, without_padding
from negmerge.evaluation.accuracy import Loss
from negmerge.settings.recipe import NonNegative, Positive, Share
from negmerge.unlearning.core import (
    Data,
    Method,
    TrainingOptions,
    fit_both,
    frozen_copy,
    trainable,
)
from negmerge.unlearning.methods.kl import divergence
from negmerge.unlearning.tokens import preference, score


class Options(TrainingOptions):
    """The options of two merged models."""

    scenarios = ("language",)
    data_used = "all"
    batches_per_step = 2
    weights: ClassVar[tuple[float, float]] = (1.0, 1.0)  # the losses have their own

    epochs: PositiveInt = Field(
        5, description="Passes over the forget set for each of the two; 5 in the authors' code."
    )
    learning_rate: Positive = Field(
        1e-4, description="Peak rate; 1e-4 in the authors' code, for adapters."
    )
    retain_first: Share = Field(
        0.2,
        description="Weight w of the retain set's loss in the first model; 0.2 in the authors' "
        "code. NPO and KL have (1 - w) / 2 each.",
    )
    retain_second: Share = Field(
        0.4, description="The same for the second model; 0.4 in the authors' code."
    )
    beta: Positive = Field(0.1, description="Beta of NPO; 0.1 in the authors' code.")
    density: Share = Field(
        0.8, description="Share of the numbers of each change to merge; 0.8 in the authors' code."
    )
    factor: NonNegative = Field(
        1.0, description="How often the merged change is added; 1 in the authors' code."
    )

    @property
    def passes(self) -> tuple[str, ...]:
        return ("forget", "forget")


def losses(model: nn.Module, original: nn.Module, weight: float, beta: float) -> tuple[Loss, Loss]:
    """Return (1 - w) / 2 NPO on a forget batch, and (1 - w) / 2 KL + w CE on a retain batch.

    NPO is -(2 / beta) log sigmoid(beta (CE - CE_r)) with the mean CE over all answer tokens of the
    batch, and not answer by answer as in `npo`; CE_r is that of the original.
    """

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        own, before = (
            score(network, ids, labels).log_probs.mean() for network in (model, original)
        )
        return (1 - weight) / 2 * preference(before - own, beta)

    def stay(ids: Tensor, labels: Tensor) -> Tensor:
        ids, labels = without_padding(ids, labels)
        networks = (model, original)
        own, fixed = (
            network(input_ids=ids, use_cache=False).logits.float() for network in networks
        )
        answers = functional.cross_entropy(
            own[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=WITHOUT_LOSS
        )
        return (1 - weight) / 2 * divergence(own, fixed, labels) + weight * answers

    return away, stay


def merged(changes: list[Tensor], density: float) -> Tensor:
    """Merge the changes of one tensor by TIES as in PEFT.

    Of each change int(density * n) numbers of largest magnitude stay. The sign of their sum is
    elected, + where it is 0, and the mean taken of those that have it.
    """
    trimmed = []
    for change in changes:
        numbers = change.flatten()
        order = numbers.abs().argsort(descending=True, stable=True)
        kept = order[: int(density * len(order))]
        trimmed.append(torch.zeros_like(numbers).index_copy_(0, kept, numbers[kept]))
    stack = torch.stack(trimmed)
    elected = torch.where(stack.sum(dim=0) >= 0, 1.0, -1.0)
    agree = stack.sign() == elected
    mean = (stack * agree).sum(dim=0) / agree.sum(dim=0).clamp(min=1)
    return mean.view_as(changes[0])


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Train two copies of the start with other weights of the losses, and add their merge to it.

    Unlearned = start + factor * TIES(first - start, second - start). Each training minimises the
    sum of `losses`, of a batch of each set in each step. The first model has the smaller weight of
    the retain set, so it forgets more.
    """
    original = frozen_copy(model)
    start = {name: p.detach().clone() for name, p in trainable(model).items()}
    changes: dict[str, list[Tensor]] = {name: [] for name in start}
    for weight in (options.retain_first, options.retain_second):
        away, stay = losses(model, original, weight, options.beta)
        fit_both(model, data, options, away, stay)
        with torch.no_grad():
            for name, parameter in trainable(model).items():
                changes[name].append(parameter - start[name])
                parameter.copy_(start[name])
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            parameter += options.factor * merged(changes.pop(name), options.density)
            require_finite(parameter.detach(), name, "two-merged")


METHOD = Method(
    run,
    title="Two merged",
    reference="ZJUKLAB at SemEval-2025 task 4, unlearning via model merging (arXiv 2503.21088)",
    options=Options,
)
