"""Where the artefacts of a study lie, below `results/{study}/`."""

from collections.abc import Iterator, Sequence

from negmerge.errors import find
from negmerge.settings import methods
from negmerge.settings.exhibits import Figure, Table
from negmerge.settings.experiment import Experiment
from negmerge.settings.study import Study

# The rule whose job makes the model of a method, or its vector, by the kind of the method.
TIMED = {"merge": "merge", "greedy": "greedy", "unlearn": "unlearn", "retrain": "train"}
SCORES = "{experiment}/{task}/scores/{method}.json"
RECORDS = {
    "accuracy": SCORES,
    "gap": SCORES,
    "sparsity": "{experiment}/{task}/sparsity/{method}.json",
    "cost": "benchmarks/{rule}/{experiment}/{task}/{method}.tsv",
    "sweep": "{experiment}/{task}/sweeps/{method}.csv",
}
# Figures for which a rule of their own makes the data: by kind, the rule and the file's ending.
OWN_DATA = {"gradcam": ("gradcam", "safetensors"), "signs": ("coordinates", "json")}


def is_trained(method: str) -> bool:
    """Say whether a method's model comes out of training as it is."""
    name = methods.base_name(methods.without_rule(method))
    return name == "original" or methods.kind(name) in ("unlearn", "retrain")


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
    if is_trained(method):
        return [f"trained/{name}.safetensors" for name in names]
    return [place for name in names for place in vector(experiment, name)]


def pool_vectors(experiment: Experiment, method: str) -> list[str]:
    """Place the vectors that a method merges, sorted by point: sums run in this order."""
    return [f"vectors/{point}.safetensors" for point in experiment.points(method)]


def candidate_sweeps(experiment: Experiment, method: str) -> list[str]:
    """Place the sweeps of what a method chooses among, where it is chosen by full sweeps."""
    names = [] if _is_pruned(experiment, method) else experiment.candidates(method)
    folder = "measures" if is_trained(method) else "sweeps"
    return [f"{folder}/{name}.csv" for name in names]


def candidate_search(experiment: Experiment, method: str) -> list[str]:
    """Place the pruned search among these vectors, where a method is chosen by one."""
    pruned = _is_pruned(experiment, method) and experiment.candidates(method)
    return [f"searches/{method}.json"] if pruned else []


def reference_sweep(experiment: Experiment, method: str) -> list[str]:
    """Place what the rule `gap` compares with: the same measures of Retrain."""
    by_gap = find("method", method, experiment.rules) == "gap"
    return [f"measures/{methods.RETRAIN}.csv"] if by_gap else []


def unlearned(experiment: Experiment, method: str) -> list[str]:
    """Place the unlearned model of a method: the trained one, if there is nothing to choose."""
    chosen = bool(experiment.use(method).grid) or not is_trained(method)
    return [f"{'unlearned' if chosen else 'trained'}/{method}.safetensors"]


def table_records(study: Study, table: Table) -> dict[str, list[str]]:
    """Place the files whose numbers a table shows; of scores also the outcomes of single images.

    And those of the base, whatever the rows are: such a table says how much there is to forget.
    """
    places, bases = [], []
    for column in table.columns:
        for experiment, task in _tasks(study, column.experiments, column.tasks):
            chosen = study.experiments[experiment]
            if chosen.UNCHANGED in chosen.methods:
                bases.append(outcomes(f"{experiment}/{task}/scores/{chosen.UNCHANGED}.json"))
            for row in table.rows:
                method = column.method(row, chosen.rules)
                rule = TIMED.get(methods.kind(row), "")
                places.append(
                    RECORDS[table.kind].format(
                        experiment=experiment, task=task, method=method, rule=rule
                    )
                )
    records = list(dict.fromkeys(places))
    if RECORDS[table.kind] != SCORES:
        return {"records": records}
    return {
        "records": records,
        "outcomes": list(dict.fromkeys([*map(outcomes, records), *bases])),
    }


def outcomes(score: str) -> str:
    """Place the outcomes of single images beside the score that counts them."""
    return score.replace("/scores/", "/outcomes/").removesuffix("json") + "safetensors"


def figure_data(study: Study, figure: Figure) -> dict[str, list[str]]:
    """Place the records that a figure draws; `{figure}` in a place stands for its name."""
    folders = [f"{e}/{t}" for e, t in _tasks(study, figure.experiments, figure.tasks)]
    if figure.kind in OWN_DATA:
        rule, ending = OWN_DATA[figure.kind]
        return {rule: [f"{folder}/{rule}/{{figure}}.{ending}" for folder in folders]}
    if figure.kind in ("models", "gap"):
        drawn = [(folder, method) for folder in folders for method in figure.methods]
        return {"scores": [f"{folder}/scores/{method}.json" for folder, method in drawn]}
    places = {"sweeps": [], "selected": []}
    merges = [name for name in figure.methods if methods.kind(name) in ("merge", "greedy")]
    for folder in folders:
        points = study.experiments[folder.split("/")[0]].pool.changes
        places["sweeps"] += [f"{folder}/sweeps/{name}.csv" for name in (*points, *merges)]
        places["selected"] += [f"{folder}/selected/{name}.json" for name in figure.methods]
    return places


def report_parts(study: Study, _: Study | None = None) -> dict[str, list[str]]:
    """Place what a report shows: tables, figures, and the choices behind them."""
    records = [
        place
        for table in study.tables.values()
        for place in table_records(study, table)["records"]
        if place.split("/")[2] == "scores"
    ]
    return {
        "tables": [f"tables/{name}.{kind}" for name in study.tables for kind in ("csv", "md")],
        "figures": [f"figures/{name}.png" for name in study.figures],
        "selected": [
            place.replace("/scores/", "/selected/")
            for place in dict.fromkeys(records)
            if _is_selected(study, place)
        ],
    }


def _is_pruned(experiment: Experiment, method: str) -> bool:
    """Say whether a coefficient is searched; the rule `gap` and grids need all measures."""
    use = experiment.use(method)
    search = use.search or experiment.selection.search
    return search == "exact-pruned" and experiment.rules[method] != "gap" and not use.grid


def _is_selected(study: Study, score: str) -> bool:
    """Say whether the model of a score was chosen among several."""
    experiment, _, _, name = score.split("/")
    method = name.removesuffix(".json")
    return unlearned(study.experiments[experiment], method)[0].startswith("unlearned/")


def _tasks(
    study: Study, experiments: Sequence[str], tasks: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """Give some tasks, or all of them, of some experiments."""
    for name in experiments:
        for task in tasks or study.experiments[name].task_names:
            yield name, task
