"""What is done to unlearned models to see whether forgetting lasts."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from negmerge.settings.recipe import (
    Augmentation,
    FileName,
    Recipe,
    Settings,
    advanced,
    with_defaults,
)
from negmerge.settings.runs import Counts, Run, training_images

# The model as it is, and taught again what it forgot.
AS_IS, RELEARNED = "as_is", "relearned"
ROUNDINGS = ("int8", "int4", "nf4")


Relearning = with_defaults(
    Recipe,
    "Relearning",
    "How models are taught again; by default as OpenUnlearning does it with language models.",
    epochs=1,
    batch_size=32,
    learning_rate=2e-5,
    weight_decay=0.0,
    warmup_steps=0,
    schedule="constant",
    augmentation=Augmentation(crop_scale=None),
)


class RelearnedFrom(Settings):
    """What a model is taught again."""

    role: str = Field("forget", description="The role whose items are taught, such as `forget`.")
    items: PositiveInt | None = Field(
        None,
        description="How many items are taught, evenly spread; if they are to be forgotten, the "
        "others are scored. null: all.",
    )
    epochs: PositiveInt | None = Field(None, description="Epochs in place of those of `relearn`.")


class Durability(Settings):
    """What is done to each model on its own, before its scores are measured once more."""

    treatments: list[Literal[(*ROUNDINGS, RELEARNED)]] = Field(
        [*ROUNDINGS, RELEARNED],
        min_length=1,
        description="What happens to a model: int8, int4 and nf4 round its weights to so many bits,"
        " and relearned teaches it again what it was to forget. Each starts from the "
        "model as it is.",
    )
    group_size: PositiveInt = advanced(
        64,
        description="Neighbouring numbers of a weight's row that share the scale of rounding.",
    )
    relearn: Relearning = advanced(Relearning(), description="The recipe of `relearned`.")
    relearn_from: dict[FileName, RelearnedFrom] = advanced(
        {},
        description="What `relearned` teaches, by name; each starts from the model as it is. If "
        "none is given, it is the whole forget set.",
    )
    images: PositiveInt | None = Field(
        None, description="At most this many images of each role are scored; null: all."
    )

    @property
    def taught(self) -> dict[str, RelearnedFrom]:
        """What models are taught again, by name; nothing where no treatment does it."""
        if RELEARNED not in self.treatments:
            return {}
        return self.relearn_from or {RELEARNED: RelearnedFrom()}

    @property
    def all_treatments(self) -> list[str]:
        """The treatments by name, in order, with each relearning by its own."""
        names = [[*self.taught] if name == RELEARNED else [name] for name in self.treatments]
        return [name for group in names for name in group]

    def recipe(self, name: str) -> Relearning:
        """The recipe of a relearning."""
        epochs = self.taught[name].epochs
        return self.relearn.model_copy(update={"epochs": epochs}) if epochs else self.relearn

    def runs(self, counts: Counts | None) -> Iterator[Run]:
        """List the training runs of a model, with its images, where they can be counted."""
        for name, taught in self.taught.items():
            images = training_images(counts, taught.role)
            if taught.items and images:
                images = (min(taught.items, *images),)
            where = "durability.relearn" + (f" ({name})" if name != RELEARNED else "")
            yield Run(where, self.recipe(name), images)

    @model_validator(mode="after")
    def _names(self):
        for name in self.relearn_from:
            if name in (AS_IS, *ROUNDINGS):
                raise ValueError(f"relearn_from: {name!r} is a treatment's name; expected another")
        return self
