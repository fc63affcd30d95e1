"""Tables of kind `durability`: scores of treated models, and their ratios, from single items."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from recomputation.study import Study, read_records, read_tensors

KIND = "scores under treatment"
TREATMENTS = ("as_is", "int8", "int4", "nf4", "relearned")
ROLES = ("forget", "control", "retain")
RATIOS = ("lasting", "inverse", "likeness")
DONE = ("rounded", "numbers", "group_size", "epochs", "learning_rate")

# Whether there is no model after teaching it again.
DIVERGED = "diverged_relearned"

Items = dict[str, np.ndarray]


def is_lasting(metric: str) -> bool:
    """Whether a metric is one of such tables."""
    role, _, treatment = metric.partition("_")
    return metric in (*DONE, DIVERGED) or (role in (*ROLES, *RATIOS) and treatment in TREATMENTS)


def expected(study: Study, cells: Sequence[dict[str, str]], metric: str) -> dict:
    """Compute what stands in a cell that averages others."""
    found = [_number(study, cell, metric) for cell in cells]
    values = [value for value, _ in found]
    known = None not in values
    several = known and len(values) > 1
    result = {
        "value": float(np.mean(values)) if known else None,
        "std": float(np.std(values, ddof=1)) if several else None,
    }
    if known and metric.partition("_")[0] in ROLES:
        result["standard_error"] = math.sqrt(sum(error**2 for _, error in found)) / len(found)
    return result


def _number(study: Study, cell: dict[str, str], metric: str) -> tuple[float | None, float]:
    """Compute the value of a single cell, and of a score its standard error."""
    folder = study.folder / cell["experiment"] / cell["task"] / "durability"
    records = read_records(folder / f"{cell['method']}.json")
    rules = [record["criterion"] for record in records]
    number = rules.index(cell["criterion"]) if cell["criterion"] in rules else 0
    record, items = records[number], _items(folder / f"{cell['method']}.safetensors", number)
    if metric in DONE:
        return record[metric], 0.0
    if metric == DIVERGED:
        return float(record["forget_relearned"] is None), 0.0
    name, _, treatment = metric.partition("_")
    if record.get(f"forget_{treatment}") is None:
        return None, 0.0
    if name in ROLES:
        of_items = items[metric].astype(float)
        assert math.isclose(of_items.sum(), record[metric]["correct"], rel_tol=1e-12)
        return 100 * of_items.mean(), 100 * of_items.std() / math.sqrt(record[metric]["n"])
    before, after = (100 * items[f"forget_{one}"].mean() for one in ("as_is", treatment))
    if treatment != "relearned":
        return _percent(ROUNDING[name], before, after), 0.0
    never = folder / "retrain.safetensors"
    if not never.exists():
        return None, 0.0
    first = _items(never, 0)
    if "forget_relearned" not in first:
        return None, 0.0
    gains = after - before, 100 * (first["forget_relearned"].mean() - first["forget_as_is"].mean())
    return _percent(RELEARNING[name], *gains), 0.0


def _items(path: Path, number: int) -> Items:
    found = read_tensors(path)
    start = f"{number}/"
    return {key.removeprefix(start): found[key] for key in found if key.startswith(start)}


def _percent(ratio: Callable[[float, float], float | None], one: float, other: float):
    found = ratio(one, other)
    return None if found is None else 100 * found


def _share(part: float, whole: float) -> float | None:
    """A part of a whole, at most all of it."""
    return (None if part == 0 else 1.0) if whole == 0 else min(part / whole, 1.0)


def _likeness(one: float, other: float) -> float | None:
    size = abs(one) + abs(other)
    return 1 - abs(one - other) / size if size else None


ROUNDING = {
    "lasting": _share,
    "inverse": lambda before, after: _share(after, before),
    "likeness": _likeness,
}
RELEARNING = {
    "lasting": lambda gain, first: min(first / gain, 1.0) if gain > 0 <= first else None,
    "likeness": _likeness,
}
