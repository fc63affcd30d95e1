"""Candidates as measured on validation items, and the CSV files that keep them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.errors import UserError
from negmerge.evaluation.outcomes import Accuracy
from negmerge.files import write_text

COEFFICIENT, AGREEMENT = "coefficient", "agreement"
# What comes before the name of an option in the heading of its column, and before that of a measure
# on every other item.
OPTION, HALF = "option_", "half_"


@dataclass(frozen=True)
class Point:
    """A vector at one coefficient or a trained model, and what it reaches on validation items."""

    vector: str  # the name of the vector or of the trained model
    coefficient: float  # at which the vector is subtracted; 0 for the base, 1 for a trained model
    # Right answers by role: of `forget`, then of the role whose accuracy is to be kept, then of
    # others. Empty for a vector or model whose training diverged.
    accuracy: Mapping[str, Accuracy]
    further: Mapping[str, float] = field(default_factory=dict)  # other measures in percent, by name
    # All these measures in percent on every other item, where a criterion chooses by them.
    half: Mapping[str, float] = field(default_factory=dict)
    agreement: float | None = None  # `neighbour_agreement`, where a criterion chooses by it
    # The options that are searched, of a trained model or of a merge.
    options: Mapping[str, float | str] = field(default_factory=dict)
    # The criteria that may choose it: all of them for the points of a grid, and for a point beside
    # a choice those that made that choice.
    criteria: tuple[str, ...] = ()

    def __str__(self) -> str:
        measured = (f"{name} {value:.2f} %" for name, value in self.percentages.items())
        return f"{self.vector} at {self.coefficient:g}: {', '.join(measured)}"

    @property
    def forget(self) -> float:
        """The accuracy on the images to forget, 0..1."""
        return self.accuracy["forget"].share

    @property
    def control(self) -> float:
        """The accuracy that is to be kept, 0..1."""
        return list(self.accuracy.values())[1].share

    @property
    def percentages(self) -> dict[str, float]:
        """The accuracies and all other measures in percent, by name."""
        shares = {role: 100 * accuracy.share for role, accuracy in self.accuracy.items()}
        return shares | {**self.further}


def write_points(
    path: str | Path,
    labels: Mapping[str, str],
    points: Iterable[Point],
    missing: Sequence[str] = (),
) -> None:
    """Write points as CSV; `missing` names points of the pool that a merge lacks: they diverged."""
    rows = []
    for point in points:
        row = {"experiment": labels["experiment"], "task": labels["task"], "vector": point.vector}
        row[COEFFICIENT] = point.coefficient
        for role, accuracy in point.accuracy.items():
            row |= {f"{role}_correct": accuracy.correct, f"{role}_n": accuracy.n}
        row |= point.further
        row |= {f"{HALF}{name}": value for name, value in point.half.items()}
        row |= {} if point.agreement is None else {AGREEMENT: point.agreement}
        row |= {f"{OPTION}{name}": value for name, value in point.options.items()}
        row["criteria"] = " ".join(point.criteria)
        rows.append(row | ({DIVERGED: " ".join(missing)} if missing else {}))
    text = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    table = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def read_points(path: str | Path) -> list[Point]:
    """Read what `write_points` wrote."""
    try:
        with open(path, newline="") as stream:
            points = [_point(row) for row in csv.DictReader(stream, strict=True)]
        if not points or len({len(point.accuracy) for point in points} - {0}) > 1:
            raise ValueError("expected rows with the same roles")
        return points
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not a file of measures ({error!r}); delete it and run again"
        ) from error


def _point(row: Mapping[str, str]) -> Point:
    cells = {key: value for key, value in row.items() if value}
    for name in ("experiment", "task", "criteria", DIVERGED):
        cells.pop(name, None)
    half = {name: float(cells.pop(name)) for name in list(cells) if name.startswith(HALF)}
    agreement = cells.pop(AGREEMENT, None)
    accuracy = {}
    for role in [key.removesuffix("_n") for key in cells if key.endswith("_n")]:
        correct, n = _number(cells.pop(f"{role}_correct")), int(cells.pop(f"{role}_n"))
        if not 0 <= correct <= n or n == 0:
            raise ValueError(f"{correct} right of {n} {role} images")
        accuracy[role] = Accuracy(correct, n)
    return Point(
        vector=cells.pop("vector"),
        coefficient=float(cells.pop(COEFFICIENT)),
        accuracy=accuracy,
        agreement=None if agreement is None else float(agreement),
        half={name.removeprefix(HALF): value for name, value in half.items()},
        criteria=tuple(row["criteria"].split()),
        options={
            key.removeprefix(OPTION): _option(cells.pop(key))
            for key in list(cells)
            if key.startswith(OPTION)
        },
        further={key: float(value) for key, value in cells.items()},
    )


def _number(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)


def _option(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
