"""The cells of a table: means over experiments and tasks, beside the cells of the paper."""

import math
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd

from negmerge import plugins
from negmerge.checkpoints.divergence import DIVERGED, TIMES, is_nothing_left
from negmerge.errors import UserError, unknown
from negmerge.evaluation.outcomes import ENSEMBLE, Outcomes
from negmerge.files import write_text
from negmerge.reporting.compare import amount_cells, compare
from negmerge.reporting.records import FOOTNOTES, KEEPS_MORE, MEAN
from negmerge.scenarios.base import Metric, Scenario, place_of
from negmerge.seeds import seed_number
from negmerge.settings.methods import RETRAIN

T = TypeVar("T")
NOT_KNOWN = "NA"
# The sources in config/published/README.md that are copies or measurements of others.
SECOND_HAND = {"NOTE", "COMP", "ABDU", "SEED", "PERTA", "UDS"}
COLUMNS = (
    "column", "row", "method", "metric", "unit", "better", "reference", "experiment", "task",
    "value", "standard_error", "std", "seeds", "lowest", "highest", "runs", "p_value",
    "p_negmerge", "with_best", "averaged", "images", "coefficient", "choice", "kind", "tried",
    *FOOTNOTES, "criterion", "by", "among", "keep", "data_used", "trained_on", "models", "diverged",
    TIMES, ENSEMBLE,
    "trainable", "state", "paper", "paper_source", "comparable", "difference",
)  # fmt: skip
# Numbers among them are lists where a cell averages over records that differ in them.
TEXT_COLUMNS = (
    "column", "row", "method", "metric", "unit", "better", "experiment", "task", "coefficient",
    "choice", "kind", "tried", "criterion", "by", "among", "keep", "data_used", "trained_on",
    "models", "diverged", TIMES, ENSEMBLE, "trainable", "state", "paper_source",
)  # fmt: skip
# Six digits after the point: far below any standard error, and free of the last bits that differ
# between machines.
DIGITS = 6


def read_published(paths: Iterable[str | Path]) -> dict[str, pd.DataFrame]:
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


def cells(
    table: Mapping,
    records: Iterable[Mapping],
    published: Mapping[str, pd.DataFrame],
    outcomes: Iterable[Outcomes] = (),
) -> pd.DataFrame:
    """Compute the cells of a table, in the order of its columns, rows and metrics.

    Each column begins with how much there is to forget (`records.TO_FORGET`), without a row. Then
    comes, of each row and metric, the mean over the column's experiments and tasks (`mean` in both
    columns), and each single cell. A cell without a number is missing.
    """
    for labels in ([column["label"] for column in table["columns"]], list(table["rows"].values())):
        for label in labels:
            if labels.count(label) > 1:  # labels identify cells
                raise UserError(f"a table has the label {label!r} twice, expected different labels")
    records = [(place_of(record), record.get("criterion"), record) for record in records]
    outcomes = [(of_row.place, of_row.criterion, of_row) for of_row in outcomes]
    rows = []
    for column in table["columns"]:
        chosen, items = (of_criterion(x, column.get("criterion")) for x in (records, outcomes))
        for cell in _column(table, column, chosen, published, items):
            rows.append({"column": column["label"]} | cell)
    return pd.DataFrame(rows, columns=list(COLUMNS)).round(DIGITS)


