"""The settings of an experiment: what it is made of, how it chooses, and what methods use."""

import fnmatch
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, PositiveInt, PrivateAttr, ValidationError, model_validator

from negmerge.errors import UserError, find, unknown
from negmerge.seeds import repetition
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue, Counts, Model, training_images
from negmerge.settings.checks import Value, explain, require, to_three_digits
from negmerge.settings.methods import Drawn, Use
from negmerge.settings.pool import TASK, Given, Pool, update
from negmerge.settings.recipe import (
    RELEARNED,
    Durability,
    FileName,
    Finetune,
    Positive,
    Recipe,
    Settings,
    Share,
    Training,
    advanced,
)
from negmerge.settings.runs import Run, check_run

Criterion = Literal["control", "retain", "gap", "unlabelled"]


class Coefficients(Settings):
    """The grid of coefficients, in equal steps or by equal factors; 0 is always in it."""

    step: Positive = Field(0.05, description="Distance of two coefficients.")
    stop: Positive = Field(1.0, description="The largest coefficient.")
    first: Positive | None = Field(
        None,
        alias="from",
        description="The smallest coefficient above 0 of a logarithmic grid, which `from`, `to` "
        "and `per_decade` give in place of `step` and `stop`.",
    )
    to: Positive | None = Field(None, description="The largest coefficient of such a grid.")
    per_decade: Annotated[int, Field(ge=1, le=50)] | None = Field(
        None, description="How many coefficients are between one and ten times as much."
    )

    @model_validator(mode="after")
    def _one_form(self):
        form = {"from": self.first, "to": self.to, "per_decade": self.per_decade}
        given = {name for name, value in form.items() if value is not None}
        # All keys of a study that is written out are there, with their defaults.
        defaults = {name: type(self).model_fields[name].default for name in ("step", "stop")}
        given |= {name for name, value in defaults.items() if getattr(self, name) != value}
        if given.isdisjoint(form):
            if abs(self.values[-1] - self.stop) > 1e-9:
                raise ValueError(
                    f"stop is {self.stop}, which is not a multiple of step, {self.step}"
                )
        elif given != {*form}:
            raise ValueError(
                f"found {', '.join(sorted(given))}; expected `step` and `stop`, or `from`, `to` "
                "and `per_decade`"
            )
        elif self.first >= self.to:
            raise ValueError(f"from is {self.first}, expected less than to, {self.to}")
        return self

    @cached_property
    def values(self) -> list[float]:
        """The coefficients, rounded so that they print as they are meant."""
        if self.first is None:
            count = round(self.stop / self.step)
            return [round(number * self.step, 10) for number in range(count + 1)]
        # One that is less than half a factor below the last would only repeat it.
        count = math.ceil(self.per_decade * math.log10(self.to / self.first) - 0.5)
        between = (self.first * 10 ** (place / self.per_decade) for place in range(1, count))
        return [0.0, self.first, *map(to_three_digits, between), self.to]


class OtherChoice(Settings):
    """One more choice among the same candidates."""

    criterion: Criterion = Field(description="The criterion that chooses.")
    coefficients: Coefficients | None = Field(
        None, description="The grid of coefficients that it chooses among; null: the experiment's."
    )
    halvings: Annotated[int, Field(ge=0, le=6)] | None = Field(
        None,
        description="How many times to halve the distance for this choice; null: as often as for "
        "the main one.",
    )
    halves: bool = Field(
        False,
        description="For `gap`: choose on every second one of the images that choose, and score on "
        "the rest, so that nothing that chose is scored.",
    )


