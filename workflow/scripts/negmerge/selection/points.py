"""Candidates as they were measured on validation images, and the files that hold them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.errors import UserError
from negmerge.evaluation.counts import Accuracy
from negmerge.files import write_text

# Accuracies are kept as counts, which lose nothing.
COUNTS = ("correct", "n")
LABELS = ("experiment", "task")
# What comes before the name of an option in the heading of its column.
OPTION = "option_"
COEFFICIENT = "coefficient"


@dataclass(frozen=True)
class Point:
    """A vector at one coefficient or a trained model, and what it reaches on validation images."""

    vector: str  # the name of the vector or of the trained model
    # the scale at which the vector is subtracted; 0 for the base, 1 for a trained model
    coefficient: float
    # right answers by role: of `forget`, then of the role whose accuracy is to be kept,
    # then of others. Nothing for a vector or model whose training diverged
    accuracy: Mapping[str, Accuracy]
    further: Mapping[str, float] = field(default_factory=dict)  # other measures in percent, by name
    # of a trained model, the options that are searched, with their values
    options: Mapping[str, float | str] = field(default_factory=dict)
    # the rules that may choose it: all of them for the points of a grid, and for a point
    # beside a choice those that made that choice
    rules: tuple[str, ...] = ()

    @property
    def forget(self) -> float:
        """The accuracy on the images to forget, 0..1."""
        return self.accuracy["forget"].share

    @property
    def control(self) -> float:
        """The accuracy that is to be kept, 0..1."""
        _, found, *_ = self.accuracy.values()
        return found.share

    @property
    def percentages(self) -> dict[str, float]:
        """The accuracies and all other measures in percent, by name."""
        return {role: 100 * found.share for role, found in self.accuracy.items()} | {**self.further}

    @property
    def settings(self) -> dict[str, float | str]:
        """What is searched: a vector's coefficient, or options of a trained model."""
        return dict(self.options) or {COEFFICIENT: self.coefficient}


def write_points(
    path: str | Path,
    labels: Mapping[str, str],
    points: Iterable[Point],
    missing: Sequence[str] = (),
) -> None:
    """Write points as CSV, a row each, with the counts of right answers by role.

    `missing` names the points of the pool that a merged vector lacks, since they diverged.
    """
    lacks = {DIVERGED: " ".join(missing)} if missing else {}
    rows = [_row(labels, point) | lacks for point in points]
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def _row(labels: Mapping[str, str], point: Point) -> dict[str, object]:
    row = {label: labels[label] for label in LABELS}
    row |= {"vector": point.vector, COEFFICIENT: point.coefficient}
    for role, accuracy in point.accuracy.items():
        row |= {f"{role}_correct": accuracy.correct, f"{role}_n": accuracy.n}
    row |= point.further
    row |= {f"{OPTION}{name}": value for name, value in point.options.items()}
    return row | {"rules": " ".join(point.rules)}


def read_points(path: str | Path) -> list[Point]:
    """Read what `write_points` wrote."""
    try:
        with open(path, newline="") as stream:
            rows = list(csv.DictReader(stream, strict=True))
        found = [_point(row) for row in rows]
        roles = max(len(point.accuracy) for point in found)
        if any(len(point.accuracy) not in (0, roles) for point in found):
            raise ValueError("a row is cut")
        return found
    except (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not a file of measures ({error!r}); delete it and run again"
        ) from error


def _point(row: Mapping[str, str]) -> Point:
    roles = [key.removesuffix("_n") for key in row if key.endswith("_n") and row[key] != ""]
    accuracy = {
        role: Accuracy(_count(row[f"{role}_correct"]), int(row[f"{role}_n"])) for role in roles
    }
    for role, found in accuracy.items():
        if not 0 <= found.correct <= found.n or found.n == 0:
            raise ValueError(f"{found.correct} right of {found.n} {role} images")
    known = (*LABELS, "vector", COEFFICIENT, "rules", DIVERGED)
    counts = [f"{role}_{what}" for role in roles for what in COUNTS]
    others = {key: value for key, value in row.items() if value and key not in (*known, *counts)}
    options = {key: value for key, value in others.items() if key.startswith(OPTION)}
    return Point(
        vector=row["vector"],
        coefficient=float(row[COEFFICIENT]),
        accuracy=accuracy,
        further={key: float(value) for key, value in others.items() if key not in options},
        options={key.removeprefix(OPTION): _value(value) for key, value in options.items()},
        rules=tuple(row["rules"].split()),
    )


def _count(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
