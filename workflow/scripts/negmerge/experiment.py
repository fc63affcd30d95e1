"""Experiments: one scenario, base model, pool and list of methods inside a study."""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from pydantic import Field, PositiveInt, ValidationError, model_validator

from negmerge import plugins
from negmerge.catalogue import Prompts
from negmerge.errors import UserError, find, unknown
from negmerge.pool import Pool, update
from negmerge.recipe import Positive, Recipe, Settings, Share
from negmerge.yaml_files import explain

# Methods that merge nothing: the base itself, and the best single vector of the pool.
SINGLE_METHODS = ("pretrained", "task-arithmetic")
# The merge that measures images to know what to merge; so it is no file in `merging/methods/`.
GREEDY = "greedy"


class PretrainSource(Settings):
    """What one data set gives to pre-training."""

    part: Literal["pretrain", "train"] = Field(description="The part of the data set.")
    repeat: PositiveInt = Field(1, description="How often an epoch shows each of its images.")


class Pretrain(Settings):
    """How the workflow trains a base from scratch."""

    sources: dict[str, PretrainSource] = Field(min_length=1, description="Data sets by name.")
    recipe: Recipe = Field(description="The training settings.")


class Finetune(Recipe):
    """The recipe of fine-tuning, shared by all points of the pool."""

    epochs: PositiveInt | dict[str, PositiveInt] = Field(
        description="Passes over the forget set; or one number per task."
    )


class Coefficients(Settings):
    """The grid of coefficients; it starts at 0, which changes nothing."""

    step: Positive = Field(0.05, description="Distance of two coefficients.")
    stop: Positive = Field(1.0, description="The largest coefficient.")

    @model_validator(mode="after")
    def _whole(self):
        if abs(self.values[-1] - self.stop) > 1e-9:
            raise ValueError(f"stop is {self.stop}, which is no multiple of step, {self.step}")
        return self

    @cached_property
    def values(self) -> list[float]:
        """The coefficients, rounded to 10 places so that they print as they are meant."""
        count = round(self.stop / self.step)
        return [round(number * self.step, 10) for number in range(count + 1)]


class Selection(Settings):
    """How a coefficient is chosen; see `selection.select_coefficient`."""

    rule: Literal["control"] = Field(
        "control", description="Lowest forget accuracy that keeps the control accuracy."
    )
    keep: Share = Field(0.95, description="Share of the base's control accuracy to keep.")
    search: Literal["full", "exact-pruned"] = Field(
        "full",
        description="full: a sweep of every vector, which figures draw; exact-pruned: the same "
        "choice with fewer forward passes.",
    )


class Greedy(Settings):
    """The options of the method `greedy`; see `selection.greedy`."""

    strict: bool = Field(True, description="Only a lower forget accuracy keeps a vector.")
    research: bool = Field(
        True, description="Search the coefficient anew in each trial; else the first vector's."
    )


class Experiment(Settings):
    """One scenario, base model, training mode, pool and list of methods."""

    scenario: Literal["zero-shot"] = Field(description="What kind of model forgets.")
    model: str = Field(description="A row of config/models.yaml.")
    control: str = Field(description="The data set on which accuracy must be kept.")
    tasks: list[str] = Field(min_length=1, description="Data sets to forget, each on its own.")
    seed: int | None = Field(None, ge=0, description="Instead of the study's seed.")
    frozen: Literal["attention", "nothing"] = Field(
        "attention",
        description="What fine-tuning leaves alone in the image encoder; NegMerge's code freezes "
        "all attention projections.",
    )
    pretrain: Pretrain | None = Field(None, description="For models with `weights: pretrain`.")
    finetune: Finetune = Field(description="The recipe that the points of the pool vary.")
    pool: Pool = Field(description="The hyper-parameter points.")
    methods: dict[str, dict[str, bool | float | str]] = Field(
        min_length=1, description="Unlearning methods by name, with their options."
    )
    coefficients: Coefficients = Field(Coefficients(), description="The grid of coefficients.")
    selection: Selection = Field(Selection(), description="How the coefficient is chosen.")
    evaluation_batch: PositiveInt = Field(500, description="Images per forward pass without grad.")

    def recipe(self, task: str, point: str) -> Recipe:
        """The recipe of one point for one task."""
        change = find("point", point, self.pool.changes)
        changed = update(self.finetune.model_dump(), change)
        if isinstance(changed["epochs"], Mapping):
            changed["epochs"] = changed["epochs"][task]
        # Values filled into a pool's recipe are text: "1e-4" becomes a number here.
        return Recipe.model_validate(changed, strict=False)

    def datasets(self, task: str) -> dict[str, str]:
        """The data sets of a task by role.

        Raises:
            UserError: the experiment has no such task.
        """
        return {
            "forget": find("task", task, dict.fromkeys(self.tasks, task)),
            "control": self.control,
        }

    def candidates(self, method: str) -> list[str]:
        """The vectors among which a method chooses: points of the pool, or its merged vector.

        Raises:
            UserError: the experiment has no such method.
        """
        find("method", method, self.methods)
        if method == "pretrained":
            return []
        return list(self.pool.changes) if method == "task-arithmetic" else [method]

    def greedy_options(self) -> dict[str, bool]:
        """All options of the method `greedy`, with the defaults of those that are not given."""
        return Greedy.model_validate(self.methods.get(GREEDY, {})).model_dump()

    def pretraining(self, prompts: Mapping[str, Prompts]) -> dict | None:
        """What pre-training is made of, with the prompts of its data sets; None without one."""
        if self.pretrain is None:
            return None
        sources = [
            {"name": name, **source.model_dump(), **prompts[name].model_dump()}
            for name, source in self.pretrain.sources.items()
        ]
        return {"sources": sources, "recipe": self.pretrain.recipe.model_dump()}

    @model_validator(mode="after")
    def _consistent(self):
        if len({self.control, *self.tasks}) <= len(self.tasks):
            raise ValueError("control and tasks: each data set may stand there once")
        try:
            self._check_methods()
            self._check_points()
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    def _check_methods(self) -> None:
        merges = plugins.names(plugins.MERGE_METHODS)
        names = (*SINGLE_METHODS, GREEDY, *merges)
        for method, options in self.methods.items():
            find("method", method, dict.fromkeys(names))
            if method in merges and options:
                # Here, since a method's file imports torch, and most studies give no options.
                chosen = plugins.load(plugins.MERGE_METHODS, method).METHOD
                chosen.check(f"methods.{method}", options)
            for option in options if method in SINGLE_METHODS else ():
                raise UserError(f"methods.{method}: {unknown('option', option, ())}")
        try:
            self.greedy_options()
        except ValidationError as error:
            raise UserError(f"methods.{GREEDY}: {explain(error, Greedy)}") from error

    def _check_points(self) -> None:
        if not self.pool.changes:
            raise UserError("pool: no points; give a grid or points")
        epochs = self.finetune.epochs
        for task in self.tasks:
            if isinstance(epochs, Mapping) and task not in epochs:
                raise UserError(f"finetune.epochs: no number for task {task!r}")
            for point in self.pool.changes:
                if point in (*SINGLE_METHODS, GREEDY, *plugins.names(plugins.MERGE_METHODS)):
                    raise UserError(f"pool: a point must not have a method's name: {point!r}")
                try:
                    self.recipe(task, point)
                except ValidationError as error:
                    raise UserError(f"point {point!r}: {explain(error, Recipe)}") from error
