"""Tables: every number of their CSV files, from the scores and counts that it shows.

A cell names its column, row, method and metric, and the experiment and task that it is of; a cell
of `mean` averages the single ones of its column, row and metric. Files hold six digits after the
point, so that is how closely they are compared.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from recomputation.study import Ledger, Study, read_csv, read_header, read_records, read_tensors

MEAN, MISSING = "mean", "NA"
ROUNDING = 1e-6
ROLES = ("retain", "forget", "test", "control", "earlier")
# What the average gap is the mean of.
GAP_OF = ("retain", "forget", "test", "mia")
COSTS_OF = (
    "models",
    "training",
    "seconds",
    "seen",
    "merge",
    "computing",
    "memory",
    "passes",
    "passes_full",
)
COSTS, TREATED = "what methods take in tables", "scores under treatment in tables"
# Of tables of kind `durability`.
TREATMENTS = ("as_is", "int8", "int4", "nf4", "relearned")
DONE = ("rounded", "numbers", "group_size", "epochs", "learning_rate")
AMOUNT, MCNEMAR = "amounts to forget", "McNemar's tests"
BOOTSTRAP = "tests and errors by bootstrap"
# Up to this p two rows are told apart; with fewer points to forget, or above it, no row ranks.
SIGNIFICANCE, FEW_POINTS = 0.05, 5

Cell = Mapping[str, str]
Record = Mapping[str, object]


def check(study: Study, ledger: Ledger) -> None:
    """Compute the cells of all tables anew."""
    for path in sorted(study.folder.glob("tables/*.csv")):
        cells = read_csv(path)
        # A base and an amount show what the column's criterion left to be scored.
        rules = {c["column"]: c["criterion"] for c in cells if c["criterion"] != MISSING}
        for cell in cells:
            if cell["criterion"] == MISSING:
                cell["criterion"] = rules.get(cell["column"], MISSING)
        for cell in cells:
            keys = ("column", "row", "metric", "experiment", "task")
            place = f"{study.place(path)}: {', '.join(cell[key] for key in keys)}"
            alike = [one for one in cells if all(one[key] == cell[key] for key in keys[:3])]
            singles = [one for one in alike if one["experiment"] != MEAN]
            if cell["experiment"] != MEAN:
                singles = [cell]
            column = [one for one in cells if one["column"] == cell["column"]]
            if not singles:
                ledger.faults.append(f"{place}: there is no single cell that it is the mean of")
            elif cell["metric"] == "to_forget":
                _check_amount(study, place, cell, singles, ledger)
            else:
                _check_cell(study, place, cell, singles, column, ledger)
                if cell["p_value"] != MISSING:
                    _check_test(study, place, cell, column, ledger)


def _check_cell(study, place, cell, singles: Sequence[Cell], column, ledger: Ledger) -> None:
    metric = cell["metric"]
    if metric in COSTS_OF:
        return ledger.leave_out(COSTS, "it is measured and counted by what ran")
    if metric == "lowest":
        return _check_lowest(place, cell, singles, column, ledger)
    if metric in DONE or metric.partition("_")[2] in TREATMENTS:
        return ledger.leave_out(TREATED, "tests/reporting computes them")
    records = [_record(study, single) for single in singles]
    # A column with gaps compares with Retrain.
    with_gap = any(one["metric"] == "gap" for one in column)
    retrains = [_score(study, single, "retrain") for single in singles] if with_gap else []
    kind, expected = _expected(metric, records, retrains)
    if len(records) == 1 and MISSING not in (cell["coefficient"], cell["criterion"]):
        expected["coefficient"] = records[0]["coefficient"]
    if cell["comparable"] == "True" and cell["paper"] != MISSING:
        expected["difference"] = number(cell["value"]) - float(cell["paper"])
    expected["averaged"] = len(singles)
    stored = {key: number(cell[key]) for key in expected}
    return ledger.values(f"{kind} in tables", place, stored, expected, ROUNDING)


def _check_lowest(place: str, cell: Cell, singles, column, ledger: Ledger) -> None:
    """Count the tasks in which a row forgets most of those that keep their share of the base's."""
    count = 0
    for single in singles:
        where = single["experiment"], single["task"]
        here = [one for one in column if (one["experiment"], one["task"]) == where]
        kinds = {one["row"]: one["kind"] for one in here}
        base = next((row for row, kind in kinds.items() if kind == "base"), None)
        values = {(one["row"], one["metric"]): one["value"] for one in here}
        kept = next(role for role in ("control", "retain") if (single["row"], role) in values)
        able = {
            one["row"]: float(one["value"])
            for one in here
            if base not in (None, one["row"])
            and (one["metric"], one["value"] == MISSING) == ("forget", False)
            and float(values[one["row"], kept])
            >= float(one["keep"]) * float(values[base, kept]) - ROUNDING
        }
        count += able.get(single["row"], math.inf) <= min(able.values(), default=-1)
    expected = {"value": count if len(singles) > 1 else None, "averaged": len(singles)}
    stored = {key: number(cell[key]) for key in expected}
    return ledger.values("tasks in which a row is lowest in tables", place, stored, expected, 0)


