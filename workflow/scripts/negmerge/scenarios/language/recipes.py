"""How language models are trained and fine-tuned, as studies write it."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from negmerge.settings.recipe import (
    Finetune,
    Positive,
    Recipe,
    Settings,
    SharedRecipe,
    advanced,
    with_defaults,
)

TextRecipe = with_defaults(
    Recipe,
    "TextRecipe",
    "A recipe whose defaults are those of a small language model that is trained from scratch.",
    batch_size=64,
    learning_rate=2e-3,
    weight_decay=0.01,
    warmup_steps=50,
)


class Lora(Settings):
    """A low-rank adapter (Hu et al., 2022), by PEFT."""

    rank: PositiveInt = Field(8, description="Rank; 8 in TOFU's code.")
    alpha: Positive = advanced(
        32, description="The adapter's change is multiplied by alpha / rank; 32 in TOFU's code."
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = advanced(
        0.0, description="Dropout of the adapter's input; 0.05 in TOFU's code."
    )
    modules: list[str] = advanced(
        ["all-linear"],
        min_length=1,
        description="Names of the layers that get an adapter; all-linear: all but the head.",
    )
    same_start: bool = advanced(
        True,
        description="Begin with the same random factors in all points of a task, so that the signs "
        "of their changes can agree; false: each point has its own.",
    )


class TunedRecipe(Recipe):
    """How a point of the pool is fine-tuned."""

    lora: Lora | None = Field(
        None,
        description="Train an adapter, which is added to the weights in the end; null: train all "
        "weights.",
    )
    layers: PositiveInt | None = Field(
        None,
        description="Train only so many of the last blocks of the transformer; null: the whole "
        "model.",
    )
    start: Literal["original", "before"] | None = Field(
        None, description="Where the point starts, instead of the experiment's `vector`."
    )

    @model_validator(mode="after")
    def _one_part(self):
        if self.lora and self.layers:
            raise ValueError("both `lora` and `layers`; expected one of them, or none")
        return self


class TextPoint(Finetune, TunedRecipe):
    """The keys of fine-tuning a language model."""


class TextShared(SharedRecipe, TextRecipe):
    """The keys of methods that train a language model."""


TextFinetune = with_defaults(
    TextPoint,
    "TextFinetune",
    "How the pool is fine-tuned.",
    batch_size=16,
    learning_rate=2e-4,
    weight_decay=0.01,
    warmup_steps=0,
)
TextUnlearn = with_defaults(
    TextShared,
    "TextUnlearn",
    "What all methods that train share.",
    batch_size=16,
    schedule="constant",
)