class Selection(Settings):
    """How a coefficient or a trained model is chosen; see `selection.choice`."""

    criterion: Criterion = Field(
        "control",
        description="control (zero-shot), retain (classifier): lowest forget accuracy that keeps "
        "the accuracy on the control or retain set; gap (classifier): smallest average gap to "
        "Retrain, which must be known for it; unlabelled (classifier): predictions that agree best "
        "among test images with alike features, without their labels.",
    )
    other_criteria: list[Criterion] = Field(
        [],
        description="More criteria that choose for each method, for columns of tables that name "
        "one of them.",
    )
    other_choices: dict[FileName, OtherChoice] = Field(
        {},
        description="Further choices by names of their own, with another grid or number of "
        "halvings, for columns of tables whose `criterion` is that name.",
    )
    keep: Share = advanced(0.95, description="Share of the base's accuracy to keep.")
    halvings: int = Field(
        0,
        ge=0,
        le=6,
        description="How many times, after the grid, to halve the distance of the choice to its "
        "neighbours, for each vector and each method that trains with a grid: the distance of "
        "coefficients, or the factor between those of a logarithmic grid and between the values of "
        "an option. Beyond the largest coefficient, if that is chosen, the distance doubles. 0 as "
        "in the released code.",
    )
    search: Literal["full", "exact-pruned"] = advanced(
        "full",
        description="full: a sweep of every vector, which figures draw; exact-pruned: the same "
        "choice with fewer forward passes.",
    )
    images: PositiveInt | None = Field(
        None,
        description="At most this many images of each role measure a coefficient; null: all.",
    )

    @property
    def criteria(self) -> dict[str, Criterion]:
        """All criteria by the names of what they choose, the main one first."""
        own = {name: name for name in (self.criterion, *self.other_criteria)}
        return own | {name: choice.criterion for name, choice in self.other_choices.items()}

    @property
    def is_compared(self) -> bool:
        """Whether a criterion compares with Retrain."""
        return "gap" in self.criteria.values()

    @property
    def reads_test_images(self) -> bool:
        """Whether a criterion chooses by test images, with their labels or without."""
        return self.is_compared or "unlabelled" in self.criteria.values()

    @property
    def halved(self) -> list[str]:
        """The choices that leave a half of what is scored unseen."""
        return [name for name, choice in self.other_choices.items() if choice.halves]

    @model_validator(mode="after")
    def _names_of_their_own(self):
        for name, choice in self.other_choices.items():
            if name in get_args(Criterion):
                raise ValueError(f"other_choices: {name!r} is a criterion; expected another name")
            if choice.halves and choice.criterion != "gap":
                raise ValueError(
                    f"other_choices.{name}: halves with the criterion {choice.criterion!r}; "
                    "expected `gap`"
                )
        return self


class RetainSelection(Selection):
    """How a coefficient or a model is chosen; without a criterion, it is `retain`."""

    criterion: Criterion = Field(
        "retain", description=Selection.model_fields["criterion"].description
    )


