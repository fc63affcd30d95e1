"""The cells of a table: means over experiments and tasks, beside the cells of the paper."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from negmerge import plugins
from negmerge.checkpoints.divergence import DIVERGED, is_nothing_left
from negmerge.errors import UserError, unknown
from negmerge.evaluation.outcomes import Outcomes
from negmerge.files import write_text
from negmerge.reporting.compare import amount_cells, judge
from negmerge.reporting.records import MEAN, of_criterion
from negmerge.scenarios import SCENARIOS
from negmerge.scenarios.base import Metric, place_of
from negmerge.settings.methods import RETRAIN

NOT_KNOWN = "NA"
# The sources in config/published/README.md that are copies or measurements of others.
SECOND_HAND = {"NOTE", "COMP", "ABDU", "SEED", "PERTA", "UDS"}


def read_published(paths: Iterable[str | Path]) -> dict[str, pd.DataFrame]:
    """Read files of published cells as text; `NA` stays `NA`."""
    frames = {}
    for path in map(Path, paths):
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read as CSV: {error}".replace("\n", " ")) from error
        for column in ("metric", "value"):
            if column not in frame:
                raise UserError(f"{path}: {unknown('column', column, frame.columns)}")
        frames[path.stem] = frame
    return frames


def paper_cell(
    frames: Mapping[str, pd.DataFrame], published: Mapping, row: str, metric: str
) -> tuple[float | None, str | None]:
    """Look up one cell of the paper, and who says so."""
    table = published["table"]
    file = f"{table}.csv"
    if table not in frames:
        raise UserError(f"published cells: {unknown('file', file, [f'{f}.csv' for f in frames])}")
    frame = frames[table]
    wanted = {**published["where"], published["row"]: row, "metric": metric}
    for column, value in wanted.items():
        if column not in frame:
            raise UserError(f"{file}: {unknown('column', column, frame.columns)}")
        frame = frame[frame[column] == value]
    if len(frame) > 1:
        raise UserError(f"{file}: {len(frame)} rows fit {wanted}, expected one; add to `where`")
    if frame.empty or frame["value"].iloc[0] == NOT_KNOWN:
        return None, None
    value = frame["value"].iloc[0]
    try:
        return float(value), frame["source"].iloc[0] if "source" in frame else None
    except ValueError:
        raise UserError(f"{file}: {wanted}: value {value!r} is not a number") from None


def is_second_hand(source: str | float | None) -> bool:
    """Whether one of the sources of a cell, `NOTE+ZSJSON`, copied it or measured it anew."""
    return isinstance(source, str) and not SECOND_HAND.isdisjoint(source.split("+"))


@dataclass(frozen=True)
class Mark:
    """A mark."""

    sign: str  # what is printed
    text: str  # what it means
    # Whether a score or a choice has it; without the key, it does not.
    applies: Callable[[Mapping], bool]


def _is_unsearched(record: Mapping) -> bool:
    """Whether only one setting was tried; the base and Retrain have none to search."""
    return not record.get("searched", True) and record.get("kind") not in ("base", "retrain")


NOTHING_LEFT = "nothing_left"
MARKS = {
    "upper_end": Mark(
        "†",
        "chosen at the upper end of the grid, of all that was tried; a larger one might do better.",
        lambda record: record.get("upper_end", False),
    ),
    "lower_end": Mark(
        "§",
        "chosen next to leaving the model alone, the smallest that was tried, or at the lower end "
        "of an option's grid; a smaller one might do better.",
        lambda record: record.get("lower_end", False),
    ),
    "unchanged": Mark(
        "¶",
        "nothing that was tried did better by the rule than leaving the model alone: the numbers "
        "are those of the unchanged model.",
        lambda record: record.get("unchanged", False),
    ),
    "unsearched": Mark(
        "°", "one setting, and no other was tried; rows with a grid chose among several.",
        _is_unsearched,
    ),
    NOTHING_LEFT: Mark(
        "∅",
        "NA, since the training of all that the row could be made of, or choose among, diverged: "
        "its numbers became NaN or infinite.",
        is_nothing_left,
    ),
}  # fmt: skip


def signs(record: Mapping) -> str:
    """Return the signs of all marks of a score or a choice."""
    return "".join(mark.sign for mark in MARKS.values() if mark.applies(record))


COLUMNS = (
    "column", "row", "method", "metric", "unit", "better", "reference", "experiment", "task",
    "value", "standard_error", "std", "lowest", "highest", "runs", "p_value", "with_best",
    "averaged", "images", "coefficient", "choice", "kind", "tried", *MARKS, "rule", "keep",
    "data_used", "models", "diverged", "trainable", "state", "paper", "paper_source", "comparable",
    "difference",
)  # fmt: skip
# Numbers among them are lists where a cell averages over records that differ in them.
TEXT_COLUMNS = (
    "column", "row", "method", "metric", "unit", "better", "experiment", "task", "coefficient",
    "choice", "kind", "tried", "rule", "keep", "data_used", "models", "diverged", "trainable",
    "state", "paper_source",
)  # fmt: skip
# Six digits after the point: far below any standard error, and free of the last bits that differ
# between machines.
DIGITS = 6


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
    row, stands how much there is to forget (`metrics.TO_FORGET`), see `compare.amount`. `p_value`
    and `with_best` compare with the column's best row, see `compare.rank`; where there is little to
    forget no row is `with_best`. What there is not, is missing.
    """
    _check_labels([column["label"] for column in table["columns"]])
    _check_labels(list(table["rows"].values()))
    kind = plugins.load(plugins.TABLES, table["kind"]).KIND
    records = [(place_of(record), record.get("rule"), record) for record in records]
    outcomes = [(one.place, one.rule, one) for one in outcomes]
    rows = []
    for column in table["columns"]:
        rule = column.get("criterion")
        found, of_images = of_criterion(records, rule), of_criterion(outcomes, rule)
        places = _places(column, found)
        shown = {
            method: [_record(found, column, (*place, method)) for place in places]
            for method in table["rows"]
        }
        metrics = kind.metrics_of(SCENARIOS[column["scenario"]], next(iter(shown.values()))[0])
        scenario, references = kind.scored(column), None
        if scenario and scenario.aims_at_retrain:
            references = [_record(found, column, (*place, RETRAIN)) for place in places]
        elif scenario and all((*place, RETRAIN) in found for place in places):
            references = [found[*place, RETRAIN] for place in places]
        amounts = amount_cells(scenario, places, of_images)
        rows += [{"column": column["label"]} | cell for cell in amounts]
        rivals = references if scenario and scenario.aims_at_retrain else None
        whole = {row: found for row, found in shown.items() if not any(map(is_nothing_left, found))}
        judged = judge(scenario, places, whole, rivals, of_images, amounts)
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
                rows.append(labels | mean | judged.get((method, metric.name, None), {}))
                for place, record in enumerate(here):
                    where = {"experiment": record["experiment"], "task": record["task"]}
                    own = references and [references[place]]
                    single = summary([record], metric, own)
                    rows.append(
                        labels | where | single | judged.get((method, metric.name, place), {})
                    )
    return pd.DataFrame(rows, columns=list(COLUMNS)).round(DIGITS)


