"""The cells of a table: means over experiments and tasks, beside the paper's cells."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from negmerge.errors import UserError
from negmerge.evaluation.outcomes import Outcomes
from negmerge.files import write_text
from negmerge.reporting.judged import Judged, amount_cells
from negmerge.reporting.marks import MARKS
from negmerge.reporting.mask import metrics_of
from negmerge.reporting.metrics import MEAN, RETRAIN, Metric, scored
from negmerge.reporting.published import NOT_KNOWN, paper_cell
from negmerge.reporting.records import LABELS
from negmerge.reporting.summary import DIGITS, summary

COLUMNS = (
    "column", "row", "method", "metric", "unit", "better", "reference", "experiment", "task",
    "value", "standard_error", "std", "lowest", "highest", "runs", "p_value", "with_best",
    "averaged", "images", "coefficient", "choice", "kind", "tried", *MARKS, "rule", "keep", "data",
    "models", "trainable", "state", "paper", "comparable", "difference",
)  # fmt: skip
# Numbers among them are lists where a cell averages over records that differ in them.
TEXT_COLUMNS = (
    "column", "row", "method", "metric", "unit", "better", "experiment", "task", "coefficient",
    "choice", "kind", "tried", "rule", "keep", "data", "models", "trainable", "state",
)  # fmt: skip


def cells(
    table: Mapping,
    records: Iterable[Mapping],
    published: Mapping[str, pd.DataFrame],
    outcomes: Iterable[Outcomes] = (),
) -> pd.DataFrame:
    """Compute the cells of a table, in the order of its columns, rows and metrics.

    Of each column, row and metric there is the mean over the column's experiments and tasks
    (`mean` in both columns), and then each single cell. Accuracies are in percent, and
    their standard error is the binomial one of finite sets of images, in points:
    sqrt(sum p (1 - p) / n) / k for the mean of k accuracies p on n images; that of an average gap
    comes from the bootstrap. `std` is over the k cells (divisor k - 1). Before them, and without a
    row, stands how much there is to forget (`metrics.TO_FORGET`), see `amount.amount`. `p_value`
    and `with_best` compare with the column's best row, see `ranking.rank`; where there is little to
    forget no row is `with_best`. What there is not, is missing.

    Args:
        table: the definition of the table, as in a study.
        records: scores (kinds `accuracy` and `gap`), counts of zeros (kind `sparsity`), both in
            one from `mask.join` (kind `mask`), or costs.
        published: the paper's cells by file, from `read_published`.
        outcomes: of single images, for the scores; without any, nothing is compared.

    Raises:
        UserError: two columns or rows have the same label, a record is missing, stands twice or
            has no images, or the paper's cells cannot be looked up.
    """
    _check_labels([column["label"] for column in table["columns"]])
    _check_labels(list(table["rows"].values()))
    kind, found = table["kind"], _by_place(records)
    of_images = {one.place: one for one in outcomes}
    rows = []
    for column in table["columns"]:
        places = _places(column, found)
        shown = {
            method: [_record(found, column, (*place, method)) for place in places]
            for method in table["rows"]
        }
        metrics = metrics_of(kind, next(iter(shown.values()))[0])
        references = None
        if any(metric.name == "gap" for metric in metrics):
            references = [_record(found, column, (*place, RETRAIN)) for place in places]
        scores = scored([metric.name for metric in metrics])
        amounts = amount_cells(scores, places, of_images)
        rows += [{"column": column["label"]} | cell for cell in amounts]
        judged = Judged(scores, places, shown, references, of_images, amounts)
        for method, label in table["rows"].items():
            here = shown[method]
            for metric in metrics:
                labels = {
                    "column": column["label"],
                    "row": label,
                    "method": method,
                    "metric": metric.name,
                    "unit": metric.unit,
                    "better": metric.better or None,
                }
                mean = {"experiment": MEAN, "task": MEAN} | summary(here, metric, references)
                mean |= _paper(column["published"], published, label, metric, mean["value"])
                rows.append(labels | mean | judged.mean(method, metric))
                for place, record in enumerate(here):
                    where = {"experiment": record["experiment"], "task": record["task"]}
                    own = references and [references[place]]
                    single = summary([record], metric, own) | judged.single(method, metric, place)
                    rows.append(labels | where | single)
    return pd.DataFrame(rows, columns=list(COLUMNS)).round(DIGITS)


def write_cells(path: str | Path, frame: pd.DataFrame) -> None:
    """Write cells as CSV, with `NA` for what is missing."""
    text = frame.astype(object).to_csv(index=False, na_rep=NOT_KNOWN, lineterminator="\n")
    write_text(path, text)


def read_cells(path: str | Path) -> pd.DataFrame:
    """Read what `write_cells` wrote."""
    text = dict.fromkeys(TEXT_COLUMNS, str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[NOT_KNOWN])


def _check_labels(labels: Sequence[str]) -> None:
    """Refuse equal labels: cells are told apart by them."""
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"a table has the label {label!r} twice, expected different labels")


def _by_place(records: Iterable[Mapping]) -> dict[tuple[str, str, str], Mapping]:
    """Order records by experiment, task and method."""
    found = {}
    for record in records:
        place = tuple(record[label] for label in LABELS)
        if place in found:
            raise UserError(f"two records of {'/'.join(place)}, expected one")
        found[place] = record
    return found


def _places(column: Mapping, found: Mapping) -> list[tuple[str, str]]:
    """List the experiments and tasks of a column; without tasks, all that there are."""
    places = []
    for experiment in column["experiments"]:
        present = sorted({task for name, task, _ in found if name == experiment})
        places += [(experiment, task) for task in column["tasks"] or present]
    if not places:
        raise UserError(f"column {column['label']!r}: no records of {column['experiments']}")
    return places


def _record(found: Mapping, column: Mapping, place: tuple[str, str, str]) -> Mapping:
    """Find a record; of what the column's rule chose, if that is not the main rule."""
    *where, method = place
    chosen = (*where, f"{method}.{column.get('rule')}")
    if column.get("rule") and chosen in found:
        return found[chosen]
    if place not in found:
        raise UserError(f"column {column['label']!r}: no record of {'/'.join(place)}")
    return found[place]


def _paper(
    published: Mapping | None,
    frames: Mapping[str, pd.DataFrame],
    row: str,
    metric: Metric,
    value: float,
) -> dict:
    """Give the paper's cell and how far ours lies above it, where both are known."""
    if published is None:
        return {}
    cell = paper_cell(frames, published, row, metric.name)
    compare = published["comparable"] and cell is not None
    return {
        "paper": cell,
        "comparable": published["comparable"],
        "difference": round(value - cell, DIGITS) if compare else None,
    }
