"""The settings of training runs: of the pool, of other models, and of relearning."""

import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

T = TypeVar("T", bound=BaseModel)

Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def file_name(name: str) -> str:
    """Return the name if the workflow can use it as a part of a path."""
    if not re.fullmatch(r"[\w.-]+", name):
        raise ValueError(
            f"{name!r} becomes a file's name: only letters, digits, '_', '.' and '-' may be in it"
        )
    if name[0] in ".-":
        raise ValueError(f"{name!r} becomes a file's name: it must not start with {name[0]!r}")
    return name


FileName = Annotated[str, AfterValidator(file_name)]


def ascending(pair: list[float]) -> list[float]:
    """Return a range if its ends are in order."""
    if pair[0] > pair[1]:
        raise ValueError(f"{pair}: the smaller end of a range comes first")
    return pair


Range = Annotated[list[Positive], Field(min_length=2, max_length=2), AfterValidator(ascending)]
ShareRange = Annotated[
    list[Annotated[float, Field(gt=0, le=1)]],
    Field(min_length=2, max_length=2),
    AfterValidator(ascending),
]


class Settings(BaseModel):
    """Settings that refuse unknown keys and wrong types, such as the text `1e-3`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and cls.model_config["extra"] == "forbid":
            valid = [field.alias or name for name, field in cls.model_fields.items()]
            for key in given:
                if isinstance(key, str) and key not in valid:
                    context = {"key": key, "valid": valid}
                    raise PydanticCustomError("unknown_key", "unknown key", context)
        return given


def advanced(default: Any, **field: Any) -> Any:
    """Make a field that docs/settings.md lists apart, for those who know that they need it."""
    return Field(default, json_schema_extra={"advanced": True}, **field)


class Augmentation(Settings):
    """How training images are changed at random."""

    randaugment: str | None = Field(
        None,
        pattern=r"^rand(-(m|n|p|mstd|mmax|inc|w)[0-9.]+)+$",
        description="RandAugment in timm's notation, e.g. rand-m5-n2-mstd0.5; null: none.",
    )
    crop_scale: ShareRange | None = Field(
        [0.9, 1.0],
        description="Least and largest share of the area that a random crop keeps. "
        "0.08 and 1 in NegMerge's code with RandAugment, 0.9 and 1 without. null: no resized crop.",
    )
    crop_ratio: Range = advanced([3 / 4, 4 / 3], description="Range of the crop's aspect ratio.")
    flip: Share = Field(
        0.0, description="Probability of a horizontal flip; 0.5 in NegMerge's code."
    )
    interpolation: Literal["bicubic", "bilinear", "random"] = advanced(
        "bicubic", description="How crops are resized; `random` takes bilinear or bicubic."
    )
    padding: int = advanced(
        0,
        ge=0,
        description="Black pixels around the image before a random crop of the model's size, for "
        "`crop_scale: null`; 4 in SalUn's code.",
    )

    @model_validator(mode="after")
    def _one_kind_of_crop(self):
        if self.crop_scale is None and self.randaugment is not None:
            raise ValueError("randaugment needs a crop_scale: with null, expected randaugment null")
        if self.crop_scale is not None and self.padding:
            raise ValueError(f"padding {self.padding} needs crop_scale null: one of the two crops")
        return self


class Recipe(Settings):
    """One training run: by default AdamW, with linear warm-up and then cosine decay to 0."""

    epochs: PositiveInt = Field(description="Passes over the training images.")
    batch_size: PositiveInt = Field(128, description="Images per forward pass.")
    grad_accum_steps: PositiveInt = advanced(
        1, description="Batches whose gradients make one step; 2 for ViT-L/14 in the paper."
    )
    grad_accum_reduction: Literal["mean", "sum"] = advanced(
        "mean",
        description="How their gradients are combined. mean: as in one batch of all "
        "their images; sum: they are added undivided, and clipped then, as in NegMerge's code.",
    )
    learning_rate: Positive = Field(1e-5, description="Peak learning rate.")
    weight_decay: NonNegative = Field(
        0.1, description="Weight decay: decoupled in AdamW, part of the gradient in SGD."
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw", description="AdamW as in NegMerge's code, or SGD as in SalUn's for classifiers."
    )
    momentum: Share = advanced(0.9, description="Momentum of SGD; 0.9 in SalUn's code.")
    nesterov: bool = advanced(False, description="Nesterov's momentum in SGD.")
    warmup_steps: int = Field(500, ge=0, description="Steps of linear warm-up.")
    schedule: Literal["cosine", "constant", "steps"] = Field(
        "cosine",
        description="The rate after the warm-up: cosine decay to 0, the peak, or the peak times "
        "`decay` for each of the `milestones` passed.",
    )
    milestones: list[PositiveInt] = advanced(
        [],
        description="Epochs after which `steps` lowers the rate; 91 and 136 in SalUn's code.",
    )
    decay: Positive = advanced(0.1, description="Factor of the rate at each milestone.")
    max_grad_norm: Positive | None = advanced(
        1.0, description="Largest gradient norm; null: no clipping."
    )
    label_smoothing: Share = advanced(0.0, description="Label smoothing of the cross-entropy.")
    fixed_order: bool = advanced(
        False,
        description="Show the images in one order, the same in every epoch and for all points, as "
        "NegMerge's code does; otherwise each epoch and point has its own order.",
    )
    augmentation: Augmentation = Field(Augmentation(), description="Random image changes.")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self):
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov is true, but momentum is 0: expected more than 0")
        return self


def with_defaults(model: type[T], name: str, about: str, **defaults: Any) -> type[T]:
    """Derive settings that differ from others in the defaults of some keys."""
    fields = {}
    for key, value in defaults.items():
        field = copy(model.model_fields[key])
        field.default = value
        fields[key] = (field.annotation, field)
    return create_model(name, __base__=model, __doc__=about, **fields)


class SharedRecipe(Settings):
    """What is alike in the recipes that the methods of a scenario share; before `Recipe` as a base.

    Epochs and rate are options of each method.
    """

    epochs: PositiveInt = Field(10, description="Overridden by the method's option.")
    warmup_steps: int = Field(0, ge=0, description="Steps of linear warm-up.")


class Finetune(Recipe):
    """The recipe of fine-tuning, shared by all points of the pool."""

    epochs: PositiveInt | dict[str, PositiveInt] = Field(
        description="Passes over the forget set; or one number per task."
    )


@dataclass(frozen=True)
class Training:
    """How a model is trained that is not fine-tuned."""

    recipe: Recipe  # the settings
    role: str  # of what it is trained on
    # Where the weights are that it starts from, in the experiment's folder; None: they are random,
    # or of others.
    start: str | None = None