def number(text: str) -> float | None:
    """Read a number of a CSV file."""
    return None if text == MISSING else float(text)


def folder_of(study: Study, cell: Cell) -> Path:
    return study.folder / cell["experiment"] / cell["task"]


def _place_of_rule(records: Sequence[Record], cell: Cell) -> int:
    """Return the place of the record that the cell's rule chose, else that of the main rule."""
    rules = [record["criterion"] for record in records]
    return rules.index(cell["criterion"]) if cell["criterion"] in rules else 0


def _score(study: Study, cell: Cell, method: str) -> dict:
    path = folder_of(study, cell) / "scores" / f"{method}.json"
    records = read_records(path) if path.exists() else []
    return records[_place_of_rule(records, cell)] if records else {}


def _record(study: Study, cell: Cell) -> Record:
    """Find what a single cell shows: a row of a sweep, or a score and the counts of its vector."""
    folder, method = folder_of(study, cell), cell["method"]
    if cell["coefficient"] != MISSING and cell["criterion"] == cell["kind"] == MISSING:
        for row in read_csv(folder / "sweeps" / f"{method}.csv"):
            if math.isclose(float(row["coefficient"]), float(cell["coefficient"]), rel_tol=1e-9):
                return {"experiment": cell["experiment"], "task": cell["task"]} | {
                    role: {what: int(row[f"{role}_{what}"]) for what in ("correct", "n")}
                    for role in ROLES
                    if f"{role}_n" in row
                }
        raise LookupError(f"no coefficient {cell['coefficient']} in the sweep of {method}")
    files = sorted((folder / "sparsity").glob("*.json"))
    own = [r for path in files for r in read_records(path) if r["method"] == method]
    score = _score(study, cell, method)
    score |= _history(study, cell, score) if "after" in score else {}
    return (own[_place_of_rule(own, cell)] if own else {}) | score


def _history(study: Study, cell: Cell, score: Record) -> Record:
    """Count what is known of earlier requests, and compare with the models that these have left."""
    base = _score(study, cell, "pretrained")
    counts = [
        np.sum(
            [(n["correct"], n["n"]) for role, n in one.items() if role.startswith("earlier-")], 0
        )
        for one in (base, score)
    ]
    before, now = (100 * correct / n for correct, n in counts)
    kept = [share(score, "control")[0]] + [share(base, "control")[0]] * (score != base)
    while "after" in base:
        place = base["after"].rpartition("/")[0]
        (base,) = read_records(study.folder / place / "scores" / "pretrained.json")
        kept.append(share(base, "control")[0])
    return {
        "earlier": dict(zip(("correct", "n"), map(int, counts[1]), strict=True)),
        "rebound": max(now - before, 0.0),
        "stability": 100 * float(np.abs(np.diff(kept)).mean()),
    }