def write_cells(path: str | Path, frame: pd.DataFrame) -> None:
    """Write cells as CSV, with `NA` for what is missing."""
    text = frame.astype(object).to_csv(index=False, na_rep=NOT_KNOWN, lineterminator="\n")
    write_text(path, text)


def read_cells(path: str | Path) -> pd.DataFrame:
    """Read what `write_cells` wrote."""
    text = dict.fromkeys(TEXT_COLUMNS, str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[NOT_KNOWN])


def summary(
    records: Sequence[Mapping], metric: Metric, references: Sequence[Mapping] | None
) -> dict:
    """Average one metric over records, with where the number comes from."""
    compared = references or [None] * len(records)
    numbers = [metric.measure(*both) for both in zip(records, compared, strict=True)]
    known = [one.value for one in numbers if one.value is not None]
    chosen = [record for record in records if _coefficient(record) is not None]
    is_known = len(known) == len(numbers)
    found = {
        "value": statistics.fmean(known) if is_known else None,
        "std": statistics.stdev(known) if is_known and known[1:] else None,
        "reference": _reference(references, metric),
        "averaged": len(numbers),
        "coefficient": _join(_coefficient(record) for record in records),
        "choice": _join(dict.fromkeys(_choice(record) for record in records)),
        **{name: any(map(mark.applies, records)) for name, mark in MARKS.items()},
        "data_used": _join(dict.fromkeys(_data_used(record) for record in records)),
        DIVERGED: _join(
            dict.fromkeys(one for record in records for one in record.get(DIVERGED, ()))
        ),
        **{key: _distinct(chosen, key) for key in ("rule", "keep")},
        **{
            key: _distinct(records, key)
            for key in ("kind", "tried", "models", "trainable", "state")
        },
    }
    if all(one.variance is not None for one in numbers):
        error = math.sqrt(sum(one.variance for one in numbers)) / len(numbers)
        found["standard_error"] = round(error, DIGITS)
    if all(one.images is not None for one in numbers):
        found["images"] = sum(one.images for one in numbers)
    if metric.over and not any(map(is_nothing_left, records)):
        found |= metric.over(records, references)
    rounded = {key: found[key] for key in ("value", "std") if found[key] is not None}
    return found | {key: round(value, DIGITS) for key, value in rounded.items()}


