"""What a kind of table or figure says of itself; each is a file in `tables/` or `figures/`.

The kinds are loaded whenever a study is read, at each start of Snakemake, so neither this module
nor a kind's file imports pandas, matplotlib or torch: the functions that compute and draw do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from negmerge import plugins
from negmerge.reporting.metrics import Metric
from negmerge.reporting.records import read_records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from negmerge.evaluation.outcomes import Outcomes
    from negmerge.settings.experiment import Experiment

MERGES = ("merge", "greedy")


class Kind:
    """What tables and figures have in common.

    Attributes:
        caption: how to read it, for Snakemake's report and, of a figure, for ours.
        scenarios: those whose experiments it can show; none given: all.
        shows: the kinds of methods that it can show, see `methods.known`; none given: all.
        needs: the methods that must be among them.
    """

    caption: ClassVar[str]
    scenarios: ClassVar[tuple[str, ...]] = ()
    shows: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()

    def check(self, experiments: Mapping[str, Experiment], methods: Sequence[str]) -> None:
        """Check what it shows side by side, beyond the attributes.

        Args:
            experiments: those of a column, or of a figure, by name; all have the methods.
            methods: those that are shown.

        Raises:
            ValueError: what cannot be shown.
        """


class TableKind(Kind):
    """A kind of table: methods as rows, groups of columns that are means.

    Attributes:
        metrics: what the cells of a row measure; see also `metrics_of`.
        by_rule: whether a rule chooses what is shown, so that a column may have a `rule`.
        images: the kind of images that it is measured on, if it is the same for all.
        items: what is counted, where the metrics do not say it.
        about_paper: what is known about the paper's cells.
        shows_choice: whether a column of the printed table says what was chosen.
        shows_data: whether one says which training images the method reads.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    by_rule: ClassVar[bool] = True
    images: ClassVar[str] = ""
    items: ClassVar[str] = "images"
    about_paper: ClassVar[str] = ""
    shows_choice: ClassVar[bool] = False
    shows_data: ClassVar[bool] = False

    def records(self, experiment: Experiment, folder: str, row: str) -> list[str]:
        """Return the paths of what a row shows: its scores, where a kind says nothing else.

        Args:
            experiment: where the row is from.
            folder: `{experiment}/{task}`, from the study's folder.
            row: a method of the experiment. `{table}` in a path stands for the table's name,
                where a rule makes a file for all rows of this table.
        """
        return [f"{folder}/scores/{row}.json"]

    def metrics_of(self, measured: Collection[str]) -> tuple[Metric, ...]:
        """List what a column measures.

        Args:
            measured: what there is: the keys of a record, or the names of metrics.
        """
        return self.metrics

    def read(self, paths: Iterable[str]) -> list[dict]:
        """Read the files of `records`."""
        return [record for path in paths for record in read_records(path)]

    def cells(
        self,
        table: Mapping,
        records: Iterable[Mapping],
        published: Mapping[str, pd.DataFrame],
        outcomes: Iterable[Outcomes] = (),
    ) -> pd.DataFrame:
        """Compute the cells of a table; see `cells.cells`."""
        from negmerge.reporting.cells import cells

        return cells(table, records, published, outcomes)

    def notes(self, table: Mapping, cells: pd.DataFrame) -> list[str]:
        """Describe below the printed table what its numbers are.

        Args:
            table: the definition of the table, as in a study.
            cells: those of its rows.
        """
        return []


class FigureKind(Kind):
    """A kind of figure."""

    def records(
        self, experiment: Experiment, folder: str, methods: Sequence[str]
    ) -> dict[str, list[str]]:
        """Return the paths of what is drawn, by name: scores, where a kind says nothing else.

        Args:
            experiment: what is drawn.
            folder: `{experiment}/{task}`, from the study's folder; one of several.
            methods: those that are drawn. `{figure}` in a path stands for the figure's name, where
                a rule makes a file for this figure alone.
        """
        return {"scores": [f"{folder}/scores/{method}.json" for method in methods]}

    def draw(self, figure: Mapping, **paths: Sequence[str]) -> tuple[Figure, pd.DataFrame]:
        """Draw a figure.

        Args:
            figure: the definition of the figure, as in a study.
            paths: the files of `records`, of all experiments and tasks, by name.

        Returns:
            The figure, and the numbers in it, accuracies and probabilities in percent.

        Raises:
            UserError: a file that cannot be read or lacks something.
        """
        raise NotImplementedError


def table_kind(name: str) -> TableKind:
    """Load a kind of table by its name.

    Raises:
        UserError: there is no such kind.
    """
    return plugins.load(plugins.TABLES, name).KIND


def figure_kind(name: str) -> FigureKind:
    """Load a kind of figure by its name.

    Raises:
        UserError: there is no such kind.
    """
    return plugins.load(plugins.FIGURES, name).KIND


def first_lines(folder: str) -> str:
    """Describe in a line each what the kinds in a folder are: their files' first lines."""
    found = []
    for name in plugins.names(folder):
        with open(plugins.path(folder, name), encoding="utf-8") as file:
            found.append(f"{name}: " + file.readline().strip().strip('"'))
    return " ".join(found)


def require_same_points(experiments: Mapping[str, Experiment], methods: Sequence[str]) -> None:
    """Check that methods take the vectors of the same points, so that they can be compared.

    Raises:
        ValueError: one takes others than the first.
    """
    first, *others = methods
    for name, experiment in experiments.items():
        for method in others:
            if experiment.points(method) != experiment.points(first):
                raise ValueError(
                    f"{method!r} merges other points of {name!r} than {first!r}; expected "
                    "merges of the same points"
                )
