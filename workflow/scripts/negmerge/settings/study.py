"""The settings of a study: experiments, and the tables and figures that show them."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union

from pydantic import Field, PrivateAttr, model_validator

from negmerge import plugins
from negmerge.errors import UserError
from negmerge.reporting.kinds import figure_kind
from negmerge.seeds import REPETITION
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue, load_catalogue
from negmerge.settings.compute import Chosen
from negmerge.settings.load import Extension, Folders, find_file, read_study
from negmerge.settings.recipe import FileName
from negmerge.settings.tables import Column, Figure, Table

# Folders of a study's results, beside those of its experiments.
RESERVED = ("benchmarks", "figures", "logs", "provenance", "tables")

# What a study may say of each scenario.
SCENARIOS = tuple(
    plugins.load(plugins.SCENARIO_SETTINGS, name).EXPERIMENT
    for name in plugins.names(plugins.SCENARIO_SETTINGS)
)
Experiment = Annotated[Union[SCENARIOS], Field(discriminator="scenario")]  # noqa: UP007


class Study(Extension):
    """A study file: experiments, and the tables and figures made from them."""

    title: str = Field(description="What the study is about, in one line.")
    seed: int = Field(0, ge=0, description="All random numbers of the study derive from it.")
    device: Literal["cpu", "cuda"] = Field(
        "cpu",
        description="The device that the study was designed for; `device` in config.yaml, or "
        "`--config device=cuda`, overrides it.",
    )
    compute: Chosen = Field(
        "exact",
        validate_default=True,
        description="How exactly and how fast models are computed: a preset, or keys that differ "
        "from one.",
    )
    experiments: dict[FileName, Experiment] = Field(
        min_length=1, description="The experiments, by name."
    )
    tables: dict[FileName, Table] = Field({}, description="The tables, by file name.")
    figures: dict[FileName, Figure] = Field({}, description="The figures, by file name.")

    _catalogue: Catalogue = PrivateAttr()

    @model_validator(mode="before")
    @classmethod
    def _draws(cls, content: Any) -> Any:
        """Put the parts of a pool that are drawn in the place of a use with several draws."""
        try:
            return with_draws(content)
        except (AttributeError, TypeError):  # what is wrong with it, is said later
            return content

    @property
    def catalogue(self) -> Catalogue:
        """The data sets, models and prompts that the study may name."""
        return self._catalogue

    @property
    def datasets(self) -> list[str]:
        return sorted({name for row in self.experiments.values() for name in row.datasets})

    def cautions(self, experiments: Iterable[str] | None = None) -> list[str]:
        """Say which choices of some experiments, or of all, too few items make."""
        return [
            line
            for name in dict.fromkeys(self.experiments if experiments is None else experiments)
            for line in self.experiments[name].cautions(name, self.catalogue)
        ]

    def datasets_of(self, table: Table) -> list[str]:
        """The data sets of the tasks that a table shows, sorted."""
        names = set()
        for column in table.columns:
            for experiment in map(self.experiments.__getitem__, column.experiments):
                for task in column.tasks or experiment.task_names:
                    inputs = experiment.inputs(task, experiment.scored(task)).values()
                    names |= {name for kind, name in inputs if kind != "place"}
        return sorted(names)

    def seed_of(self, experiment: str, level: str = "") -> int:
        """The seed from which an experiment's jobs derive theirs, by level of randomness."""
        chosen = self.experiments[experiment]
        seeds = (getattr(chosen.seeds, level, None), chosen.seed, self.seed)
        return next(seed for seed in seeds if seed is not None)


def with_draws(content: dict) -> dict:
    """Return a study as written, with `NAME-1`, `NAME-2`, ... for methods with several draws."""
    drawn: dict[str, list[str]] = {}
    experiments = {}
    for key, row in content["experiments"].items():
        uses = {}
        for name, use in row["methods"].items():
            points = use.get("points")
            draws = points.get("draws", 1) if isinstance(points, dict) else None
            if not isinstance(draws, int):
                uses[name] = use
                continue
            drawn[name] = [f"{name}-{draw}" for draw in range(1, draws + 1)]
            for draw, own in enumerate(drawn[name], 1):
                uses[own] = {**use, "points": {**points, "draws": 1, "draw": draw}}
        experiments[key] = {**row, "methods": uses}

    def shown(rows: list | dict) -> list | dict:
        labels = rows if isinstance(rows, dict) else dict.fromkeys(rows)
        names = {own: name for name in labels for own in drawn.get(name, [name])}
        if isinstance(rows, list):
            return list(names)
        return {
            own: labels[name] if own == name else f"{labels[name]}, draw {own.rpartition('-')[2]}"
            for own, name in names.items()
        }

    if not drawn:
        return content
    parts = {
        section: {key: {**part, rows: shown(part[rows])} for key, part in content[section].items()}
        for section, rows in (("tables", "rows"), ("figures", "methods"))
        if content.get(section)
    }
    return {**content, "experiments": experiments, **parts}


def load_study(config: Folders, name: str, *, options: bool = True) -> Study:
    """Read and check a study; without `options`, those of methods are left unchecked."""
    _, study = read_study(config, name, Study)
    study._catalogue = known = load_catalogue(config)
    try:
        for key, experiment in study.experiments.items():
            experiment.link(f"experiments.{key}", study.experiments)
        for key, experiment in study.experiments.items() if options else ():
            for method, use in experiment.methods.items():
                where = f"experiments.{key}: methods.{method}"
                methods.check_options(where, method, use, experiment.scenario)
        for key, experiment in study.experiments.items():
            if key in RESERVED:
                raise ValueError(f"experiments.{key}: the study has a folder of this name")
            if REPETITION.search(key):
                raise ValueError(f"experiments.{key}: such a name is that of another seed")
            experiment.check(f"experiments.{key}", known)
        for key, table in study.tables.items():
            table.check(f"tables.{key}", study.experiments)
        for key, figure in study.figures.items():
            figure.check(f"figures.{key}", study.experiments)
        for key, experiment in study.experiments.items() if options else ():
            experiment.check_sizes(f"experiments.{key}", known)
    except (ValueError, UserError) as error:
        raise UserError(f"{find_file(config, f'studies/{name}.yaml')}: {error}") from error
    return with_repetitions(study)


def with_repetitions(study: Study) -> Study:
    """Give each experiment those that repeat it, and let what averages over it show them, too."""
    repeated = {name: row.repetitions(name) for name, row in study.experiments.items()}

    def of_all(shown: Column | Figure) -> Column | Figure:
        names = [name for first in shown.experiments for name in repeated[first]]
        return shown.model_copy(update={"experiments": names})

    tables = {
        name: table.model_copy(update={"columns": list(map(of_all, table.columns))})
        for name, table in study.tables.items()
    }
    figures = {
        name: of_all(figure) if figure_kind(figure.kind).averages else figure
        for name, figure in study.figures.items()
    }
    experiments = {name: row for rows in repeated.values() for name, row in rows.items()}
    for name, experiment in experiments.items():
        experiment.link(f"experiments.{name}", experiments)
    return study.model_copy(
        update={"experiments": experiments, "tables": tables, "figures": figures}
    )