def _check_labels(labels: Sequence[str]) -> None:
    """Refuse equal labels: they identify cells."""
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"a table has the label {label!r} twice, expected different labels")


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
    if place not in found:
        rule = f" by rule {column['criterion']}" if column.get("criterion") else ""
        raise UserError(f"column {column['label']!r}: no record of {'/'.join(place)}{rule}")
    return found[place]


def _paper(
    published: Mapping | None,
    frames: Mapping[str, pd.DataFrame],
    row: str,
    metric: Metric,
    value: float | None,
) -> dict:
    """Return the paper's cell and how far ours is above it, if both are known."""
    if published is None:
        return {}
    cell, source = paper_cell(frames, published, row, metric.name)
    compare = published["comparable"] and None not in (cell, value)
    return {
        "paper": cell,
        "paper_source": source,
        "comparable": published["comparable"],
        "difference": round(value - cell, DIGITS) if compare else None,
    }


def _reference(references: Sequence[Mapping] | None, metric: Metric) -> float | None:
    """Return Retrain's mean, where being close to it is what counts."""
    if references is None or metric.better != "reference":
        return None
    values = [metric.measure(reference).value for reference in references]
    return None if None in values else round(statistics.fmean(values), DIGITS)


def _coefficient(record: Mapping) -> str | None:
    """Spell a record's coefficient; a model that nothing was subtracted from has none."""
    none = record.get("vector") is None or record.get("coefficient") is None
    return None if none else f"{record['coefficient']:.10g}"


def _choice(record: Mapping) -> str | None:
    """Spell what was chosen: a coefficient, or the setting of a model that was trained with it.

    Such a model is named after the setting, `learning_rate0.01`, or, where none was searched, like
    its method.
    """
    kind = record.get("kind")
    if kind == "retrain":
        return None
    if kind != "unlearn" or record.get("vector") is None:
        return _coefficient(record)
    is_setting = record["coefficient"] and record["vector"] != record["method"]
    return record["vector"] if is_setting else None


def _data_used(record: Mapping) -> str | None:
    """Return which training images the method reads, and what share of them that is."""
    used = record.get("data_used")
    if "retain" not in record or used in (None, "-"):
        return used
    sizes = {role: record[role]["n"] for role in ("forget", "retain")}
    share = sizes.get(used, sum(sizes.values())) / sum(sizes.values())
    return f"{used} ({100 * share:.0f} %)"


def _distinct(records: Iterable[Mapping], key: str) -> str | None:
    """List the known values of a key in the order in which they first occur."""
    known = [record[key] for record in records if record.get(key) is not None]
    return _join(dict.fromkeys(map(str, known)))


def _join(texts: Iterable[str | None]) -> str | None:
    return " ".join(text for text in texts if text is not None) or None