def _column(
    table: Mapping, column: Mapping, records: Mapping, published: Mapping, outcomes: Mapping
) -> Iterator[dict]:
    kind = plugins.load(plugins.TABLES, table["kind"]).KIND
    places = _places(column, records)

    def of_method(method: str) -> list[Mapping]:
        if missing := [place for place in places if (*place, method) not in records]:
            by = f" by criterion {column['criterion']}" if column.get("criterion") else ""
            what = "/".join((*missing[0], method))
            raise UserError(f"column {column['label']!r}: no record of {what}{by}")
        return [records[*place, method] for place in places]

    of_kind, references = kind.scenario(column), None
    scenario = of_kind if kind.is_scored else None
    shown = {method: of_method(method) for method in table["rows"]}
    if scenario is not None:
        bases = [records.get((*place, scenario.base)) for place in places]
        for method, own in shown.items():
            pairs = zip(own, bases, strict=True)
            shown[method] = [
                record | {KEEPS_MORE: base is not None and _keeps_more(scenario, record, base)}
                for record, base in pairs
            ]
    is_retrain_needed = scenario is not None and scenario.aims_at_retrain
    if is_retrain_needed or (scenario and all((*place, RETRAIN) in records for place in places)):
        references = of_method(RETRAIN)
    amounts = amount_cells(scenario, places, outcomes)
    yield from amounts
    whole = {row: own for row, own in shown.items() if not any(map(is_nothing_left, own))}
    rivals = references if is_retrain_needed else None
    comparisons = compare(scenario, places, whole, rivals, outcomes, amounts)
    metrics = kind.metrics_of(of_kind, next(iter(shown.values()))[0])
    for method, label in table["rows"].items():
        for metric in metrics:
            labels = {"row": label, "method": method, "metric": metric.name, "unit": metric.unit}
            labels |= {"better": metric.better or None}
            mean = {"experiment": MEAN, "task": MEAN}
            mean |= summary(shown[method], metric, of_kind, references)
            if where := column["published"]:
                paper, source = paper_cell(published, where, label, metric.name)
                rows = where["comparable"]
                is_like = bool(rows)
                if isinstance(rows, Mapping):
                    like = {**where, "where": {**where["where"], **rows}}
                    is_like = None not in paper_cell(published, like, label, metric.name)[:1]
                mean |= {"paper": paper, "paper_source": source, "comparable": is_like}
                if is_like and None not in (paper, mean["value"]):
                    mean["difference"] = round(mean["value"] - paper, DIGITS)
            yield labels | mean | comparisons.get((method, metric.name, None), {})
            for number, record in enumerate(shown[method]):
                place = {"experiment": record["experiment"], "task": record["task"]}
                single = summary([record], metric, of_kind, references and [references[number]])
                compared = comparisons.get((method, metric.name, number), {})
                yield labels | place | single | compared


def _keeps_more(scenario: Scenario, record: Mapping, base: Mapping) -> bool:
    """Whether a model has more of what is to be kept than the base, beyond the standard error."""
    kept = next((m for m in scenario.metrics if m.name == scenario.roles[1]), None)
    if kept is None or kept.better != "higher" or is_nothing_left(record):
        return False
    own, before = kept.measure(record), kept.measure(base)
    variance = (own.variance or 0) + (before.variance or 0)
    return own.value - before.value > math.sqrt(variance)


def of_criterion(
    entries: Iterable[tuple[tuple[str, str, str], str | None, T]], criterion: str | None
) -> dict[tuple[str, str, str], T]:
    """Keep what one criterion chose, and else what none chose and so holds for all of them."""
    kept, known = {}, set()
    for place, own, entry in entries:
        if (place, own) in known:
            raise UserError(f"two records of {'/'.join(place)}, expected one")
        known.add((place, own))
        if own is None or criterion is None:
            kept.setdefault(place, entry)
        elif own == criterion:
            kept[place] = entry
    return kept


def _places(column: Mapping, records: Mapping) -> list[tuple[str, str]]:
    """List the experiments and tasks of a column; without tasks, all that there are."""
    places = []
    for experiment in column["experiments"]:
        present = sorted({task for name, task, _ in records if name == experiment})
        places += [(experiment, task) for task in column["tasks"] or present]
    if not places:
        raise UserError(f"column {column['label']!r}: no records of {column['experiments']}")
    return places


def write_cells(path: str | Path, frame: pd.DataFrame) -> None:
    text = frame.astype(object).to_csv(index=False, na_rep=NOT_KNOWN, lineterminator="\n")
    write_text(path, text)


def read_cells(path: str | Path) -> pd.DataFrame:
    """Read what `write_cells` wrote."""
    text = dict.fromkeys(TEXT_COLUMNS, str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[NOT_KNOWN])


