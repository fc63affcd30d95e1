"""What the mask does: scores of merges beside how many numbers they keep, and which.

Agreement of signs may have other causes than that models learned the same: chance, or weight decay,
which pulls the weights of all models towards 0. And a merge that keeps few numbers may gain by that
alone. Tables of kind `mask` hold the shares that tell.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

import pandas as pd

from negmerge.reporting.metrics import GAP_OF, MEAN, METRICS, Metric
from negmerge.reporting.records import LABELS

SCORED = "control"  # what is scored in the scenario zero-shot only
IN_GAP = tuple(metric for metric in METRICS["gap"] if metric.name in (*GAP_OF, "gap"))


def metrics_of(kind: str, measured: Collection[str]) -> tuple[Metric, ...]:
    """List what a column of a table shows; in tables of kind `mask` that depends on the scenario.

    Args:
        kind: the kind of the table.
        measured: what there is: the keys of a record, or the names of metrics.
    """
    if kind != "mask":
        return METRICS[kind]
    return (METRICS["accuracy"] if SCORED in measured else IN_GAP) + METRICS[kind]


def join(records: Iterable[Mapping]) -> list[dict]:
    """Put the counts of each vector beside the scores of the models that it was subtracted from.

    A merged vector is the same whatever rule chose its coefficient, and then counted once.

    Args:
        records: scores, and counts from `evaluation.sparsity`, in any order.
    """
    records = list(records)
    counts = {_place(record): record for record in records if "kept" in record}
    joined = []
    for score in records:
        if "kept" not in score:
            *where, method = _place(score)
            joined.append({**counts.get((*where, method), {}), **score})
    return joined


def _place(record: Mapping) -> tuple[str, ...]:
    return tuple(record[label] for label in LABELS)


def _percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None


# How each metric follows from a record; None where it is a share of nothing.
SHARES = {
    "kept_trainable": lambda record: _percent(record["kept"], record["trainable"]),
    "shrinking": lambda record: _percent(record["shrinking"], record["kept"]),
    "agreement": lambda record: _percent(record["agreeing"], record["voting"]),
    "voting": lambda record: record["voting"],
}


def _chance(models: str) -> str:
    """Spell how often K signs drawn by lot are all + or all -, each with probability 2^-K."""
    return f"{100 * 2.0 ** (1 - int(models)):.3g} % = 2^(1 - {models})"


def mask_notes(cells: pd.DataFrame) -> Iterator[str]:
    """Say what the shares are, and how much agreement there is and would be by chance.

    Args:
        cells: from `tables.cells` or `tables.read_cells`; all rows merge the same vectors.
    """
    yield (
        "numbers kept: those that are not zero, of the trainable ones. Of them shrink the base: "
        "fine-tuning moved these weights towards 0 (vector x base < 0), as weight decay does in "
        "all models, whatever the images are; of signs drawn by lot it would be half."
    )
    means = cells[cells["experiment"] == MEAN]
    for label, column in means.groupby("column", sort=False):
        found = column[column["row"] == column["row"].iloc[0]].set_index("metric")
        value = found["value"]
        averaged = " (means)" if found["averaged"].iloc[0] > 1 else ""
        models = found["models"].iloc[0].split()
        yield (
            f"{label}: of the {value['voting']:,.0f} trainable numbers that are zero in none of "
            f"the {' or '.join(models)} vectors, {value['agreement']:.2f} % have one sign in "
            f"all{averaged}; by chance it would be {' or '.join(map(_chance, models))}."
        )
    if "gap" in set(cells["metric"]):
        yield (
            "Scores of a classifier are best where they are closest to Retrain's, which stand in "
            "the headings; average gap: the mean distance to them, in points, of the means shown."
        )
