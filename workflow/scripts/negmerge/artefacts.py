"""Where the artefacts of a study lie, below `results/{study}/`."""

from collections.abc import Iterator, Sequence

from negmerge.errors import find
from negmerge.settings import methods
from negmerge.settings.exhibits import Figure, Table
from negmerge.settings.experiment import CHOSEN, Experiment
from negmerge.settings.study import Study

# The rule whose job makes the model of a method, or its vector, by the kind of the method.
TIMED = {"merge": "merge", "greedy": "greedy", "unlearn": "unlearn", "retrain": "train"}
# Where the trained models of a kind of method lie.
TRAINED = {"unlearn": "candidates", "retrain": "trained"}
SCORES = "{experiment}/{task}/scores/{method}.json"
SPARSITY = "{experiment}/{task}/sparsity/{vector}.json"
RECORDS = {
    "accuracy": [SCORES],
    "gap": [SCORES],
    "sparsity": [SPARSITY],
    "mask": [SCORES, SPARSITY],
    "cost": ["benchmarks/{rule}/{experiment}/{task}/{method}.tsv"],
    "sweep": ["{experiment}/{task}/sweeps/{method}.csv"],
}
# Figures for which a rule of their own makes the data: by kind, the rule and the file's ending.
OWN_DATA = {"gradcam": ("gradcam", "safetensors"), "signs": ("signs", "json")}


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
    places, bases = [], []
    for column in table.columns:
        for experiment, task in _tasks(study, column.experiments, column.tasks):
            chosen = study.experiments[experiment]
            if chosen.UNCHANGED in chosen.methods:
                bases.append(outcomes(f"{experiment}/{task}/scores/{chosen.UNCHANGED}.json"))
            for row in table.rows:
                method = column.method(row, chosen.rules)
                kind = methods.kind(row)
                # A merged vector is the same whatever rule chose its coefficient.
                names = {"method": method, "vector": method if kind == "single" else row}
                names |= {"experiment": experiment, "task": task, "rule": TIMED.get(kind, "")}
                places += [place.format(**names) for place in RECORDS[table.kind]]
            if table.kind == "mask" and chosen.scenario == "classifier":
                places.append(f"{experiment}/{task}/scores/{methods.RETRAIN}.json")
    records = list(dict.fromkeys(places))
    if SCORES not in RECORDS[table.kind]:
        return {"records": records}
    shown = [outcomes(record) for record in records if "/scores/" in record]
    return {"records": records, "outcomes": list(dict.fromkeys([*shown, *bases]))}


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
    """Say whether a coefficient is searched; the rule `gap` needs all measures."""
    use = experiment.use(method)
    search = use.search or experiment.selection.search
    of_vectors = methods.kind(methods.without_rule(method)) in CHOSEN
    return search == "exact-pruned" and experiment.rules[method] != "gap" and of_vectors


def _is_selected(study: Study, score: str) -> bool:
    """Say whether the model of a score was chosen among several."""
    experiment, _, _, name = score.split("/")
    return study.experiments[experiment].is_searched(name.removesuffix(".json"))


def _tasks(
    study: Study, experiments: Sequence[str], tasks: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """Give some tasks, or all of them, of some experiments."""
    for name in experiments:
        for task in tasks or study.experiments[name].task_names:
            yield name, task
