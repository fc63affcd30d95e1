"""The tables and figures of a study; `negmerge.reporting.kinds` has the rest of each kind."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PositiveInt, model_validator

from negmerge import plugins
from negmerge.errors import UserError
from negmerge.reporting.kinds import Kind, figure_kind, first_lines, table_kind
from negmerge.settings import methods
from negmerge.settings.checks import require
from negmerge.settings.experiment import Experiment
from negmerge.settings.recipe import Settings, advanced


def known(names: list[str] | dict[str, str]) -> list[str] | dict[str, str]:
    """Return the names if there are some, and those of a list are methods'; else ValueError."""
    if not names:
        raise ValueError("no methods, expected at least one")
    try:
        for name in names if isinstance(names, list) else ():
            methods.base_name(name)
    except UserError as error:
        raise ValueError(str(error)) from error
    return names


def labelled(names: list[str] | dict[str, str]) -> dict[str, str]:
    """Put the titles of methods as labels, where they have none."""
    return names if isinstance(names, dict) else {name: methods.title(name) for name in names}


# Titles wait until a table is made, since they stand in the methods' files, which load torch.
Labelled = Annotated[list[str] | dict[str, str], AfterValidator(known), PlainSerializer(labelled)]


class Published(Settings):
    """Where the paper's cells for a column are."""

    table: str = Field(description="A file in config/published/, without .csv.")
    where: dict[str, str] = Field({}, description="The rows of the file: column -> value.")
    row: str = Field("method", description="The column with the names of the table's rows.")
    comparable: bool | dict[str, str] = Field(
        True,
        description="Print the difference; false where model or data are not the paper's. Or for "
        "which rows of the file: column -> value.",
    )


class Column(Settings):
    """A group of columns of a table: means over experiments and tasks."""

    label: str = Field(description="The heading.")
    experiments: list[str] = Field(min_length=1, description="Experiments to average over.")
    tasks: list[str] = Field([], description="Tasks to average over; none given: all.")
    criterion: str | None = advanced(
        None,
        description="Show what this one of `selection.other_criteria` or `other_choices` chose; "
        "null: the main criterion.",
    )
    published: Published | None = advanced(None, description="The paper's cells beside ours.")
    whole: PositiveInt | None = advanced(
        None,
        description="Kind `sparsity`: how many numbers the files have in which others counted "
        "zeros. The table then also shows the zeros among so many numbers; those that "
        "our vectors lack count as zero.",
    )


class Table(Settings):
    """A table: methods as rows."""

    kind: Literal[plugins.names(plugins.TABLES)] = Field(description=first_lines(plugins.TABLES))
    title: str = Field(description="The caption.")
    rows: Labelled = Field(
        description="Methods: a list, labelled by their titles, or a mapping to labels."
    )
    columns: list[Column] = Field(min_length=1, description="Groups of columns.")
    note: str | None = Field(
        None, description="What else a reader must know; it is printed below the table."
    )

    @model_validator(mode="after")
    def _fits_its_kind(self):
        kind = table_kind(self.kind)
        if not kind.by_criterion and any(column.criterion is not None for column in self.columns):
            raise ValueError(
                f"columns: no criterion chooses what a table of kind {self.kind} shows"
            )
        _check_methods("rows", f"table of kind {self.kind}", kind, self.rows)
        return self

    @property
    def method_names(self) -> list[str]:
        return list(self.rows)

    @property
    def published(self) -> list[str]:
        """The files of published cells that the columns name."""
        return sorted({column.published.table for column in self.columns if column.published})

    def check(self, where: str, experiments: Mapping[str, Experiment]) -> None:
        for column in self.columns:
            place = f"{where}.columns.{column.label}"
            _check_shown(place, self.kind, table_kind(self.kind), column, self.rows, experiments)
            for name in column.experiments if column.criterion is not None else ():
                require(
                    place, "criterion", [column.criterion], experiments[name].selection.criteria
                )


class Figure(Settings):
    """A figure."""

    kind: Literal[plugins.names(plugins.FIGURES)] = Field(description=first_lines(plugins.FIGURES))
    title: str = Field(description="The caption.")
    experiments: list[str] = Field(min_length=1, description="Experiments to draw.")
    tasks: list[str] = Field([], description="Tasks to draw; none given: all.")
    methods: Labelled = Field(
        description="Methods to draw: a list, labelled by their titles, or a mapping to labels."
    )

    @model_validator(mode="after")
    def _fits_its_kind(self):
        kind = figure_kind(self.kind)
        _check_methods("methods", f"figure of kind {self.kind}", kind, self.methods)
        return self

    @property
    def method_names(self) -> list[str]:
        return list(self.methods)

    def check(self, where: str, experiments: Mapping[str, Experiment]) -> None:
        _check_shown(where, self.kind, figure_kind(self.kind), self, self.methods, experiments)


def _check_methods(where: str, what: str, kind: Kind, shown: Iterable[str]) -> None:
    for method in kind.needs:
        if method not in shown:
            raise ValueError(f"{where}: a {what} needs {method}")
    for method in shown if kind.shows else ():
        if methods.kind(method) not in kind.shows:
            raise ValueError(
                f"{where}: {method!r} is of kind {methods.kind(method)}, and a {what} shows "
                f"{', '.join(kind.shows)}"
            )


def _check_shown(
    where: str,
    name: str,
    kind: Kind,
    part: Column | Figure,
    shown: Iterable[str],
    experiments: Mapping[str, Experiment],
) -> None:
    """Check that the experiments of a column or figure have its tasks and methods."""
    require(where, "experiment", part.experiments, experiments)
    chosen = {experiment: experiments[experiment] for experiment in part.experiments}
    for key, experiment in chosen.items():
        if kind.scenarios and experiment.scenario not in kind.scenarios:
            raise ValueError(
                f"{where}: {key!r} is of scenario {experiment.scenario}, kind {name} shows "
                f"{' or '.join(kind.scenarios)}"
            )
        require(where, "task", part.tasks, experiment.task_names)
        require(where, "method", shown, experiment.methods)
        for method in shown if kind.of_one_vector else ():
            if methods.kind(method) == "merge" and experiment.use(method).grid:
                raise ValueError(f"{where}: {method!r} has a grid, but a {name} shows one vector")
    try:
        kind.check(chosen, list(shown))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
