"""Studies: typed, validated views of the files in `config/studies/`."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, PrivateAttr, ValidationError, model_validator

from negmerge import plugins
from negmerge.catalogue import Catalogue, Prompts, load_catalogue
from negmerge.errors import UserError, find, unknown
from negmerge.exhibits import Figure, Table
from negmerge.pool import Pool, update
from negmerge.recipe import FileName, Positive, Recipe, Settings, Share
from negmerge.yaml_files import explain, read_yaml

# Methods that merge nothing: the base itself, and the best single vector of the pool.
SINGLE_METHODS = ("pretrained", "task-arithmetic")


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
    methods: dict[str, dict[str, float]] = Field(
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
        names = (*SINGLE_METHODS, *plugins.names(plugins.MERGE_METHODS))
        for method in self.methods:
            if method not in names:
                raise ValueError(unknown("method", method, names))
        try:
            points = self.pool.changes
        except UserError as error:
            raise ValueError(f"pool.{error}") from error
        if not points:
            raise ValueError("pool: no points; give a grid or points")
        for point in points:
            if point in names:
                raise ValueError(f"pool: a point must not have a method's name: {point!r}")
        epochs = self.finetune.epochs
        for task in self.tasks:
            if isinstance(epochs, Mapping) and task not in epochs:
                raise ValueError(f"finetune.epochs: no number for task {task!r}")
            for point in points:
                try:
                    self.recipe(task, point)
                except ValidationError as error:
                    raise ValueError(f"point {point!r}: {explain(error, Recipe)}") from error
        return self


class Study(Settings):
    """A study file: experiments, and the tables and figures made from them."""

    title: str = Field(description="What the study is about, in one line.")
    seed: int = Field(0, ge=0, description="All random numbers of the study derive from it.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where models are computed.")
    experiments: dict[FileName, Experiment] = Field(min_length=1, description="By name.")
    tables: dict[FileName, Table] = Field({}, description="By file name.")
    figures: dict[FileName, Figure] = Field({}, description="By file name.")

    _catalogue: Catalogue = PrivateAttr()

    @property
    def catalogue(self) -> Catalogue:
        """The data sets, models and prompts that the study may name."""
        return self._catalogue

    @property
    def datasets(self) -> list[str]:
        """The data sets that the study needs, sorted."""
        found = set()
        for experiment in self.experiments.values():
            found |= {experiment.control, *experiment.tasks}
            found |= set(experiment.pretrain.sources if experiment.pretrain else ())
        return sorted(found)

    def seed_of(self, experiment: str) -> int:
        """The seed from which the jobs of an experiment derive theirs."""
        own = self.experiments[experiment].seed
        return self.seed if own is None else own


def load_study(folder: str | Path, name: str) -> Study:
    """Read and check a study.

    Args:
        folder: the configuration folder.
        name: the study's name: that of its file, without `.yaml`.

    Raises:
        UserError: no such study, or what is wrong in it or in the rows it refers to; in one line.
    """
    folder = Path(folder)
    path = folder / "studies" / f"{name}.yaml"
    if not path.is_file():
        known = [file.stem for file in (folder / "studies").glob("*.yaml")]
        raise UserError(f"{path}: {unknown('study', name, known)}")
    study = read_yaml(path, Study)
    study._catalogue = load_catalogue(folder)
    try:
        _check_references(study)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return study


def _check_references(study: Study) -> None:
    """Check every name in a study that stands for something elsewhere."""
    known = study.catalogue
    for name, experiment in study.experiments.items():
        where = f"experiments.{name}"
        _require(f"{where}.model", "model", [experiment.model], known.models)
        sources = experiment.pretrain.sources if experiment.pretrain else []
        epochs = experiment.finetune.epochs
        per_task = epochs if isinstance(epochs, Mapping) else []
        datasets = [experiment.control, *experiment.tasks, *sources, *per_task]
        _require(where, "data set", datasets, known.datasets)
        if (known.models[experiment.model].weights == "pretrain") != bool(experiment.pretrain):
            raise ValueError(
                f"{where}: `pretrain` goes with a model of `weights: pretrain`, and only with it"
            )
    for name, table in study.tables.items():
        for column in table.columns:
            where = f"tables.{name}.columns.{column.label}"
            _check_shown(study, where, column.experiments, table.rows)
            for experiment in column.experiments:
                _require(where, "task", column.tasks, study.experiments[experiment].tasks)
        merges = {row: label for row, label in table.rows.items() if row not in SINGLE_METHODS}
        if table.kind == "sparsity" and len(merges) < len(table.rows):
            raise ValueError(f"tables.{name}.rows: only merged vectors have a sparsity")
    for name, figure in study.figures.items():
        _check_shown(study, f"figures.{name}", figure.experiments, figure.methods)


def _check_shown(study: Study, where: str, experiments: list[str], methods: Mapping) -> None:
    """Check that experiments exist and have the methods that a table or figure shows."""
    _require(where, "experiment", experiments, study.experiments)
    for experiment in experiments:
        _require(where, "method", methods, study.experiments[experiment].methods)


def _require(where: str, what: str, names, valid) -> None:
    for name in names:
        if name not in valid:
            raise ValueError(f"{where}: {unknown(what, name, valid)}")
