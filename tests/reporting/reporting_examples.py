"""Records as the steps before the reporting write them."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from negmerge.evaluation.outcomes import Outcomes
from negmerge.reporting.cells import cells, read_cells, write_cells
from negmerge.reporting.layout import latex, layout, markdown
from negmerge.reporting.records import MEAN

ROLES = ("forget", "retain", "test")
ROWS = {"retrain": "Retrain", "original": "Original", "negmerge": "NegMerge", "conflict": "other"}
METHODS = {"pretrained": "Pre-trained", "negmerge": "NegMerge", "uniform": "Uniform Merge"}

# As in config/published, shortened.
ROW = ("mode", "method", "metric", "value")
PUBLISHED = [
    ("standard", "NegMerge", "forget", "20.76"),
    ("standard", "NegMerge", "control", "NA"),
    ("standard", "Uniform Merge", "forget", "22.50"),
    ("linear", "NegMerge", "forget", "8.03"),
]
PAPER = {"table1": pd.DataFrame(PUBLISHED, columns=ROW)}


def score(experiment, task, method, forget, control, n=200, **changes):
    """A record as `score` writes it; forget and control are counts of right answers of `n`."""
    merged = method != "pretrained"
    record = {"experiment": experiment, "task": task, "method": method}
    record |= {"vector": method if merged else None, "coefficient": 0.5 if merged else 0.0}
    # What no criterion chose holds for every criterion.
    record |= {"criterion": "control" if merged else None, "keep": 0.95, "upper_end": False}
    for role, correct in (("forget", forget), ("control", control)):
        record[role] = {"correct": correct, "n": n}
    return record | changes


def choice(experiment, task, method, coefficient, forget, control, **changes):
    """A record of a choice; accuracies in percent, the base's control accuracy is 80."""
    record = {"experiment": experiment, "task": task, "method": method, "vector": method}
    record |= {"coefficient": coefficient, "criterion": "control", "keep": 0.95}
    record |= {"upper_end": False, "forget_accuracy": forget, "control_accuracy": control}
    return record | {"control_baseline": 80.0} | changes


def table(**changes):
    column = {"label": "B/32", "experiments": ["a"], "tasks": [], "published": None}
    column["scenario"] = changes.pop("scenario", "zero-shot")
    columns = [column | changes.pop("column", {})]
    definition = {"kind": "accuracy", "title": "Forgetting", "rows": METHODS, "columns": columns}
    return definition | changes


def published(**changes):
    cells = {"table": "table1", "where": {"mode": "standard"}, "row": "method"}
    return cells | {"comparable": True} | changes


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path


def benchmark(folder, place, *values):
    """Write a benchmark file with the given row."""
    path = folder / "results" / "demo" / "benchmarks" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "s\th:m:s\tmax_rss\tmax_vms\tcpu_time\n"
    path.write_text(header + "\t".join(map(str, values)) + "\n")
    return path


def classifier_score(experiment, task, method, forget, retain, test, mia, **changes):
    """A record as `evaluate` writes it for a classifier; of 100 forget and 200 other images."""
    record = {"experiment": experiment, "task": task, "method": method}
    for role, correct, n in (("forget", forget, 100), ("retain", retain, 200), ("test", test, 200)):
        record[role] = {"correct": correct, "n": n}
    features = ("confidence", "correctness", "entropy", "m_entropy_official", "m_entropy", "prob")
    record["membership"] = dict.fromkeys(features, mia)
    if "relearn" in changes:
        record["relearn"] = {"epochs": changes.pop("relearn"), "limit": 9, "target": 90}
    return record | changes


def outcomes(record, roles=("forget", "control"), classes=10, **right):
    """What a record counts, image by image: the first ones are right, unless `right` says which."""
    arrays = {}
    for role in roles:
        found = np.zeros(record[role]["n"], np.uint8)
        found[right.get(role, slice(record[role]["correct"]))] = 1
        arrays[f"{role}_right"] = found
    if "membership" in record:
        arrays["forget_unseen"] = np.zeros(record["forget"]["n"], np.uint8)
        count = round(record["forget"]["n"] * record["membership"]["confidence"] / 100)
        # The last ones, which are those that are wrong.
        arrays["forget_unseen"][len(arrays["forget_unseen"]) - count :] = 1
    place = (record["experiment"], record["task"], record["method"])
    return Outcomes(place, dict.fromkeys(roles, classes), arrays, criterion=record.get("criterion"))


def gap_table(**changes):
    column = {"label": "net", "experiments": ["net"], "criterion": None}
    column |= {"scenario": "classifier"} | changes.pop("column", {})
    rows = {"retrain": "Retrain", "original": "Original", "negmerge": "NegMerge"}
    return table(kind="gap", title="Gaps", rows=rows, column=column) | changes


def lay_out(definition, frame):
    """Lay a table out: from its cells, and alike from the file of them."""
    found = layout(definition, frame)
    with TemporaryDirectory() as folder:
        write_cells(Path(folder) / "table.csv", frame)
        again = layout(definition, read_cells(Path(folder) / "table.csv"))
    assert markdown(again) == markdown(found)
    assert latex(again) == latex(found)
    return found


def clip():
    """Scores of a data set that CLIP forgets; `uniform` forgets about as much, and loses control.

    Right of 200 are the base's 160 and 180.
    """
    return [
        score("a", "digits", "pretrained", 160, 180),
        score("a", "digits", "negmerge", 40, 172),
        score("a", "digits", "uniform", 44, 120),
    ]


def net(trial, retrain=80, original=100, **conflict):
    """Scores of classifiers, of which NegMerge is closest to Retrain."""
    return [
        classifier_score("net", trial, "retrain", retrain, 200, 160, 20.0),
        classifier_score("net", trial, "original", original, 200, 162, 0.0),
        classifier_score("net", trial, "negmerge", retrain + 4, 198, 160, 17.0),
        classifier_score("net", trial, "conflict", 86, 120, 90, 16.0),
    ]


def compared(definition, scores, roles=("forget", "control"), **right):
    """The cells of a table, compared image by image; `right` says which are, by method and role."""
    images = [outcomes(one, roles, **right.get(one["method"], {})) for one in scores]
    return cells(definition, scores, {}, images)


def means(frame, metric, what="value", task=MEAN):
    """Return a column of the CSV file at the means of a metric, or at one task, by method."""
    chosen = frame[(frame["metric"] == metric) & (frame["task"] == task) & frame["row"].notna()]
    return dict(zip(chosen["method"], chosen[what], strict=True))


def cell(frame, method, metric, task=MEAN, column=None):
    """Return the cell of a method and metric: the mean, or that of one task."""
    is_here = (frame["method"] == method) & (frame["metric"] == metric) & (frame["task"] == task)
    if column:
        is_here &= frame["column"] == column
    (found,) = frame[is_here].to_dict("records")
    return found
