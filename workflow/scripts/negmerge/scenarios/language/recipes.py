"""How language models are trained, by default as suits small ones."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Finetune, NonNegative, Positive, Recipe, Settings, SharedRecipe


class TextRecipe(Recipe):
    """A recipe whose defaults are those of a small language model that is trained from scratch."""

    batch_size: PositiveInt = Field(64, description="Questions per forward pass.")
    learning_rate: Positive = Field(2e-3, description="Peak learning rate.")
    weight_decay: NonNegative = Field(0.01, description="Weight decay.")
    warmup_steps: int = Field(50, ge=0, description="Steps of linear warm-up.")


class Lora(Settings):
    """A low-rank adapter (Hu et al., 2022), by PEFT."""

    rank: PositiveInt = Field(8, description="Rank; 8 in TOFU's code.")
    alpha: Positive = Field(
        32, description="The adapter's change is multiplied by alpha / rank; 32 in TOFU's code."
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Dropout of the adapter's input; 0.05 in TOFU's code."
    )
    modules: list[str] = Field(
        ["all-linear"],
        min_length=1,
        description="Names of the layers that have one; all-linear: all but the head.",
    )


class TunedRecipe(Recipe):
    """How a point of the pool is fine-tuned."""

    lora: Lora | None = Field(
        None,
        description="Train an adapter, which is added to the weights in the end; null: train all "
        "weights.",
    )


class TextFinetune(Finetune, TunedRecipe):
    """How the pool is fine-tuned."""

    batch_size: PositiveInt = Field(16, description="Questions per forward pass.")
    learning_rate: Positive = Field(2e-4, description="Peak learning rate.")
    weight_decay: NonNegative = Field(0.01, description="Weight decay.")
    warmup_steps: int = Field(0, ge=0, description="Steps of linear warm-up.")


class TextUnlearn(SharedRecipe, TextRecipe):
    """What all methods that train share."""

    batch_size: PositiveInt = Field(16, description="Questions per forward pass.")
    schedule: Literal["cosine", "constant", "steps"] = Field(
        "constant", description="The rate after the warm-up."
    )
