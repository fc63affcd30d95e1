"""What is done to unlearned models to see whether what they forgot stays forgotten."""

from typing import Literal

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Augmentation, NonNegative, Positive, Recipe, Settings

# The model as it is, and taught again what it forgot.
AS_IS, RELEARNED = "as_is", "relearned"
ROUNDINGS = ("int8", "int4", "nf4")


class Relearning(Recipe):
    """How models are taught again; by default as OpenUnlearning does it with language models."""

    epochs: PositiveInt = Field(1, description="Passes over the training images.")
    batch_size: PositiveInt = Field(32, description="Images per forward pass.")
    learning_rate: Positive = Field(2e-5, description="Peak learning rate.")
    weight_decay: NonNegative = Field(0.0, description="Weight decay.")
    warmup_steps: int = Field(0, ge=0, description="Steps of linear warm-up.")
    schedule: Literal["cosine", "constant", "steps"] = Field(
        "constant", description="The rate after the warm-up."
    )
    augmentation: Augmentation = Field(
        Augmentation(crop_scale=None), description="Random image changes; none."
    )


class Durability(Settings):
    """What is done to each model on its own, before its scores are measured once more."""

    treatments: list[Literal[(*ROUNDINGS, RELEARNED)]] = Field(
        [*ROUNDINGS, RELEARNED],
        min_length=1,
        description="int8, int4, nf4: its weights are rounded to so many bits; relearned: it is "
        "taught again what it was to forget. Each starts from the model as it is.",
    )
    group_size: PositiveInt = Field(
        64,
        description="Neighbouring numbers of a weight's row that share the scale of rounding.",
    )
    relearn: Relearning = Field(
        Relearning(), description="The recipe of `relearned`, on all of the forget set."
    )
    images: PositiveInt | None = Field(
        None, description="At most this many images of each role are scored; null: all."
    )
