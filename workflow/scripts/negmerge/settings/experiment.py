"""Experiments: one scenario, base model, pool and list of methods inside a study.

What the scenarios share is here; `scenarios/*/settings.py` add their own.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping

from pydantic import ValidationError, model_validator

from negmerge.errors import UserError, find, unknown
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.counts import Counts, training_images
from negmerge.settings.durability import RELEARNED, Durability
from negmerge.settings.given import Given
from negmerge.settings.pool import update
from negmerge.settings.recipe import Recipe
from negmerge.settings.runs import Run, check_run
from negmerge.settings.used_methods import UsedMethods
from negmerge.settings.validation import explain


class Experiment(UsedMethods, ABC):
    """One scenario, base model, training mode, pool and list of methods."""

    @property
    @abstractmethod
    def base_place(self) -> str:
        """Where the weights before forgetting are: in the experiment's folder, or `{task}`'s."""

    @property
    def start_place(self) -> str:
        """Where fine-tuning starts, and what a task vector is the difference to: the base."""
        return self.base_place

    @property
    @abstractmethod
    def task_names(self) -> list[str]:
        """What is forgotten: a name each."""

    @property
    @abstractmethod
    def datasets(self) -> list[str]:
        """The data sets that the experiment needs."""

    @abstractmethod
    def job(self, task: str, known: Catalogue) -> dict:
        """What a job must know of the scenario; see `negmerge.scenarios`."""

    @abstractmethod
    def inputs(self, task: str, roles: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return a job's inputs by name.

        `images` or `questions` of a data set, or a `place` of the experiment.
        """

    @abstractmethod
    def image_counts(self, task: str, known: Catalogue) -> Counts:
        """Count the images of a task, by the rows of the data sets."""

    @abstractmethod
    def check_counts(self, where: str, task: str, known: Catalogue) -> Counts | None:
        """Count the images of a task, and check that there are enough of each."""

    @abstractmethod
    def check(self, where: str, known: Catalogue) -> None:
        """Check the names that stand for something in the catalogue."""

    def runs(self, task: str, known: Catalogue, counts: Counts | None) -> Iterator[Run]:
        """List the training runs of a task, with its images, where they can be counted."""
        images = training_images(counts, "forget")
        for point in () if self.pool.files else self.pool.changes:
            yield Run(f"finetune ({task}, point {point})", self.recipe(task, point), images)
        if self.durability and RELEARNED in self.durability.treatments:
            yield Run("durability.relearn", self.durability.relearn, images)

    def passes_to_score(self, counts: Counts, generation: float) -> float:
        """Count the forward passes that scoring a model takes, for estimates."""
        return sum(counts[role]["score"] for role in self.ROLES)

    def check_sizes(self, where: str, known: Catalogue) -> None:
        """Check that images suffice for all that uses them, and each run for its schedule."""
        for task in self.task_names:
            for run in self.runs(task, known, self.check_counts(where, task, known)):
                check_run(where, run)

    @property
    def selection_roles(self) -> tuple[str, ...]:
        """The roles of images by which candidates are chosen."""
        return self.ROLES

    def seed_for(self, level: str) -> int | None:
        """The seed of a level of randomness, if it has one of its own."""
        return None

    def recipe(self, task: str, point: str) -> Recipe:
        """The recipe of one point for one task."""
        change = find("point", point, {} if self.pool.files else self.pool.changes)
        changed = update(self.finetune.model_dump(), change)
        if isinstance(changed["epochs"], Mapping):
            changed["epochs"] = changed["epochs"][task]
        return self.RECIPE.model_validate(changed)

    def given_model(self, task: str, point: str) -> Given:
        """The model that is given for a point and task."""
        task = find("task", task, dict.fromkeys(self.task_names, task))
        return Given(file=self.pool.file(task, point), manual=self.pool.manual)

    @property
    def given_models(self) -> list[Given]:
        """All models that are given: the base, and the pool of each task."""
        pool = [(task, point) for task in self.task_names for point in self.pool.files]
        return [*filter(None, [self.base]), *(self.given_model(*one) for one in pool)]

    def weights(self, known: Catalogue) -> list[str]:
        """The records of weights of others that are fetched."""
        return [self.model]

    @property
    def given_base(self) -> Given:
        """The base that is given."""
        if self.base is None:
            raise UserError("the experiment has no `base` of others")
        return self.base

    @property
    def treatment(self) -> Durability:
        """What is done to unlearned models to see whether forgetting lasts."""
        if self.durability is None:
            raise UserError(
                "the experiment has no `durability`, so nothing is rounded or relearned"
            )
        return self.durability

    @model_validator(mode="after")
    def _consistent(self):
        try:
            self._check_methods()
            self._check_points()
            for rule in self.selection.rules:
                if rule not in self.RULES:
                    raise UserError(f"selection: {unknown('rule', rule, self.RULES)}")
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    def _check_points(self) -> None:
        if not self.pool.changes:
            raise UserError("pool: no points; give a grid, points or files")
        self.pool.check_files(self.task_names)
        for point in self.pool.changes:
            if methods.is_known(point):
                raise UserError(f"pool: a point must not have a method's name: {point!r}")
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
                    raise UserError(f"point {point!r}: {explain(error, self.RECIPE)}") from error
