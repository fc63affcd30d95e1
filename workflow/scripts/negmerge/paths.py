"""The places of a study's artefacts, below `results/{study}/`."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from negmerge.errors import UserError, find
from negmerge.reporting.kinds import figure_kind, table_kind
from negmerge.settings import methods
from negmerge.settings.experiment import Experiment
from negmerge.settings.study import Study
from negmerge.settings.tables import Column, Figure, Table

# The folder of the vector of a merge, or of what was trained for a method, by the method's kind.
FOLDERS = {"merge": "merged", "greedy": "merged", "unlearn": "candidates"}


def candidate(experiment: Experiment, name: str) -> list[str]:
    """Return the path of the vector of a point or merge, or of what was trained for a method."""
    kinds = {use: methods.kind(use) for use in experiment.methods}
    folders = {
        candidate: FOLDERS[kind]
        for use, kind in kinds.items()
        if kind in FOLDERS
        for candidate in experiment.candidates(use)
    }
    folders |= dict.fromkeys(experiment.pool.changes, experiment.pool.vectors)
    if experiment.SCENARIO.has_retrain:
        folders[methods.RETRAIN] = experiment.retrain_folder
    return [f"{find('vector', name, folders)}/{name}.safetensors"]


def candidates(experiment: Experiment, method: str) -> list[str]:
    """Return the paths of what a method chooses among: vectors, or trained models."""
    return [
        place for name in experiment.candidates(method) for place in candidate(experiment, name)
    ]


def pool_vectors(experiment: Experiment, method: str) -> list[str]:
    """Return the paths of the vectors that a method merges, in the order of their sum."""
    folder = experiment.pool.vectors
    return [f"{folder}/{point}.safetensors" for point in experiment.points(method)]


@dataclass(frozen=True)
class Candidates:
    """How a method's candidates are measured."""

    # the paths of sweeps that are jobs of their own: several methods, or a figure, read them
    swept: list[str]
    is_pruned: bool  # whether a pruned search takes the place of sweeps
    measured: int  # how many candidates the method's own job measures


def measuring(experiment: Experiment, folder: str, method: str, drawn: set[str]) -> Candidates:
    """Say how the candidates of a method are measured in a task's folder."""
    if not experiment.is_searched(method):
        raise UserError(f"method {method!r} has nothing to choose, so no criterion chooses for it")
    own, is_pruned = experiment.candidates(method), experiment.is_pruned(method)
    if methods.kind(method) != "single":
        is_drawn = f"{folder}/sweeps/{method}.csv" in drawn
        return Candidates([], is_pruned and not is_drawn, len(own))
    shared = {name for name in own if f"{folder}/sweeps/{name}.csv" in drawn}
    for other in experiment.methods:
        if other != method and methods.kind(other) == "single" and not experiment.is_pruned(other):
            shared |= set(own) & set(experiment.candidates(other))
    if is_pruned and len(shared) < len(own):
        return Candidates([], True, len(own))
    swept = [f"sweeps/{name}.csv" for name in own if name in shared]
    return Candidates(swept, False, len(own) - len(swept))


def drawn_sweeps(study: Study) -> set[str]:
    """Return the paths of the sweeps that tables and figures of a study read."""
    tables = (table_records(study, table)["records"] for table in study.tables.values())
    figures = (
        files
        for figure in study.figures.values()
        for files in figure_records(study, figure).values()
    )
    files = itertools.chain(*tables, *figures)
    return {file for file in files if "/sweeps/" in file}


def reference(experiment: Experiment, name: str) -> list[str]:
    """Return the path of Retrain's sweep, where the criterion `gap` compares with it."""
    is_needed = experiment.selection.is_compared and name != methods.RETRAIN
    return [f"sweeps/{methods.RETRAIN}.csv"] if is_needed else []


def chosen_single(experiment: Experiment, method: str) -> list[str]:
    """Return the paths of the choice of the single vector that a method is, or masks."""
    single = experiment.single(method)
    return selected(experiment, single) if single else []


def chosen_vector(experiment: Experiment, method: str) -> list[str]:
    """Return the paths of the choice of a method that has several vectors."""
    several = len(experiment.candidates(method)) > 1
    return selected(experiment, method) if several else []


def taken(experiment: Experiment, method: str) -> list[str]:
    """Return the paths of the vectors that a method moves along."""
    along = experiment.use(method).along
    if along is None:
        return []
    return (
        pool_vectors(experiment, method) if along == methods.POOL else candidates(experiment, along)
    )


