"""The options of PerTA."""

from typing import Literal

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.settings.unlearning import TrainingOptions


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
