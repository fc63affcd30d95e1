"""Where the artefacts of a study lie, below `results/{study}/`."""

from collections.abc import Iterator, Sequence

from negmerge.errors import find
from negmerge.exhibits import Figure, Table
from negmerge.experiment import SINGLE_METHODS, Experiment
from negmerge.study import Study

RECORDS = {"accuracy": "scores", "sparsity": "sparsity"}


def vector(experiment: Experiment, name: str) -> list[str]:
    """Place a vector in its task's folder, by its name: a point or a merge method.

    Raises:
        UserError: the experiment has no such vector.
    """
    places = {method: "merged" for method in experiment.methods if method not in SINGLE_METHODS}
    places |= dict.fromkeys(experiment.pool.changes, "vectors")
    return [f"{find('vector', name, places)}/{name}.safetensors"]


def candidate_vectors(experiment: Experiment, method: str) -> list[str]:
    """Place the vectors among which a method chooses, in their task's folder."""
    return [place for name in experiment.candidates(method) for place in vector(experiment, name)]


def pool_vectors(experiment: Experiment, method: str) -> list[str]:
    """Place the vectors that a method merges, sorted by point: sums run in this order."""
    find("method", method, experiment.methods)
    return [f"vectors/{point}.safetensors" for point in experiment.pool.changes]


def candidate_sweeps(experiment: Experiment, method: str) -> list[str]:
    """Place the sweeps of these vectors in their task's folder, where a study has full sweeps."""
    full = experiment.selection.search == "full"
    return [f"sweeps/{name}.csv" for name in experiment.candidates(method) if full]


def candidate_search(experiment: Experiment, method: str) -> list[str]:
    """Place the pruned search among these vectors, where a study has one."""
    pruned = experiment.selection.search == "exact-pruned" and experiment.candidates(method)
    return [f"searches/{method}.json"] if pruned else []


def table_records(study: Study, table: Table) -> dict[str, list[str]]:
    """Place the files whose numbers a table shows."""
    places = [
        f"{folder}/{RECORDS[table.kind]}/{method}.json"
        for column in table.columns
        for folder in _task_folders(study, column.experiments, column.tasks)
        for method in table.rows
    ]
    return {"records": list(dict.fromkeys(places))}


def figure_data(study: Study, figure: Figure) -> dict[str, list[str]]:
    """Place the sweeps and the choices that a figure draws."""
    places = {"sweeps": [], "selected": []}
    for name in figure.experiments:
        points = study.experiments[name].pool.changes
        for folder in _task_folders(study, [name]):
            places["sweeps"] += [f"{folder}/sweeps/{vector}.csv" for vector in points]
            merges = [method for method in figure.methods if method not in SINGLE_METHODS]
            places["sweeps"] += [f"{folder}/sweeps/{method}.csv" for method in merges]
            places["selected"] += [f"{folder}/selected/{m}.json" for m in figure.methods]
    return places


def report_parts(study: Study, _: Study | None = None) -> dict[str, list[str]]:
    """Place what a report shows: tables, figures, and the choices of all methods."""
    return {
        "tables": [f"tables/{name}.{kind}" for name in study.tables for kind in ("csv", "md")],
        "figures": [f"figures/{name}.png" for name in study.figures],
        "selected": [
            f"{folder}/selected/{method}.json"
            for name, experiment in study.experiments.items()
            for folder in _task_folders(study, [name])
            for method in experiment.methods
        ],
    }


def _task_folders(
    study: Study, experiments: Sequence[str], tasks: Sequence[str] = ()
) -> Iterator[str]:
    """Give the folders of some tasks, or of all of them, of some experiments."""
    for name in experiments:
        for task in tasks or study.experiments[name].tasks:
            yield f"{name}/{task}"
