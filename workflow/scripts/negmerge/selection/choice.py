"""Candidates as measured on validation items, kept as CSV, and the criteria that choose one."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.errors import UserError
from negmerge.evaluation.outcomes import Accuracy, average_gap
from negmerge.files import write_text

GAP, UNLABELLED, COEFFICIENT = "gap", "unlabelled", "coefficient"
AGREEMENT = "agreement"
# What comes before the name of an option in the heading of its column.
OPTION = "option_"
# The same for a measure on every other item.
HALF = "half_"
# With fewer values than these beside the base every choice is at an end, which then says nothing.
FEWEST_COEFFICIENTS, FEWEST_VALUES = 2, 3


def select_coefficient(
    coefficients: Sequence[float],
    forget_accuracy: Sequence[float],
    control_accuracy: Sequence[float],
    control_baseline: float,
    keep: float = 0.95,
) -> float | None:
    """Choose the coefficient that forgets most while the control accuracy is kept.

    Among the coefficients, in any order, whose control accuracy is at least `keep` (0..1) x the
    baseline, it is the one with the lowest forget accuracy; ties go to the smaller coefficient. As
    in gortizji/tangent_task_arithmetic, which starts from an accuracy of 1 and takes what is
    strictly lower: a forget accuracy of exactly 1 is never chosen.

    Accuracies are measured on validation data, 0..1; percent give the same choice, but for that 1.
    The baseline is the control accuracy of the base on the same images, so 0 qualifies unless its
    forget accuracy is 1. None if no coefficient qualifies. Lists of different lengths, or an
    accuracy that is not a number, are a UserError.
    """
    if not len(coefficients) == len(forget_accuracy) == len(control_accuracy):
        raise UserError(
            f"{len(coefficients)} coefficients with {len(forget_accuracy)} forget and "
            f"{len(control_accuracy)} control accuracies, expected as many of each"
        )
    if any(math.isnan(a) for a in [*forget_accuracy, *control_accuracy, control_baseline]):
        raise UserError("an accuracy is not a number, so no coefficient can be chosen")
    rows = zip(coefficients, forget_accuracy, control_accuracy, strict=True)
    qualified = [
        (forget, coefficient)
        for coefficient, forget, control in rows
        if qualifies(forget, control, control_baseline, keep)
    ]
    return min(qualified)[1] if qualified else None


def qualifies(forget: float, control: float, baseline: float, keep: float) -> bool:
    """Whether a candidate keeps the share `keep` of the baseline and forgets anything; all 0..1."""
    return control >= keep * baseline and forget != 1


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


@dataclass(frozen=True)
class Choice:
    """A candidate, and how it was chosen; accuracies and gap are measured on validation items."""

    vector: str | None  # of the vector or trained model the name; None if all of them diverged
    coefficient: float  # its scale; 1 for a trained model, 0 if the base is left as it is
    forget_accuracy: float | None  # in percent
    control_accuracy: float | None  # in percent, on what is to be kept
    control_baseline: float | None  # that of the base on the same images
    # Its coefficient, or an option, is the largest that was tried, so a larger one might do better.
    upper_end: bool = False
    lower_end: bool = False  # the same for the smallest; a coefficient then is next to 0
    tried: int = 0  # how many candidates there were beside the base
    gap: float | None = None  # average gap to Retrain, in points, where that is the criterion
    diverged: Sequence[str] = field(default_factory=list)  # vectors or models without numbers

    def record(
        self, labels: Mapping[str, str], criterion: str | None, about: Mapping[str, object]
    ) -> dict[str, object]:
        """Return a record of the choice, as `selected/{method}.json` and scores hold it."""
        unchanged = self.vector is not None and self.coefficient == 0
        place = {key: labels[key] for key in ("experiment", "task", "method")}
        return place | asdict(self) | {"unchanged": unchanged, "criterion": criterion} | dict(about)


def nothing_left(base: Point, diverged: Sequence[str], tried: int) -> Choice:
    """Return the choice where the training of all that could be chosen diverged."""
    return Choice(None, 0.0, None, None, 100 * base.control, tried=tried, diverged=diverged)


@dataclass(frozen=True)
class Criterion:
    """What chooses among points.

    `control` and `retain` take the lowest forget accuracy that keeps accuracy on the role of that
    name; `gap` the smallest `average_gap` to Retrain; `unlabelled` the largest
    `neighbour_agreement`. Of equals: the smaller coefficient, the first name.
    """

    name: str
    keep: float  # share of the base's accuracy to keep, 0..1
    reference: Mapping[str, float] | None = None  # for `gap`: Retrain's measures in percent by name
    by: str = ""  # `control`, `retain`, `gap` or `unlabelled`, where that is not its name
    # The grid of coefficients that it chooses among, and how often it halves their distance; by
    # default as all others do.
    coefficients: Sequence[float] = ()
    halvings: int | None = None
    halves: bool = False  # whether it sees every other item alone, as the reference then does

    def order(self, base: Point) -> Callable[[Point], tuple]:
        """Return a key by which the better of two points is the smaller one."""
        if self._is_gap:
            return lambda point: (self._gap(point), point.coefficient, point.vector)
        if UNLABELLED in (self.by, self.name):
            return lambda point: (-point.agreement, point.coefficient, point.vector)

        def key(point: Point) -> tuple:
            if qualifies(point.forget, point.control, base.control, self.keep):
                return 0, point.forget, point.coefficient, point.vector
            # If none does, the base stays, and refinement continues where most is kept.
            return 1, point.coefficient != 0, -point.control, point.coefficient, point.vector

        return key

    def choose(self, points: Sequence[Point]) -> Choice:
        """Choose among the base and its candidates; others' points say how far was searched."""
        base = find_base(points)
        own = [point for point in points if self.name in point.criteria]
        diverged = sorted({point.vector for point in own if not point.accuracy})
        measured = [point for point in own if point.vector not in diverged]
        tried = sum(point.coefficient != 0 for point in own)
        if diverged and not any(point.coefficient for point in measured):
            return nothing_left(base, diverged, tried)
        best = min(measured, key=self.order(base), default=base)
        lower, upper = _ends(best, own if self.coefficients else points)
        (forget, kept, *_), (_, baseline, *_) = (
            self._measures(point).values() for point in (best, base)
        )
        return Choice(
            vector=best.vector,
            coefficient=best.coefficient,
            forget_accuracy=forget,
            control_accuracy=kept,
            control_baseline=baseline,
            upper_end=upper,
            lower_end=lower,
            tried=tried,
            gap=self._gap(best) if self._is_gap else None,
            diverged=diverged,
        )

    @property
    def _is_gap(self) -> bool:
        return GAP in (self.by, self.name)

    def _gap(self, point: Point) -> float:
        return average_gap(self._measures(point), self.reference or {})

    def _measures(self, point: Point) -> Mapping[str, float]:
        return point.half if self.halves else point.percentages


