"""What studies write of an experiment, whatever its scenario."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from negmerge.settings.durability import Durability
from negmerge.settings.given import Given
from negmerge.settings.methods import Use
from negmerge.settings.pool import Pool
from negmerge.settings.recipe import FileName, Finetune, Recipe, Settings
from negmerge.settings.selection import Coefficients, Selection


class ExperimentKeys(Settings):
    """The keys that the scenarios share, and what a scenario fixes for all its experiments."""

    RULES: ClassVar[tuple[str, ...]]
    # What a point of the pool is fine-tuned by.
    RECIPE: ClassVar[type[Recipe]] = Recipe
    # The kinds of methods that the scenario has, and the method that leaves the base as it is.
    KINDS: ClassVar[tuple[str, ...]]
    UNCHANGED: ClassVar[str]
    # The roles that are scored: `forget`, then the one whose accuracy must be kept, then others.
    ROLES: ClassVar[tuple[str, ...]]
    # Files beside the base that fine-tuning leaves as they are, in the experiment's folder.
    UNTOUCHED: ClassVar[tuple[str, ...]] = ()
    # The folder of Retrain, in the task's.
    retrain_folder: ClassVar[str] = "trained"
    # Whether negated models get batch statistics of their own; the settings of relearning, if any;
    # the features of the membership attack, if there is one: those that papers report, or all.
    re_estimates: ClassVar[bool] = False
    relearning: ClassVar[dict | None] = None
    attack_features: ClassVar[str | None] = None

    scenario: str = Field(description="What kind of model forgets.")
    model: str = Field(description="A row of config/models.yaml.")
    seed: int | None = Field(None, ge=0, description="Instead of the study's seed.")
    freeze: Literal["attention", "nothing"] = Field(
        "nothing", description="What fine-tuning freezes."
    )
    base: Given | None = Field(
        None, description="A model of others that is to forget; null: the one of `model`."
    )
    finetune: Finetune | None = Field(
        None,
        description="The recipe that the points of the pool vary; needed without `pool.files`.",
    )
    pool: Pool = Field(description="The points.")
    methods: dict[FileName, Use] = Field(
        min_length=1, description="Unlearning methods by name, with their options."
    )
    coefficients: Coefficients = Field(Coefficients(), description="The grid of coefficients.")
    selection: Selection = Field(Selection(), description="How the coefficient is chosen.")
    durability: Durability | None = Field(
        None,
        description="Whether forgetting lasts, for tables of kind `durability` and figures of kind "
        "`survival`; null: not asked.",
    )
    eval_batch_size: PositiveInt = Field(500, description="Images per forward pass without grad.")
