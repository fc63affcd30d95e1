"""Studies: typed, validated views of the files in `config/studies/`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from negmerge.errors import UserError
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue, load_catalogue
from negmerge.settings.classifier import Classifier
from negmerge.settings.compute import Compute
from negmerge.settings.exhibits import Figure, Table
from negmerge.settings.experiment import require
from negmerge.settings.extends import Extension, read_study
from negmerge.settings.recipe import FileName
from negmerge.settings.runs import check_sizes
from negmerge.settings.zero_shot import ZeroShot

# Folders of a study's results, beside those of its experiments.
RESERVED = ("benchmarks", "figures", "logs", "provenance", "tables")

Experiment = Annotated[ZeroShot | Classifier, Field(discriminator="scenario")]


class Study(Extension):
    """A study file: experiments, and the tables and figures made from them."""

    title: str = Field(description="What the study is about, in one line.")
    seed: int = Field(0, ge=0, description="All random numbers of the study derive from it.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where models are computed.")
    compute: Compute = Field(Compute(), description="How exactly and how fast.")
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
        return sorted({name for one in self.experiments.values() for name in one.datasets})

    def seed_of(self, experiment: str, level: str = "") -> int:
        """The seed from which an experiment's jobs derive theirs, by level of randomness."""
        chosen = self.experiments[experiment]
        seeds = (chosen.seed_for(level), chosen.seed, self.seed)
        return next(seed for seed in seeds if seed is not None)


def load_study(folder: str | Path, name: str, *, options: bool = True) -> Study:
    """Read and check a study.

    Args:
        folder: the configuration folder.
        name: the study's name: that of its file, without `.yaml`.
        options: whether to check the options of methods, too, for which torch is loaded, and
            whether images suffice.

    Raises:
        UserError: no such study, or what is wrong in it or in the rows it refers to; in one line.
    """
    folder = Path(folder)
    _, study = read_study(folder / "studies", name, Study)
    study._catalogue = load_catalogue(folder)
    try:
        if options:
            _check_options(study)
        _check_references(study)
        if options:
            _check_sizes(study)
    except (ValueError, UserError) as error:
        raise UserError(f"{folder / 'studies' / name}.yaml: {error}") from error
    return study


def _check_options(study: Study) -> None:
    """Check the options of all methods."""
    for name, experiment in study.experiments.items():
        for method, use in experiment.methods.items():
            methods.check_options(f"experiments.{name}: methods.{method}", method, use)


def _check_sizes(study: Study) -> None:
    """Check that no job can lack images, and that each training does what its schedule says."""
    for name, experiment in study.experiments.items():
        check_sizes(f"experiments.{name}", experiment, study.catalogue)


def _check_references(study: Study) -> None:
    """Check every name in a study that stands for something elsewhere."""
    for name, experiment in study.experiments.items():
        where = f"experiments.{name}"
        if name in RESERVED:
            raise ValueError(f"{where}: this is the name of a folder of the study's")
        experiment.check(where, study.catalogue)
    for name, table in study.tables.items():
        _check_table(study, f"tables.{name}", table)
    for name, figure in study.figures.items():
        where = f"figures.{name}"
        require(where, "experiment", figure.experiments, study.experiments)
        for name in figure.experiments:
            _require_scenario(where, name, study.experiments[name], figure)
            require(where, "method", figure.methods, study.experiments[name].rules)
            require(where, "task", figure.tasks, study.experiments[name].task_names)
            _check_own_data(where, name, study.experiments[name], figure)


def _check_own_data(where: str, name: str, experiment: Experiment, figure: Figure) -> None:
    """Check that an experiment has what a figure of kind gradcam or signs is made of."""
    if figure.kind == "gradcam" and getattr(experiment, "mode", "standard") == "linear":
        raise ValueError(
            f"{where}: {name!r} is of mode linear, whose logits are not made of the activations "
            "that Grad-CAM weighs; expected mode standard"
        )
    if figure.kind == "signs":
        _check_same_points(where, name, experiment, list(figure.methods))


def _check_same_points(where: str, name: str, experiment: Experiment, shown: list[str]) -> None:
    """Check that methods take the vectors of the same points, so that they can be compared."""
    first, *others = shown
    for method in others:
        if experiment.points(method) != experiment.points(first):
            raise ValueError(
                f"{where}: {method!r} merges other points of {name!r} than {first!r}; expected "
                "merges of the same points"
            )


def _check_table(study: Study, where: str, table: Table) -> None:
    """Check that what the columns of a table show is there, and fits its kind."""
    for column in table.columns:
        place = f"{where}.columns.{column.label}"
        require(place, "experiment", column.experiments, study.experiments)
        first = study.experiments[column.experiments[0]]
        for name in column.experiments:
            experiment = study.experiments[name]
            _require_scenario(place, name, experiment, table)
            require(place, "task", column.tasks, experiment.task_names)
            rules = (experiment.selection.rule, *experiment.selection.other_rules)
            require(place, "rule", [column.rule] if column.rule is not None else [], rules)
            shown = [column.method(row, experiment.rules) for row in table.rows]
            require(place, "method", shown, experiment.rules)
            other = experiment.coefficients.values != first.coefficients.values
            if table.kind == "sweep" and other:
                raise ValueError(f"{place}: {name!r} has other coefficients than those before it")
            if table.kind == "mask":
                _check_same_points(place, name, experiment, list(table.rows))
                if experiment.scenario == "classifier":
                    require(place, "method", [methods.RETRAIN], experiment.rules)


def _require_scenario(where: str, name: str, experiment: Experiment, shown: Table | Figure) -> None:
    """Check that a table or figure can show an experiment of that scenario."""
    if experiment.scenario not in shown.scenarios:
        raise ValueError(
            f"{where}: {name!r} is of scenario {experiment.scenario}, kind {shown.kind} shows "
            f"{' or '.join(shown.scenarios)}"
        )