def _expected(
    metric: str, records: Sequence[Record], retrains: Sequence[Record]
) -> tuple[str, dict[str, float | None]]:
    """Compute what stands in a cell, and say what kind of number it is."""
    if metric in ROLES or metric.startswith("mia"):
        kind = "membership attacks" if metric.startswith("mia") else "accuracies"
        return kind, _shares(metric, records, retrains)
    if metric in ("gap", "gap_of_trials"):
        gaps = [gap([one], [retrain]) for one, retrain in zip(records, retrains, strict=True)]
        value = gap(records, retrains) if metric == "gap" else float(np.mean(gaps))
        return "average gaps", {"value": value, "std": _std(gaps)}
    if metric == "relearn":
        return "relearn times", {"value": _relearned(records), "reference": _relearned(retrains)}
    values = [COUNTED[metric](record) for record in records]
    known = None not in values
    value, std = (float(np.mean(values)), _std(values)) if known else (None, None)
    return "shares of numbers", {"value": value, "std": std}


def _shares(metric: str, records: Sequence[Record], retrains: Sequence[Record]) -> dict:
    """Average shares of images, with the binomial standard error of their mean."""
    feature = metric.removeprefix("mia_")
    if metric.startswith("mia_") and any(feature not in r["membership"] for r in records):
        return {"value": None, "std": None}
    shares, sizes = zip(*(share(record, metric) for record in records), strict=True)
    # What several records are scored on counts once: errors add up there, and not their squares.
    errors, images = defaultdict(float), {}
    for record, p, n in zip(records, shares, sizes, strict=True):
        errors[_images_of(record, metric)] += math.sqrt(p * (1 - p) / n)
        images[_images_of(record, metric)] = n
    expected = {
        "value": 100 * float(np.mean(shares)),
        "std": _std([100 * p for p in shares]),
        "standard_error": 100 * math.sqrt(sum(e**2 for e in errors.values())) / len(records),
    }
    if metric in ROLES:
        expected["images"] = sum(images.values())
    if retrains:
        expected["reference"] = 100 * float(np.mean([share(r, metric)[0] for r in retrains]))
    return expected


def _images_of(record: Record, metric: str) -> tuple[str, ...]:
    """Name the images: those of control are all tasks', test images all trials', seeds apart."""
    first, task = record["experiment"].partition(".seed")[0], record["task"]
    if "control" in record:
        return () if metric == "control" else (task,)
    return (first,) if metric == "test" else (record["experiment"], task)


def share(record: Record, metric: str) -> tuple[float, int]:
    """Return the share of right answers, or of images that look unseen, and of how many it is."""
    if metric in ROLES:
        return record[metric]["correct"] / record[metric]["n"], record[metric]["n"]
    feature = "confidence" if metric == "mia" else metric.removeprefix("mia_")
    return record["membership"][feature] / 100, record["forget"]["n"]


def gap(records: Sequence[Record], retrains: Sequence[Record]) -> float:
    """Average the distances of the mean measures to those of Retrain, in points."""
    here, there = (
        np.array([[share(one, name)[0] for name in GAP_OF] for one in several]).mean(axis=0)
        for several in (records, retrains)
    )
    return float(100 * np.abs(here - there).mean())