def summary(
    records: Sequence[Mapping],
    metric: Metric,
    scenario: Scenario,
    references: Sequence[Mapping] | None,
) -> dict:
    """Average one metric over records, with where the number comes from.

    Numbers on the same items count as one in the standard error, with the mean of their errors,
    which is the most that it can be; of others it is sqrt(sum of their variances) / k. `std` is
    over the means of the seeds, where there are several, otherwise over the k numbers: divisor
    k - 1.
    """
    compared = references or [None] * len(records)
    numbers = [metric.measure(*both) for both in zip(records, compared, strict=True)]
    values = [number.value for number in numbers]
    is_known = None not in values
    by_seed: dict[int, list] = {}
    for record, value in zip(records, values, strict=True):
        by_seed.setdefault(seed_number(record["experiment"]), []).append(value)
    chosen = [record for record in records if _coefficient(record) is not None]
    cell = {
        "value": statistics.fmean(values) if is_known else None,
        "std": _spread(by_seed.values()) if is_known else None,
        "seeds": len(by_seed),
        "averaged": len(numbers),
        "coefficient": _join(_coefficient(record) for record in records),
        "choice": _distinct(map(_choice, records)),
        **{name: any(map(note.applies, records)) for name, note in FOOTNOTES.items()},
        "data_used": _distinct(map(_data_used, records)),
        "trained_on": _distinct(record.get("trained_on") for record in records),
        ENSEMBLE: "; ".join(filter(None, map(_ensemble, records))) or None,
        DIVERGED: _distinct(point for record in records for point in record.get(DIVERGED, ())),
    }
    for key in ("criterion", "keep"):
        cell[key] = _distinct(record.get(key) for record in chosen)
    # Of a choice with a name of its own: the criterion, and what it chose among.
    cell["by"] = _distinct(record.get("by", record.get("criterion")) for record in chosen)
    cell["among"] = ", ".join(dict.fromkeys(r["among"] for r in chosen if "among" in r)) or None
    for key in ("kind", "tried", "models", TIMES, "trainable", "state"):
        cell[key] = _distinct(record.get(key) for record in records)
    if references is not None and metric.better == "reference":
        known = [metric.measure(reference).value for reference in references]
        cell["reference"] = None if None in known else round(statistics.fmean(known), DIGITS)
    places, sizes = [place_of(record)[:2] for record in records], [n.images for n in numbers]
    groups = scenario.groups(metric.name, places, sizes)
    if all(number.variance is not None for number in numbers):
        errors = [sum(math.sqrt(numbers[n].variance) for n in group) for group in groups]
        cell["standard_error"] = round(math.hypot(*errors) / len(numbers), DIGITS)
    if None not in sizes:
        cell["images"] = sum(sizes[group[0]] for group in groups)
    if metric.over and not any(map(is_nothing_left, records)):
        cell |= metric.over(records, references)
    rounded = {key: cell[key] for key in ("value", "std") if cell[key] is not None}
    return cell | {key: round(value, DIGITS) for key, value in rounded.items()}


def _spread(by_seed: Collection[Sequence[float]]) -> float | None:
    if len(by_seed) > 1:
        return statistics.stdev(map(statistics.fmean, by_seed))
    values = next(iter(by_seed))
    return statistics.stdev(values) if values[1:] else None


def _coefficient(record: Mapping) -> str | None:
    """Spell a record's coefficient; a model that nothing was subtracted from has none."""
    is_missing = record.get("vector") is None or record.get("coefficient") is None
    return None if is_missing else f"{record['coefficient']:.10g}"


def _ensemble(record: Mapping) -> str | None:
    """Say of how many models the outputs are averaged, and how far two halves of them differ."""
    if ENSEMBLE not in record:
        return None
    one, other = record[ENSEMBLE]["forget_by_halves"]
    count = record[ENSEMBLE]["models"]
    return f"{count} models, forget accuracy {one:.2f} and {other:.2f} % by halves"


def _choice(record: Mapping) -> str | None:
    """Spell what was chosen: a coefficient, the options of a merge, or those of a trained model."""
    kind = record.get("kind")
    if kind != "unlearn" or record.get("vector") is None:
        spelled = None if kind == "retrain" else _coefficient(record)
        _, _, options = (record.get("vector") or "").partition(f"{record['method']}.")
        is_searched = options and kind == "merge" and record["coefficient"]
        return f"{options}-coefficient{spelled}" if is_searched else spelled
    is_setting = record["coefficient"] and record["vector"] != record["method"]
    return record["vector"] if is_setting else None


def _data_used(record: Mapping) -> str | None:
    """Return which training items the method reads, and where they are counted their share."""
    used = record.get("data_used")
    sizes = {role: record[role]["n"] for role in ("forget", "retain") if role in record}
    if len(sizes) < 2 or used in (None, "-"):
        return used
    share = sizes.get(used, sum(sizes.values())) / sum(sizes.values())
    return f"{used} ({100 * share:.0f} %)"


def _distinct(values: Iterable) -> str | None:
    return _join(dict.fromkeys(None if value is None else str(value) for value in values))


def _join(texts: Iterable[str | None]) -> str | None:
    return " ".join(text for text in texts if text is not None) or None
