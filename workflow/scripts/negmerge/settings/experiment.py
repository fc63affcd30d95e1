"""The settings of an experiment: what all scenarios share, and what each of them gives."""

import fnmatch
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt, PrivateAttr, ValidationError, model_validator

from negmerge.errors import UserError, find
from negmerge.seeds import repetition
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.checks import explain, require
from negmerge.settings.durability import Durability
from negmerge.settings.methods import Use
from negmerge.settings.models import Model
from negmerge.settings.pool import TASK, Given, Pool, update
from negmerge.settings.recipe import FileName, Finetune, Recipe, Settings, Training, advanced
from negmerge.settings.runs import Counts, Run, check_run, training_images
from negmerge.settings.selection import Coefficients, Selection
from negmerge.settings.uses import Uses


class Experiment(Uses, Settings, ABC):
    """One scenario, base model, training mode, pool and list of methods."""

    # The `scenarios.base.Scenario`: its roles, kinds of methods, criteria of choice and base;
    SCENARIO: ClassVar[Any]
    # what a point of the pool is fine-tuned by,
    RECIPE: ClassVar[type[Recipe]] = Recipe
    # files beside the base that fine-tuning leaves as they are, in the experiment's folder,
    UNTOUCHED: ClassVar[tuple[str, ...]] = ()
    # the folder of Retrain, in the task's,
    retrain_folder: ClassVar[str] = "trained"
    # patterns of the files in the experiment's folder that no seed decides,
    unseeded: ClassVar[tuple[str, ...]] = ()
    # whether negated models get batch statistics of their own; the settings of relearning, if any;
    # the features of the membership attack, if there is one: those that papers report, or all.
    re_estimates: ClassVar[bool] = False
    relearning: ClassVar[dict | None] = None
    attack_features: ClassVar[str | None] = None

    scenario: str = Field(description="What kind of model forgets.")
    model: str = Field(description="A row of config/models.yaml.")
    seed: int | None = advanced(None, ge=0, description="A seed in place of the study's.")
    seeds: PositiveInt = Field(
        1,
        description="How many times to run all of it, each time with other random numbers. Tables "
        "show the mean. The first run has the experiment's name, the second adds `.seed2` to it.",
    )
    freeze: Literal["attention", "nothing"] = advanced(
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
    eval_batch_size: PositiveInt = advanced(
        500, description="Images per forward pass without grad."
    )

    _first: str | None = PrivateAttr(None)  # the experiment that this one repeats

    # What each scenario has to give.

    @classmethod
    @abstractmethod
    def fits(cls, model: Model) -> bool:
        """Whether the scenario has such models."""

    @property
    @abstractmethod
    def task_names(self) -> list[str]:
        """What is forgotten: a name each."""

    @property
    @abstractmethod
    def datasets(self) -> list[str]:
        """The data sets that the experiment needs."""

    @property
    @abstractmethod
    def base_place(self) -> str:
        """Where the weights before forgetting are: in the experiment's folder, or `{task}`'s."""

    @abstractmethod
    def inputs(self, task: str, roles: Iterable[str]) -> dict[str, tuple[str, str]]:
        """A job's inputs: (`images` or `questions`, data set), or (`place`, in the experiment)."""

    @abstractmethod
    def image_counts(self, task: str, known: Catalogue) -> Counts:
        """Count the images of a task, by the rows of the data sets."""

    # What a scenario may give in place of this.

    def job(self, task: str, known: Catalogue) -> dict:
        return {
            "name": self.scenario,
            "roles": list(self.SCENARIO.roles),
            "model": known.models[self.model].contents(),
        }

    def scored(self, task: str) -> tuple[str, ...]:
        """The roles whose items a task's jobs read."""
        return self.SCENARIO.roles

    @property
    def selection_roles(self) -> tuple[str, ...]:
        """The roles of images by which candidates are chosen."""
        return self.SCENARIO.roles

    def check_counts(self, where: str, task: str, known: Catalogue) -> Counts | None:
        """Count the images of a task, and check that there are enough of each."""
        return self.image_counts(task, known)

    def passes_to_score(self, counts: Counts, known: Catalogue, generation: float) -> float:
        """Count the passes that scoring a model takes, with `generation` for a free answer."""
        return sum(counts[role]["score"] for role in self.SCENARIO.roles)

    @property
    def start_place(self) -> str:
        """Where fine-tuning starts, and what a task vector is the difference to: the base."""
        return self.base_place

    def start_of(self, point: str) -> str:
        """Where the fine-tuning of a point starts."""
        return self.start_place

    def training(self, trained: str) -> Training:
        """How a model is trained, and on what, in the scenarios whose base is trained here."""
        raise UserError(f"scenario {self.scenario}: no model {trained!r} is trained")

    def weights(self, known: Catalogue) -> list[str]:
        """The records of weights of others that are fetched."""
        return [self.model]

    def link(self, where: str, others: Mapping[str, "Experiment"]) -> None:
        """Look up the experiment of a study to which this one refers."""

    # The same experiment with other seeds.

    def repetitions(self, name: str) -> dict[str, "Experiment"]:
        """Return the experiment and those that repeat it with other seeds, by name."""
        seeds = self.seeds if isinstance(self.seeds, int) else 1
        repeated = {name: self}
        for number in range(2, seeds + 1):
            again = self.repeated(number)
            again._first = name
            repeated[repetition(name, number)] = again
        return repeated

    def repeated(self, number: int) -> "Experiment":
        """Return a copy for a further seed, with what would else be the same in both."""
        return self.model_copy(update={"seeds": 1})

    def home(self, name: str, place: str) -> str:
        """Name the experiment that makes a file: the first, where no seed decides what it holds."""
        is_shared = self._first and any(fnmatch.fnmatchcase(place, file) for file in self.unseeded)
        return self._first if is_shared else name

    # How it is chosen, and what is done then.

    @property
    def choices(self) -> list[dict[str, Any]]:
        return self.selection.choices(self.coefficients)

    @property
    def halved(self) -> dict[str, dict[str, str]]:
        """What records say of the choices that leave a half of what is scored, by their names."""
        return {choice["name"]: choice["view"] for choice in self.choices if choice["halves"]}

    @property
    def tried_coefficients(self) -> list[float]:
        return self.selection.tried(self.coefficients)

    @property
    def treatment(self) -> Durability:
        """What is done to unlearned models to see whether forgetting lasts."""
        if self.durability is None:
            raise UserError(
                "the experiment has no `durability`, so nothing is rounded or relearned"
            )
        return self.durability

    # The pool, trained here or given, and other models of others.

    @staticmethod
    def tuned_on(point: str) -> str:
        """The role that a point is fine-tuned on."""
        return "retain-sample" if point.startswith(methods.RETAIN_OF) else "forget"

    def recipe(self, task: str, point: str) -> Recipe:
        point = point.removeprefix(methods.RETAIN_OF)
        change = find("point", point, {} if self.pool.files else self.pool.changes)
        changed = update(self.finetune.model_dump(), change)
        if isinstance(changed["epochs"], Mapping):
            changed["epochs"] = changed["epochs"][task]
        return self.RECIPE.model_validate(changed)

    def given_model(self, task: str, point: str) -> Given:
        task = find("task", task, dict.fromkeys(self.task_names, task))
        return Given(file=self.pool.file(task, point), manual=self.pool.manual)

    @property
    def given_models(self) -> list[Given]:
        """All models that are given: the base, and the pool of each task."""
        pool = [(task, point) for task in self.task_names for point in self.pool.paths]
        return [*filter(None, [self.base]), *(self.given_model(*place) for place in pool)]

    @property
    def given_base(self) -> Given:
        if self.base is None:
            raise UserError("the experiment has no `base` of others")
        return self.base

    # Training runs.

    def runs(self, task: str, known: Catalogue, counts: Counts | None) -> Iterator[Run]:
        """List the training runs of a task, with its images, where they can be counted."""
        for name, use in self.methods.items():
            # A scenario that has methods of this kind has the key `unlearn`.
            if methods.kind(name) == "unlearn":
                yield from self._unlearning_runs(name, use, counts)
        added = filter(None, map(self.retain_point, self.methods))
        for point in () if self.pool.files else [*self.pool.changes, *dict.fromkeys(added)]:
            images = training_images(counts, self.tuned_on(point))
            yield Run(f"finetune ({task}, point {point})", self.recipe(task, point), images)
        if self.durability:
            yield from self.durability.runs(counts)

    def _unlearning_runs(self, name: str, use: Use, counts: Counts | None) -> Iterator[Run]:
        """List the runs of a method; one that reads both sets makes at most these steps."""
        for values in methods.combinations(use):
            options = methods.definition(name).check(name, values)
            epochs = getattr(options, "epochs", None)
            if epochs is not None:
                recipe = self.unlearn.model_copy(update={"epochs": epochs})
                grid = "".join(f", {option} {values[option]}" for option in use.grid)
                images = training_images(counts, *options.passes)
                yield Run(f"unlearn (methods.{name}{grid})", recipe, images)

    # Checks.

    def check(self, where: str, known: Catalogue) -> None:
        models = [name for name, row in known.models.items() if self.fits(row)]
        require(f"{where}.model", "model", [self.model], models)
        require(where, "data set", self.datasets, known.datasets)

    def check_sizes(self, where: str, known: Catalogue) -> None:
        """Check that images suffice for all that uses them, and each run for its schedule."""
        for task in self.task_names:
            for run in self.runs(task, known, self.check_counts(where, task, known)):
                check_run(where, run)

    def cautions(self, name: str, known: Catalogue) -> list[str]:
        """Say where so few items choose that one of them is worth more than may be lost."""
        role, lost = self.SCENARIO.roles[1], 1 - self.selection.keep
        lines = []
        for task in self.task_names:
            counts = self.check_counts(name, task, known) if lost else None
            items = counts[role]["select"] if counts else 0
            if 0 < items * lost < 1 - 1e-9:
                lines.append(
                    f"{name}/{task}: only {items} {role} {self.SCENARIO.items} choose, and one of "
                    f"them is worth {100 / items:.3g} %, more than the {100 * lost:.3g} % that may "
                    f"be lost; {math.ceil(1 / lost - 1e-9)} or more can tell."
                )
        return lines

    @model_validator(mode="after")
    def _consistent(self):
        try:
            self._check_methods()
            self._check_points()
            criteria = self.selection.criteria.values()
            require("selection", "criterion", criteria, self.SCENARIO.criteria)
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    def _check_points(self) -> None:
        for point, path in self.pool.paths.items():
            if len(self.task_names) > 1 and TASK not in path:
                raise UserError(
                    f"pool.files: {path} of {point!r} has no {TASK}, but there are "
                    f"{len(self.task_names)} tasks ({', '.join(self.task_names)}); expected "
                    "another model for each"
                )
        if not self.pool.files:
            self._check_recipes()

    def _check_recipes(self) -> None:
        if self.finetune is None:
            raise UserError("the key finetune is missing; only a pool of `files` needs none")
        epochs = self.finetune.epochs
        for task in self.task_names:
            if isinstance(epochs, Mapping) and task not in epochs:
                raise UserError(f"finetune.epochs: no number for task {task!r}")
            for point in self.pool.changes:
                try:
                    self.recipe(task, point)
                except ValidationError as error:
                    raise UserError(f"point {point!r}: {explain(error)}") from error