def find_base(points: Sequence[Point]) -> Point:
    """Return the point of the base: the first at coefficient 0 whose vector did not diverge."""
    bases = [point for point in points if point.coefficient == 0]
    if not bases:
        raise UserError(
            f"{len(points)} measured candidates, none at coefficient 0: expected the base too"
        )
    diverged = {point.vector for point in points if not point.accuracy}
    return min(bases, key=lambda point: (point.vector in diverged, point.vector))


def _ends(best: Point, points: Sequence[Point]) -> tuple[bool, bool]:
    """Whether the coefficient or an option of a point is the smallest, or the largest, tried."""
    if best.coefficient == 0:
        return False, False
    moved = [point for point in points if point.coefficient]
    own = [point.coefficient for point in moved if point.vector == best.vector]
    ends = (
        at_ends(best.coefficient, own, FEWEST_COEFFICIENTS),
        option_ends(best.vector, {point.vector: point.options for point in moved}),
    )
    return any(lower for lower, _ in ends), any(upper for _, upper in ends)


def option_ends(best: str, options: Mapping[str, Mapping]) -> tuple[bool, bool]:
    """Whether an option of the best is at an end of those tried, by the names of candidates."""
    ends = [
        at_ends(value, [of.get(name) for of in options.values()], FEWEST_VALUES)
        for name, value in options.get(best, {}).items()
    ]
    return any(lower for lower, _ in ends), any(upper for _, upper in ends)


def at_ends(value: float | str, tried: Iterable, fewest: int) -> tuple[bool, bool]:
    """Whether a number is the smallest, or the largest, of those tried, if these are enough."""
    tried = set(tried)
    if not isinstance(value, int | float) or None in tried or len(tried) < fewest:
        return False, False
    return value == min(tried), value == max(tried)


def load_criteria(
    choices: Iterable[Mapping], keep: float, reference: Sequence[str | Path]
) -> list[Criterion]:
    """Load criteria as settings give them; `reference` is the file of Retrain's measures."""
    retrain = read_points(reference[0])[0] if reference else None
    keys = ("by", "coefficients", "halvings", "halves")
    criteria = []
    for choice in choices:
        measures = retrain and (retrain.half if choice["halves"] else retrain.percentages)
        how = {key: choice[key] for key in keys}
        criteria.append(Criterion(choice["name"], keep, measures, **how))
    return criteria


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