def retained(experiment: Experiment, method: str) -> list[str]:
    """Return the path of the vector tuned on items to retain that a method adds."""
    point = experiment.retain_point(method)
    return [f"vectors/{point}.safetensors"] if point else []


def chosen_of_taken(experiment: Experiment, method: str) -> list[str]:
    """Return the paths of the choice among those vectors, where one of several is taken."""
    along = experiment.use(method).along
    return [] if along in (None, methods.POOL) else chosen_vector(experiment, along)


def selected(experiment: Experiment, method: str) -> list[str]:
    """Return the paths of what was chosen for a method, where there is something to choose."""
    return [f"selected/{method}.json"] if experiment.is_searched(method) else []


def unchanged(experiment: Experiment, method: str) -> list[str]:
    """Return the paths of scores and outcomes of the base, for a choice that changes nothing."""
    base = experiment.SCENARIO.base
    if base not in experiment.methods or not experiment.is_searched(method):
        return []
    return [f"scores/{base}.json", f"outcomes/{base}.safetensors"]


def table_records(study: Study, table: Table) -> dict[str, list[str]]:
    """Return the paths of what a table shows, and of the outcomes behind its scores.

    And those of the base, whatever the rows are: such a table says how much there is to forget.
    `{table}` in a path stands for the table's name.
    """
    kind, records, bases = table_kind(table.kind), [], []
    for column in table.columns:
        for experiment, folder in _folders(study, column):
            files = [file for row in table.rows for file in kind.records(experiment, folder, row)]
            records += files
            if experiment.SCENARIO.base in experiment.methods and any(map(_is_score, files)):
                bases.append(f"{folder}/scores/{experiment.SCENARIO.base}.json")
    scores = [*filter(_is_score, records), *bases]
    return {
        "records": list(dict.fromkeys(records)),
        "outcomes": list(dict.fromkeys(map(outcomes, scores))),
    }


def record_files(study: Study) -> dict[str, dict[str, list[str]]]:
    """Return the paths behind a study's tables, by table and `{experiment}/{task}/{row}`."""
    return {
        name: {
            f"{folder}/{row}": [
                file.format(table=name)
                for file in table_kind(table.kind).records(experiment, folder, row)
            ]
            for column in table.columns
            for experiment, folder in _folders(study, column)
            for row in table.rows
        }
        for name, table in study.tables.items()
    }


def outcomes(score: str) -> str:
    """Return the path of the outcomes of single images beside the score that counts them."""
    return score.replace("/scores/", "/outcomes/").removesuffix("json") + "safetensors"


def figure_records(study: Study, figure: Figure) -> dict[str, list[str]]:
    """Return the paths that a figure draws; `{figure}` in a place stands for its name."""
    drawn: dict[str, list[str]] = {}
    for experiment, folder in _folders(study, figure):
        shown = figure_kind(figure.kind).records(experiment, folder, list(figure.methods))
        for name, files in shown.items():
            drawn.setdefault(name, []).extend(files)
    return drawn


def report_parts(study: Study, _: Study | None = None) -> dict[str, list[str]]:
    """Return the paths of what a report shows: tables, figures, and the choices behind them."""
    records = [
        file for table in study.tables.values() for file in table_records(study, table)["records"]
    ]
    return {
        "tables": [f"tables/{name}.{kind}" for name in study.tables for kind in ("csv", "md")],
        "figures": [f"figures/{name}.{kind}" for name in study.figures for kind in ("png", "csv")],
        "selected": [
            file.replace("/scores/", "/selected/")
            for file in dict.fromkeys(filter(_is_score, records))
            if _is_selected(study, file)
        ],
    }


def _is_selected(study: Study, score: str) -> bool:
    """Whether the model of a score was chosen among several."""
    experiment, _, _, name = score.split("/")
    return study.experiments[experiment].is_searched(name.removesuffix(".json"))


def _is_score(file: str) -> bool:
    return "/scores/" in file


def _folders(study: Study, part: Column | Figure) -> Iterator[tuple[Experiment, str]]:
    """Yield the tasks of a table's column or a figure: their experiment and folder."""
    for name in part.experiments:
        experiment = study.experiments[name]
        for task in part.tasks or experiment.task_names:
            yield experiment, f"{name}/{task}"