class Experiment(Settings, ABC):
    """One scenario, base model, training mode, pool and list of methods."""

    # The `scenarios.base.Scenario`: its roles, kinds of methods, criteria of choice and base;
    SCENARIO: ClassVar[Any]
    # what a point of the pool is fine-tuned by,
    RECIPE: ClassVar[type[Recipe]] = Recipe
    # files beside the base that fine-tuning leaves as they are, in the experiment's folder,
    UNTOUCHED: ClassVar[tuple[str, ...]] = ()
    # the folder of Retrain, in the task's,
    retrain_folder: ClassVar[str] = "trained"
    # whether negated models get batch statistics of their own; the settings of relearning, if any;
    # the features of the membership attack, if there is one: those that papers report, or all.
    re_estimates: ClassVar[bool] = False
    # patterns of the files in the experiment's folder that no seed decides,
    unseeded: ClassVar[tuple[str, ...]] = ()
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

    def link(self, where: str, others: Mapping[str, "Experiment"]) -> None:
        """Look up the experiment of a study to which this one refers."""

    def scored(self, task: str) -> tuple[str, ...]:
        """The roles whose items a task's jobs read."""
        return self.SCENARIO.roles

    def home(self, name: str, place: str) -> str:
        """Name the experiment that makes a file: the first, where no seed decides what it holds."""
        is_shared = self._first and any(fnmatch.fnmatchcase(place, file) for file in self.unseeded)
        return self._first if is_shared else name

    def use(self, method: str) -> Use:
        """Return the use of a method, also by the name of one of its vectors."""
        return find("method", method.split(".")[0], self.methods)

    def merge_options(self, vector: str) -> dict[str, Value]:
        """Return the options by which a merged vector is made."""
        method = vector.split(".")[0]
        return find("vector", vector, methods.merged(method, self.use(method)))

    def searched_options(self, method: str) -> dict[str, dict[str, Value]]:
        """Return the options that a merge searches, by the names of its vectors."""
        use = self.use(method)
        if methods.kind(method) != "merge":
            return {}
        named = methods.merged(method, use)
        return {name: {key: options[key] for key in use.grid} for name, options in named.items()}

    def about(self, method: str) -> dict[str, object]:
        """What records say of a method, whatever is chosen for it."""
        return self.about_choice(method) | {"models": len(self.points(method))}

    def about_choice(self, method: str) -> dict[str, object]:
        """The part of `about` without the pool, which says nothing of a method that trains."""
        return {
            "kind": methods.kind(method),
            "searched": self.is_searched(method),
            "keep": self.selection.keep,
        }

    def points(self, method: str) -> list[str]:
        """The points whose vectors a method merges, or chooses from, sorted by name."""
        chosen = self.use(method).points
        if isinstance(chosen, Drawn):
            return chosen.of(list(self.pool.changes))
        patterns = chosen or ["*"]
        return [
            point
            for point in self.pool.changes
            if any(fnmatch.fnmatchcase(point, pattern) for pattern in patterns)
        ]

    def retain_point(self, method: str) -> str | None:
        """The point of what a method adds: a sample to retain, by the first recipe of `along`."""
        use = self.use(method)
        is_added = methods.base_name(method) == methods.MSA
        return methods.RETAIN_OF + self.points(use.along)[0] if is_added else None

    def single(self, method: str) -> str | None:
        """The use of task-arithmetic that chooses the vector that a method masks, or is itself."""
        self.use(method)
        if methods.kind(method) == "single":
            return method
        if methods.base_name(method) != methods.MASKED:
            return None
        uses = [use for use in self.methods if methods.kind(use) == "single"]
        for use in uses:
            if self.points(use) == self.points(method):
                return use
        raise UserError(
            f"methods.{method}: it masks what {methods.SINGLE} chose of the same points, but no "
            f"{methods.SINGLE} chooses among {', '.join(self.points(method))}"
        )

    def candidates(self, method: str) -> list[str]:
        """What a method chooses among: points, merged vectors, or what its job has trained."""
        self.use(method)
        kind = methods.kind(method)
        if kind == "base":
            return []
        if kind == "merge":
            return list(self.searched_options(method))
        return self.points(method) if kind == "single" else [method]

    def data_used(self, method: str) -> str | None:
        """Which images a method itself reads; None if only its file says it."""
        self.use(method)
        by_kind = {"base": "-", "retrain": "retain", "unlearn": None}
        return by_kind.get(methods.kind(method), "forget")

    def is_searched(self, method: str) -> bool:
        """Whether there are several things to choose among: coefficients, vectors or options."""
        grid = self.use(method).grid
        return methods.kind(method) in methods.CHOSEN or bool(grid)

    def is_pruned(self, method: str) -> bool:
        """Whether a search takes the place of sweeps, which `gap` and `unlabelled` need."""
        search = self.use(method).search or self.selection.search
        is_asked = search == "exact-pruned" and methods.kind(method) in methods.CHOSEN
        return is_asked and not self.selection.reads_test_images

    @property
    def choices(self) -> list[dict[str, Any]]:
        """What chooses, by its name: the criterion, its grid, and what records say of it."""
        choices = []
        for name, criterion in self.selection.criteria.items():
            other = self.selection.other_choices.get(name)
            grid, halvings, view = self.coefficients.values, self.selection.halvings, {}
            if other:
                grid = other.coefficients.values if other.coefficients else grid
                halvings = halvings if other.halvings is None else other.halvings
                among = f"`{criterion}` among {len(grid)} coefficients from 0 to {grid[-1]:g}"
                among += f" with {halvings} halvings"
                if other.halves:
                    among += ", on every other image that chooses and scored on all the others"
                view = {"by": criterion, "among": among}
            # Without others all choose among all that are tried.
            own = grid if self.selection.other_choices else []
            choice = {"name": name, "by": criterion, "coefficients": own, "halvings": halvings}
            choice["halves"] = name in self.selection.halved
            choices.append(choice | {"view": view})
        return choices

    @property
    def halved(self) -> dict[str, dict[str, str]]:
        """What records say of the choices that leave a half of what is scored, by their names."""
        return {choice["name"]: choice["view"] for choice in self.choices if choice["halves"]}

    @property
    def tried_coefficients(self) -> list[float]:
        """The coefficients of the grids of all choices."""
        others = self.selection.other_choices.values()
        grids = [self.coefficients, *(other.coefficients for other in others)]
        return sorted({value for grid in filter(None, grids) for value in grid.values})

    @property
    @abstractmethod
    def base_place(self) -> str:
        """Where the weights before forgetting are: in the experiment's folder, or `{task}`'s."""

    @property
    def start_place(self) -> str:
        """Where fine-tuning starts, and what a task vector is the difference to: the base."""
        return self.base_place

    def start_of(self, point: str) -> str:
        """Where the fine-tuning of a point starts."""
        return self.start_place

    @staticmethod
    def tuned_on(point: str) -> str:
        """The role that a point is fine-tuned on."""
        return "retain-sample" if point.startswith(methods.RETAIN_OF) else "forget"

    @property
    @abstractmethod
    def task_names(self) -> list[str]:
        """What is forgotten: a name each."""

    @property
    @abstractmethod
    def datasets(self) -> list[str]:
        """The data sets that the experiment needs."""

    @classmethod
    @abstractmethod
    def fits(cls, model: Model) -> bool:
        """Whether the scenario has such models."""

    def training(self, trained: str) -> Training:
        """How a model is trained, and on what, in the scenarios whose base is trained here."""
        raise UserError(f"scenario {self.scenario}: no model {trained!r} is trained")

    def job(self, task: str, known: Catalogue) -> dict:
        return {
            "name": self.scenario,
            "roles": list(self.SCENARIO.roles),
            "model": known.models[self.model].contents(),
        }

    @abstractmethod
    def inputs(self, task: str, roles: Iterable[str]) -> dict[str, tuple[str, str]]:
        """A job's inputs: (`images` or `questions`, data set), or (`place`, in the experiment)."""

    @abstractmethod
    def image_counts(self, task: str, known: Catalogue) -> Counts:
        """Count the images of a task, by the rows of the data sets."""

    def check_counts(self, where: str, task: str, known: Catalogue) -> Counts | None:
        """Count the images of a task, and check that there are enough of each."""
        return self.image_counts(task, known)

    def check(self, where: str, known: Catalogue) -> None:
        models = [name for name, row in known.models.items() if self.fits(row)]
        require(f"{where}.model", "model", [self.model], models)
        require(where, "data set", self.datasets, known.datasets)

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
        for name, taught in (self.durability.taught if self.durability else {}).items():
            counted = training_images(counts, taught.role)
            if taught.items and counted:
                counted = (min(taught.items, *counted),)
            where = "durability.relearn" + (f" ({name})" if name != RELEARNED else "")
            yield Run(where, self.durability.recipe(name), counted)

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

    def passes_to_score(self, counts: Counts, known: Catalogue, generation: float) -> float:
        """Count the passes that scoring a model takes, with `generation` for a free answer."""
        return sum(counts[role]["score"] for role in self.SCENARIO.roles)

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

    @property
    def selection_roles(self) -> tuple[str, ...]:
        """The roles of images by which candidates are chosen."""
        return self.SCENARIO.roles

    def seed_for(self, level: str) -> int | None:
        return None

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

    def weights(self, known: Catalogue) -> list[str]:
        """The records of weights of others that are fetched."""
        return [self.model]

    @property
    def given_base(self) -> Given:
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
            for criterion in self.selection.criteria.values():
                if criterion not in self.SCENARIO.criteria:
                    raise UserError(
                        f"selection: {unknown('criterion', criterion, self.SCENARIO.criteria)}"
                    )
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    def _check_methods(self) -> None:
        foreign = set(methods.BASES) - {self.SCENARIO.base}
        valid = [
            name
            for name, kind in methods.known().items()
            if kind in self.SCENARIO.kinds and name not in foreign
        ]
        for name, use in self.methods.items():
            if not methods.is_known(name) or methods.base_name(name) not in valid:
                serving = [method for method in valid if methods.serves(method, self.scenario)]
                raise UserError(f"{self.scenario}: {unknown('method', name, serving)}")
            methods.check(name, use)
            for pattern in () if isinstance(use.points, Drawn) else use.points:
                if not fnmatch.filter(self.pool.changes, pattern):
                    points = unknown("point", pattern, self.pool.changes)
                    raise UserError(f"methods.{name}.points: {points}")
            if use.along not in (None, methods.POOL):
                vectors = [n for n in self.methods if methods.kind(n) in methods.CHOSEN]
                if use.along not in vectors:
                    raise UserError(
                        f"methods.{name}.along: {unknown('method', use.along, vectors)}"
                    )
            self.points(name)
            self.single(name)

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
