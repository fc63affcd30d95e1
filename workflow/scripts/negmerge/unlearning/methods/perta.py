"""PerTA: subtract a task vector, more where a weight matters for what is to be forgotten only."""

from collections.abc import Iterable
from itertools import islice
from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from negmerge.checkpoints.states import State, require_finite
from negmerge.evaluation.accuracy import Batch, Loss, Objective
from negmerge.settings.recipe import NonNegative, Positive
from negmerge.unlearning.core import (
    Data,
    Loader,
    Method,
    TrainingOptions,
    fit_set,
    one_by_one,
    summed_gradients,
)


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
        return ("forget",)


def importances(model: nn.Module, items: Iterable[Batch], loss: Loss, kind: str) -> State:
    """Compute how much each weight matters for items, in evaluation mode.

    `fisher` is the mean of squared gradients: the diagonal of the empirical Fisher matrix;
    `gradient` is the magnitude of the mean gradient.
    """
    sums, count = summed_gradients(model, items, loss, squared=kind == "fisher")
    return {name: require_finite(t / count, name, "perta").abs() for name, t in sums.items()}


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Fine-tune on the forget set, and subtract the difference from the original, weight by weight.

    Unlearned = base - coefficient * w * (tuned - base), where a weight's share of the difference is
    w = F_forget / (F_forget + F_retain + epsilon), and F says how much it matters for a set; what
    is frozen stays. So do the statistics of batch normalisation, as in all negation.
    """

    def matters(part: Loader, objective: Objective) -> State:
        items = islice(one_by_one(part), options.samples)
        return importances(model, items, objective.loss(model, 0.0), options.importance)

    forget = matters(data.forget, data.objective)
    retain = matters(data.retain, data.retain_objective or data.objective)
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit_set(model, data, data.forget, data.loss(model))
    tuned, moved = dict(model.named_parameters()), {}
    for name, on_forget in forget.items():
        share = on_forget / (on_forget + retain[name] + options.epsilon)
        change = tuned[name].detach() - base[name]
        moved[name] = require_finite(
            base[name] - options.coefficient * share * change, name, "perta"
        )
    model.load_state_dict(base | moved)


METHOD = Method(
    run,
    title="PerTA",
    reference="Per-parameter Task Arithmetic for Unlearning (arXiv 2601.22030, 2026)",
    options=Options,
)