def _std(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _relearned(records: Sequence[Record]) -> float | None:
    """Take the median over all seeds; None, longer than it was waited for, is the largest."""
    epochs = [e for record in records for e in record.get("relearn", {}).get("epochs", [])]
    median = np.median([math.inf if e is None else e for e in epochs]) if epochs else math.inf
    return float(median) if math.isfinite(median) else None


def _percent(part: str, whole: str) -> Callable[[Record], float | None]:
    return lambda record: 100 * record[part] / record[whole] if record[whole] else None


COUNTED: dict[str, Callable[[Record], float | None]] = {
    "rebound": lambda record: record["rebound"],
    "stability": lambda record: record["stability"],
    "kept": lambda record: record["kept"],
    "nonzero_in_all": lambda record: record["nonzero_in_all"],
    "zeros_trainable": lambda record: 100 - 100 * record["kept"] / record["trainable"],
    "zeros_state": lambda record: 100 - 100 * record["kept"] / record["state"],
    # What the authors' files of ViT-B/32 hold, the text part included (config/studies/paper.yaml).
    "zeros_files": lambda record: 100 - 100 * record["kept"] / 113448705,
    "kept_trainable": _percent("kept", "trainable"),
    "shrinking": _percent("shrinking", "kept"),
    "agreement": _percent("agreeing", "nonzero_in_all"),
}


def right(study: Study, cell: Cell, name: str, role: str) -> np.ndarray:
    """Read which images of a role a model gets right, 0 and 1."""
    folder = folder_of(study, cell)
    place = _place_of_rule(read_records(folder / "scores" / f"{name}.json"), cell)
    outcomes = read_tensors(folder / "outcomes" / f"{name}.safetensors")
    return outcomes[f"{place}/{role}_right"].astype(int)


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Test exactly whether each of two models is as likely to be the one that is right.

    Of n images on which they differ, k are right by the one: twice the share of the smaller tail of
    the binomial distribution with probability 1/2.
    """
    only_one, only_other = (int((pair > 0).sum()) for pair in (one - other, other - one))
    n = only_one + only_other
    tail = sum(math.comb(n, k) for k in range(min(only_one, only_other) + 1))
    return min(1.0, 2 * tail / 2**n)


def _check_amount(study, place: str, cell: Cell, singles: Sequence[Cell], ledger: Ledger) -> None:
    """Compare Original with Retrain, or CLIP with guessing, on the forget images."""
    known = [right(study, one, cell["method"], "forget") for one in singles]
    if cell["method"] == "original":
        unseen = [right(study, one, "retrain", "forget") for one in singles]
        shares = [one.mean() for one in unseen]
        variances = [np.var(a - b) / len(a) for a, b in zip(known, unseen, strict=True)]
        p = mcnemar(np.concatenate(known), np.concatenate(unseen))
    else:
        paths = [
            folder_of(study, one) / "outcomes" / f"{cell['method']}.safetensors" for one in singles
        ]
        shares = [1 / read_header(path)[0]["classes"]["forget"] for path in paths]
        variances = [one.mean() * (1 - one.mean()) / len(one) for one in known]
        chance = sum(q * (1 - q) / len(one) for q, one in zip(shares, known, strict=True))
        distance = abs(sum(one.mean() for one in known) - sum(shares))
        p = math.erfc(distance / math.sqrt(2 * chance))
    expected = {
        "value": 100 * float(np.mean([one.mean() for one in known]) - np.mean(shares)),
        "reference": 100 * float(np.mean(shares)),
        "standard_error": 100 * math.sqrt(sum(variances)) / len(singles),
        "p_value": p,
        "images": sum(map(len, known)),
    }
    stored = {key: number(cell[key]) for key in expected}
    ledger.values(AMOUNT, place, stored, expected, ROUNDING)


def _check_test(study, place: str, cell: Cell, column: Sequence[Cell], ledger: Ledger) -> None:
    """Compare a row with the best of its column, where a test of single images decides."""
    of_one_accuracy = cell["metric"] in ("forget", "control") and cell["better"] != "reference"
    if not of_one_accuracy or int(cell["averaged"]) > 1:
        return ledger.leave_out(BOOTSTRAP, "images are drawn anew, by lot")
    rows = [c for c in column if c["metric"] == cell["metric"] and c["experiment"] != MEAN]
    images = {one["row"]: right(study, one, one["method"], cell["metric"]) for one in rows}
    best = (min if cell["better"] == "lower" else max)(images, key=lambda row: images[row].mean())
    p = mcnemar(images[cell["row"]], images[best])
    amounts = [c for c in column if c["metric"] == "to_forget" and c["experiment"] == MEAN]
    is_little = any(
        float(amount["value"]) < FEW_POINTS or float(amount["p_value"]) > SIGNIFICANCE
        for amount in amounts
    )
    expected = {"p_value": p, "with_best": MISSING if is_little else str(p > SIGNIFICANCE)}
    stored = {"p_value": float(cell["p_value"]), "with_best": cell["with_best"]}
    return ledger.values(MCNEMAR, place, stored, expected, ROUNDING)
