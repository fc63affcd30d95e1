"""One number for one or several records: their mean, its spread, and where it comes from."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from negmerge.errors import UserError
from negmerge.evaluation.gap import average_gap
from negmerge.evaluation.uncertainty import binomial_error
from negmerge.reporting.marks import MARKS
from negmerge.reporting.mask import SHARES
from negmerge.reporting.metrics import GAP_OF, Metric
from negmerge.reporting.records import LABELS

# Six digits after the point: far below any standard error, and free of the last bits that differ
# between machines.
DIGITS = 6


@dataclass(frozen=True)
class Measured:
    """One number of one record: its value, its variance and the images behind it, if it has any.

    The value is missing (None) where something took longer than it was waited for.
    """

    value: float | None
    variance: float | None = None
    images: int | None = None


def summary(
    records: Sequence[Mapping], metric: Metric, references: Sequence[Mapping] | None
) -> dict:
    """Average one metric over records, with where the number comes from.

    The average gap is that of the means, as the paper computes it; `gap_of_trials` is the mean of
    the gaps of single records.

    Args:
        records: scores, counts of zeros, or costs.
        metric: what to measure.
        references: the scores of Retrain that belong to the records, for tables of kind `gap`.

    Raises:
        UserError: a record whose numbers cannot be.
    """
    compared = references or [None] * len(records)
    measured = [
        measure(record, metric, reference)
        for record, reference in zip(records, compared, strict=True)
    ]
    known = [one.value for one in measured if one.value is not None]
    mean = statistics.fmean(known) if len(known) == len(measured) else None
    if metric.name == "gap":
        mean = average_gap(means(records), means(references))
    several = mean is not None and known[1:]
    chosen = [record for record in records if _coefficient(record) is not None]
    found = {
        "value": None if mean is None else round(mean, DIGITS),
        "std": round(statistics.stdev(known), DIGITS) if several else None,
        "reference": _reference(references, metric),
        "averaged": len(measured),
        "coefficient": _join(_coefficient(record) for record in records),
        "choice": _join(dict.fromkeys(_choice(record) for record in records)),
        "kind": _join(_distinct(records, "kind")),
        "tried": _join(_distinct(records, "tried")),
        **{name: any(map(mark.applies, records)) for name, mark in MARKS.items()},
        "rule": _join(_distinct(chosen, "rule")),
        "keep": _join(_distinct(chosen, "keep")),
        "data": _join(dict.fromkeys(_data(record) for record in records)),
        "models": _join(_distinct(records, "models")),
        "trainable": _join(_distinct(records, "trainable")),
        "state": _join(_distinct(records, "state")),
    }
    if measured[0].variance is not None:
        error = math.sqrt(sum(one.variance for one in measured)) / len(measured)
        found["standard_error"] = round(error, DIGITS)
    if measured[0].images is not None:
        found["images"] = sum(one.images for one in measured)
    if metric.name == "relearn":
        found |= {"std": None} | relearned(records)
        found["reference"] = relearned(references)["value"] if references else None
    return found


def relearned(records: Sequence[Mapping]) -> dict:
    """Give the median and the range of relearn times, over all seeds of all records.

    Returns:
        `value`, `lowest` and `highest` in epochs, missing (None) where it took longer than it was
        waited for, and `runs`; nothing but a missing value where none was measured.
    """
    times = [
        math.inf if epochs is None else epochs
        for record in records
        for epochs in record.get("relearn", {}).get("epochs", [])
    ]
    if not times:
        return {"value": None}
    ends = {"value": statistics.median(times), "lowest": min(times), "highest": max(times)}
    known = {name: epochs if math.isfinite(epochs) else None for name, epochs in ends.items()}
    return known | {"runs": len(times)}


def measure(record: Mapping, metric: Metric, reference: Mapping | None) -> Measured:
    """Read one metric of one record; gaps are measured to the reference.

    Raises:
        UserError: the record does not have it, or has numbers that cannot be.
    """
    try:
        return _measure(record, metric, reference)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"record of {_place(record)}: the {metric.label or metric.name} cannot be read "
            f"({error!r}); delete the file and run again"
        ) from error


def _measure(record: Mapping, metric: Metric, reference: Mapping | None) -> Measured:
    name = metric.name
    if name in ("kept", "seconds", "memory"):
        return Measured(record[name])
    if name in SHARES:
        return Measured(SHARES[name](record))
    if name.startswith("zeros_"):
        return Measured(100 * (1 - record["kept"] / record[name.removeprefix("zeros_")]))
    if name == "mia" or name.startswith("mia_"):
        attack = record["membership"][name.removeprefix("mia_") if "_" in name else MIA]
        return Measured(attack, (100 * binomial_error(attack / 100, record["forget"]["n"])) ** 2)
    if name == "relearn":
        return Measured(relearned([record])["value"])
    if name in ("gap", "gap_of_trials"):
        return Measured(average_gap(means([record]), means([reference])))
    correct, n = record[name]["correct"], record[name]["n"]
    if not 0 <= correct <= n or n == 0:
        raise UserError(f"score of {_place(record)}: {name}: {correct} right of {n} images")
    return Measured(100 * correct / n, (100 * binomial_error(correct / n, n)) ** 2, n)


def _place(record: Mapping) -> str:
    return "/".join(str(record[label]) for label in LABELS)


# The feature of the attack that the papers report.
MIA = "confidence"


def means(records: Sequence[Mapping]) -> dict[str, float]:
    """Average each part of the gap."""
    return {
        name: statistics.fmean(
            measure(record, Metric(name, "", "", ""), None).value for record in records
        )
        for name in GAP_OF
    }


def _reference(references: Sequence[Mapping] | None, metric: Metric) -> float | None:
    """Give Retrain's mean, where being close to it is what counts."""
    if references is None or metric.better != "reference":
        return None
    values = [measure(reference, metric, None).value for reference in references]
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
    method = record["method"].partition(".")[0]
    is_setting = record["coefficient"] and record["vector"] != method
    return record["vector"] if is_setting else None


def _data(record: Mapping) -> str | None:
    """Say which training images the method reads, and what share of them that is.

    Also where the model was left alone in the end: the method read them to get there.
    """
    uses = record.get("uses")
    if "retain" not in record or uses in (None, "-"):
        return uses
    sizes = {role: record[role]["n"] for role in ("forget", "retain")}
    share = sizes.get(uses, sum(sizes.values())) / sum(sizes.values())
    return f"{uses} ({100 * share:.0f} %)"


def _distinct(records: Iterable[Mapping], key: str) -> list[str]:
    """List the values of a key in the order in which they first occur."""
    return list(dict.fromkeys(str(record[key]) for record in records if key in record))


def _join(texts: Iterable[str | None]) -> str | None:
    return " ".join(text for text in texts if text is not None) or None
