"""Where the artefacts of a study lie, below `results/{study}/`."""

from collections.abc import Iterator

from negmerge.errors import find
from negmerge.reporting.kinds import figure_kind, table_kind
from negmerge.settings import methods
from negmerge.settings.experiment import CHOSEN, Experiment
from negmerge.settings.study import Study
from negmerge.settings.tables import Column, Figure, Table

# Where the trained models of a kind of method lie.
TRAINED = {"unlearn": "candidates", "retrain": "trained"}


def vector(experiment: Experiment, name: str) -> list[str]:
    """Place a vector in its task's folder, by its name: a point or a merge.

    Raises:
        UserError: the experiment has no such vector.
    """
    merges = [use for use in experiment.methods if methods.kind(use) in ("merge", "greedy")]
    places = dict.fromkeys(merges, "merged") | dict.fromkeys(experiment.pool.changes, "vectors")
    return [f"{find('vector', name, places)}/{name}.safetensors"]


def candidates(experiment: Experiment, method: str) -> list[str]:
    """Place what a method chooses among, in its task's folder: vectors, or trained models."""
    names = experiment.candidates(method)
    folder = TRAINED.get(methods.kind(methods.without_rule(method)))
    if folder is not None:
        return [f"{folder}/{name}.safetensors" for name in names]
    return [place for name in names for place in vector(experiment, name)]


def pool_vectors(experiment: Experiment, method: str) -> list[str]:
    """Place the vectors that a method merges, sorted by point: sums run in this order."""
    return [f"vectors/{point}.safetensors" for point in experiment.points(method)]


def measures(experiment: Experiment, method: str) -> list[str]:
    """Place the measures of what a method chooses among, where they are all there."""
    kind = methods.kind(methods.without_rule(method))
    if kind == "retrain" or _is_pruned(experiment, method):
        return []
    folder = "measures" if kind == "unlearn" else "sweeps"
    return [f"{folder}/{name}.csv" for name in experiment.candidates(method)]


def chosen_single(experiment: Experiment, method: str) -> list[str]:
    """Place the choice of the single vector that a method is, or masks."""
    single = experiment.single(method)
    return selected(experiment, single) if single else []


def candidate_search(experiment: Experiment, method: str) -> list[str]:
    """Place the pruned search among these vectors, where a method is chosen by one."""
    return [f"searches/{method}.json"] if _is_pruned(experiment, method) else []


def reference(experiment: Experiment, _: str = "") -> list[str]:
    """Place what the rule `gap` compares with, if an experiment has it: the measures of Retrain."""
    return [f"measures/{methods.RETRAIN}.csv"] if "gap" in experiment.rule_names else []


def reference_of(experiment: Experiment, method: str) -> list[str]:
    """Place likewise what the rule that chooses a method compares with."""
    by_gap = find("method", method, experiment.rules) == "gap"
    return reference(experiment) if by_gap else []


def selected(experiment: Experiment, method: str) -> list[str]:
    """Place what was chosen for a method."""
    experiment.use(method)
    return [f"selected/{method}.json"]


def table_records(study: Study, table: Table) -> dict[str, list[str]]:
    """Place the files whose numbers a table shows; of scores also the outcomes of single images.

    And those of the base, whatever the rows are: such a table says how much there is to forget.
    """
    kind, records, bases = table_kind(table.kind), [], []
    for column in table.columns:
        for experiment, folder in _folders(study, column):
            found = [file for row in table.rows for file in kind.records(experiment, folder, row)]
            records += found
            if experiment.UNCHANGED in experiment.methods and any(map(_is_score, found)):
                bases.append(f"{folder}/scores/{experiment.UNCHANGED}.json")
    scores = [*filter(_is_score, records), *bases]
    return {
        "records": list(dict.fromkeys(records)),
        "outcomes": list(dict.fromkeys(map(outcomes, scores))),
    }


def outcomes(score: str) -> str:
    """Place the outcomes of single images beside the score that counts them."""
    return score.replace("/scores/", "/outcomes/").removesuffix("json") + "safetensors"


def figure_records(study: Study, figure: Figure) -> dict[str, list[str]]:
    """Place the files that a figure draws; `{figure}` in a place stands for its name."""
    found: dict[str, list[str]] = {}
    for experiment, folder in _folders(study, figure):
        shown = figure_kind(figure.kind).records(experiment, folder, list(figure.methods))
        for name, files in shown.items():
            found.setdefault(name, []).extend(files)
    return found


def report_parts(study: Study, _: Study | None = None) -> dict[str, list[str]]:
    """Place what a report shows: tables, figures, and the choices behind them."""
    records = [
        file for table in study.tables.values() for file in table_records(study, table)["records"]
    ]
    return {
        "tables": [f"tables/{name}.{kind}" for name in study.tables for kind in ("csv", "md")],
        "figures": [f"figures/{name}.png" for name in study.figures],
        "selected": [
            file.replace("/scores/", "/selected/")
            for file in dict.fromkeys(filter(_is_score, records))
            if _is_selected(study, file)
        ],
    }


def _is_pruned(experiment: Experiment, method: str) -> bool:
    """Say whether a coefficient is searched; the rule `gap` needs all measures."""
    use = experiment.use(method)
    search = use.search or experiment.selection.search
    of_vectors = methods.kind(methods.without_rule(method)) in CHOSEN
    return search == "exact-pruned" and experiment.rules[method] != "gap" and of_vectors


def _is_selected(study: Study, score: str) -> bool:
    """Say whether the model of a score was chosen among several."""
    experiment, _, _, name = score.split("/")
    return study.experiments[experiment].is_searched(name.removesuffix(".json"))


def _is_score(file: str) -> bool:
    return "/scores/" in file


def _folders(study: Study, part: Column | Figure) -> Iterator[tuple[Experiment, str]]:
    """Give the tasks of a table's column or a figure: their experiment and folder."""
    for name in part.experiments:
        experiment = study.experiments[name]
        for task in part.tasks or experiment.task_names:
            yield experiment, f"{name}/{task}"
