"""The criteria that choose among candidates, and what they choose."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from negmerge.errors import UserError
from negmerge.evaluation.outcomes import average_gap
from negmerge.selection.points import Point, read_points

GAP, UNLABELLED = "gap", "unlabelled"
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

    def __str__(self) -> str:
        if self.vector is None:
            return f"all trainings diverged: {', '.join(self.diverged)}"
        gap = "" if self.gap is None else f", gap {self.gap:.2f} points"
        return (
            f"{self.vector} at {self.coefficient:g} of {self.tried} candidates: forget "
            f"{self.forget_accuracy:.2f} %, kept {self.control_accuracy:.2f} % of "
            f"{self.control_baseline:.2f} %{gap}"
        )

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
