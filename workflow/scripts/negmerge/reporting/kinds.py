"""What a kind of table or figure says of itself; each is a file in `tables/` or `figures/`.

The kinds are loaded at each start of Snakemake, so neither this module nor a kind's file imports
pandas, matplotlib or torch: the functions that compute and draw do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from negmerge import plugins
from negmerge.reporting.records import read_records
from negmerge.scenarios import SCENARIOS
from negmerge.scenarios.base import Metric, Scenario

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from negmerge.evaluation.outcomes import Outcomes
    from negmerge.settings.experiment import Experiment

MERGES = ("merge", "greedy")


class Kind:
    caption: ClassVar[str]  # what it shows, for Snakemake's report, ours and a table's first note
    scenarios: ClassVar[tuple[str, ...]] = ()  # whose experiments it can show; none given: all
    shows: ClassVar[tuple[str, ...]] = ()  # the kinds of methods that it can show; likewise
    needs: ClassVar[tuple[str, ...]] = ()  # the methods that must be among them
    of_one_vector: ClassVar[bool] = False  # whether a merge must have one vector, not a grid

    def check(self, experiments: Mapping[str, Experiment], methods: Sequence[str]) -> None:
        """Check what it shows side by side, beyond the attributes."""


class TableKind(Kind):
    """A kind of table: methods as rows, groups of columns that are means."""

    metrics: ClassVar[tuple[Metric, ...]]  # what the cells of a row measure; see also `metrics_of`
    by_criterion: ClassVar[bool] = True  # whether a criterion chooses what is shown
    is_scored: ClassVar[bool] = False  # whether it shows, and compares, scores of the scenario
    shows_choice: ClassVar[bool] = False  # whether a printed column says what was chosen
    shows_data: ClassVar[bool] = False  # whether one says which training images the method reads
    error: ClassVar[str] = ""  # what ± is, where it is not that of the scenario's scores
    about_paper: ClassVar[str] = ""  # what is known about the paper's cells

    def records(self, experiment: Experiment, folder: str, row: str) -> list[str]:
        """Return the paths of what a row shows: its scores, where a kind says nothing else."""
        return [f"{folder}/scores/{row}.json"]

    def scenario(self, column: Mapping) -> Scenario:
        """Return the scenario of a column, with what the kind takes for good unlearning."""
        return SCENARIOS[column["scenario"]]

    def metrics_of(self, scenario: Scenario, measured: Collection[str]) -> tuple[Metric, ...]:
        """List what a column of a scenario measures, by the keys of a record or names of cells."""
        return self.metrics

    def read(self, paths: Iterable[str]) -> list[dict]:
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
        """Say what only this kind's readers must know; `notes.notes` says the rest."""
        return []


class FigureKind(Kind):
    averages: ClassVar[bool] = False  # over the seeds of an experiment; or it draws the first alone

    def records(
        self, experiment: Experiment, folder: str, methods: Sequence[str]
    ) -> dict[str, list[str]]:
        """Return the paths of what is drawn, by name: scores, where a kind says nothing else."""
        return {"scores": [f"{folder}/scores/{method}.json" for method in methods]}

    def data(self, figure: Mapping, **paths: Sequence[str]) -> pd.DataFrame:
        """Read what the figure shows, a row for each point, bar or mark."""
        raise NotImplementedError

    def plot(self, figure: Mapping, data: pd.DataFrame) -> Figure:
        raise NotImplementedError

    def draw(self, figure: Mapping, **paths: Sequence[str]) -> tuple[Figure, pd.DataFrame]:
        """Draw a figure; return it with the numbers, which are written beside it."""
        data = self.data(figure, **paths)
        return self.plot(figure, data), data


def table_kind(name: str) -> TableKind:
    return plugins.load(plugins.TABLES, name).KIND


def figure_kind(name: str) -> FigureKind:
    return plugins.load(plugins.FIGURES, name).KIND


def first_lines(folder: str) -> str:
    """List the kinds in a folder, each with the first line of its file."""
    texts = {name: plugins.path(folder, name).read_text("utf-8") for name in plugins.names(folder)}
    return " ".join(
        f"{name}: {text.splitlines()[0].strip(chr(34))}" for name, text in texts.items()
    )


def require_same_points(experiments: Mapping[str, Experiment], methods: Sequence[str]) -> None:
    """Check that methods take the vectors of the same points, so that they can be compared."""
    first = methods[0]
    for name, experiment in experiments.items():
        for method in methods:
            if experiment.points(method) != experiment.points(first):
                raise ValueError(
                    f"{method!r} merges other points of {name!r} than {first!r}; expected "
                    "merges of the same points"
                )
