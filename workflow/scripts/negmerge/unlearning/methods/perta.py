"""PerTA: subtract a task vector, from each weight by how much it matters only for forgetting."""

from collections.abc import Iterable
from itertools import islice
from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import nn

from negmerge.checkpoints.checks import require_finite
from negmerge.checkpoints.states import State
from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Batch, Loss, Objective
from negmerge.settings.recipe import NonNegative, Positive, Recipe
from negmerge.unlearning.core import Data, Loader, Method, TrainingOptions
from negmerge.unlearning.passes import batch_gradients, fit_set, one_by_one


class Options(TrainingOptions):
    """The options of PerTA; those of the paper are not known, so all are this project's choice."""

    scenarios = ("classifier", "language", "zero-shot")
    data_used = "all"

    epochs: PositiveInt = Field(
        5, description="Passes over the forget set that make the vector; this project's choice."
    )
    learning_rate: Positive = Field(1e-5, description="Peak rate; this project's choice.")
    coefficient: NonNegative = Field(
        1.0, description="How often the weighed vector is subtracted; this project's choice."
    )
    importance: Literal["fisher", "gradient"] = Field(
        "fisher",
        description="What a weight's importance for a set is. fisher: the mean of its squared "
        "gradients, item by item; gradient: the magnitude of its mean gradient. Both in the paper.",
    )
    samples: PositiveInt = Field(
        400,
        description="Items of each set, drawn at random, that importances are taken from; this "
        "project's choice.",
    )
    epsilon: Positive = Field(
        1e-20,
        description="Added to the sum of both importances, so that a weight without any is left "
        "alone; this project's choice.",
    )

    @property
    def passes(self) -> tuple[str, ...]:
        """The forget set."""
        return ("forget",)


def importances(model: nn.Module, items: Iterable[Batch], loss: Loss, kind: str) -> State:
    """Compute how much each weight matters for items, in evaluation mode.

    `fisher` is the mean of squared gradients: the diagonal of the empirical Fisher matrix;
    `gradient` is the magnitude of the mean gradient.
    """
    total: State = {}
    count = 0
    for _, gradients in batch_gradients(model, items, loss):
        count += 1
        for name, gradient in gradients.items():
            part = gradient.square() if kind == "fisher" else gradient
            total[name] = total[name] + part if name in total else part
    if not count:
        raise UserError("perta: the forget or the retain set is empty; expected items in both")
    return {name: require_finite(t / count, name, "perta").abs() for name, t in total.items()}


def shares(forget: State, retain: State, epsilon: float) -> State:
    """Compute w = F_forget / (F_forget + F_retain + epsilon) of each weight, 0..1."""
    return {name: f / (f + retain[name] + epsilon) for name, f in forget.items()}


def subtract_weighed(base: State, tuned: State, weights: State, coefficient: float) -> State:
    """Compute base - coefficient * w * (tuned - base) for each tensor that has weights."""
    return {
        name: base[name] - coefficient * weight * (tuned[name] - base[name])
        for name, weight in weights.items()
    }


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Fine-tune on the forget set, and subtract the difference from the original, weight by weight.

    A weight's share of the difference is F_forget / (F_forget + F_retain), where F says how much it
    matters for a set; what is frozen has none. Statistics of batch normalisation stay the
    original's, as in all negation.
    """

    def matters(part: Loader, objective: Objective) -> State:
        items = islice(one_by_one(part), options.samples)
        return importances(model, items, objective.loss(model, 0.0), options.importance)

    forget = matters(data.forget, data.objective)
    retain = matters(data.retain, data.retain_objective or data.objective)
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    own = data.objective.loss(model, recipe.label_smoothing)
    fit_set(model, data, data.forget, own, recipe, device)
    tuned = {name: parameter.detach() for name, parameter in model.named_parameters()}
    weights = shares(forget, retain, options.epsilon)
    found = subtract_weighed(base, tuned, weights, options.coefficient)
    model.load_state_dict(
        base | {name: require_finite(t, name, "perta") for name, t in found.items()}
    )


METHOD = Method(
    run,
    title="PerTA",
    reference="Per-parameter Task Arithmetic for Unlearning (arXiv 2601.22030, 2026)",
    options=Options,
)
