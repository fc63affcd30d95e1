"""Where the artefacts of a study lie, below `results/{study}/`."""

from collections.abc import Iterator, Sequence

from negmerge.errors import UserError, find
from negmerge.settings import methods
from negmerge.settings.exhibits import Figure, Table
from negmerge.settings.experiment import Experiment
from negmerge.settings.study import Study

# The rule whose job makes the model of a method, or its vector, by the kind of the method.
TIMED = {"merge": "merge", "greedy": "greedy", "unlearn": "unlearn", "retrain": "train"}
# The folder of the vector of a merge, or of what was trained for a method, by the method's kind.
FOLDERS = {"merge": "merged", "greedy": "merged", "unlearn": "candidates"}
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


def candidate(experiment: Experiment, name: str) -> list[str]:
    """Place the vector of a point or a merge, or what was trained for a method, by its name.

    Raises:
        UserError: the experiment has no such vector.
    """
    kinds = {use: methods.kind(use) for use in experiment.methods}
    folders = {use: FOLDERS[kind] for use, kind in kinds.items() if kind in FOLDERS}
    folders |= dict.fromkeys(experiment.pool.changes, "vectors")
    if methods.RETRAIN in experiment.KINDS:
        folders[methods.RETRAIN] = "trained"
    return [f"{find('vector', name, folders)}/{name}.safetensors"]


def candidates(experiment: Experiment, method: str) -> list[str]:
    """Place what a method chooses among, in its task's folder: vectors, or trained models."""
    return [
        place for name in experiment.candidates(method) for place in candidate(experiment, name)
    ]


def pool_vectors(experiment: Experiment, method: str) -> list[str]:
    """Place the vectors that a method merges, sorted by point: sums run in this order."""
    return [f"vectors/{point}.safetensors" for point in experiment.points(method)]


def sweeps(experiment: Experiment, method: str) -> list[str]:
    """Place the sweeps of what a method chooses among, where a rule needs them.

    Raises:
        UserError: there is nothing to choose.
    """
    if not experiment.is_searched(method):
        raise UserError(f"method {method!r} has nothing to choose, so there is no choice of it")
    if experiment.is_pruned(method) and "gap" not in experiment.selection.rules:
        return []
    return [f"sweeps/{name}.csv" for name in experiment.candidates(method)]


def candidate_search(experiment: Experiment, method: str) -> list[str]:
    """Place the pruned search among the vectors of a method, where a rule chooses by one."""
    pruned = experiment.is_pruned(method) and set(experiment.selection.rules) != {"gap"}
    return [f"searches/{method}.json"] if pruned else []


def reference(experiment: Experiment, name: str) -> list[str]:
    """Place what the rule `gap` compares others with, if an experiment has it: Retrain's sweep."""
    is_needed = "gap" in experiment.selection.rules and name != methods.RETRAIN
    return [f"sweeps/{methods.RETRAIN}.csv"] if is_needed else []


def chosen_single(experiment: Experiment, method: str) -> list[str]:
    """Place the choice of the single vector that a method is, or masks."""
    single = experiment.single(method)
    return selected(experiment, single) if single else []


def selected(experiment: Experiment, method: str) -> list[str]:
    """Place what was chosen for a method, where there is something to choose."""
    return [f"selected/{method}.json"] if experiment.is_searched(method) else []


def unchanged(experiment: Experiment, method: str) -> list[str]:
    """Place scores and outcomes of the base as it is, which a choice that changes nothing takes."""
    base = experiment.UNCHANGED
    if base not in experiment.methods or not experiment.is_searched(method):
        return []
    return [f"scores/{base}.json", f"outcomes/{base}.safetensors"]


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
                method, kind = row, methods.kind(row)
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
