"""The rules by which one of several candidates is chosen."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from negmerge.errors import UserError
from negmerge.evaluation.gap import average_gap
from negmerge.selection.points import COEFFICIENT, Point, read_points

GAP = "gap"
LABELS = ("experiment", "task", "method")
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

    Among the coefficients whose control accuracy is at least `keep` x the baseline, it is the one
    with the lowest forget accuracy; ties go to the smaller coefficient. As in
    gortizji/tangent_task_arithmetic, which starts from an accuracy of 1 and takes what is strictly
    lower: a forget accuracy of exactly 1 is never chosen.

    Args:
        coefficients: the grid, in any order.
        forget_accuracy: at each of them, on validation data, 0..1. Percent give the same choice,
            but for that 1.
        control_accuracy: likewise, in the unit of the baseline.
        control_baseline: the control accuracy of the base, measured on the same images.
        keep: share of the baseline to keep, 0..1; equality passes.

    Returns:
        The coefficient; None if none qualifies. Where the baseline was measured on the same images,
        0 qualifies unless its forget accuracy is 1.

    Raises:
        UserError: lists of different lengths, or an accuracy that is not a number.
    """
    if not len(coefficients) == len(forget_accuracy) == len(control_accuracy):
        raise UserError(
            f"{len(coefficients)} coefficients with {len(forget_accuracy)} forget and "
            f"{len(control_accuracy)} control accuracies, expected as many of each"
        )
    if any(math.isnan(a) for a in [*forget_accuracy, *control_accuracy, control_baseline]):
        raise UserError("an accuracy is not a number, so no coefficient can be chosen")
    qualified = [
        (forget, coefficient)
        for coefficient, forget, control in zip(
            coefficients, forget_accuracy, control_accuracy, strict=True
        )
        if qualifies(forget, control, control_baseline, keep)
    ]
    return min(qualified)[1] if qualified else None


def qualifies(forget: float, control: float, baseline: float, keep: float) -> bool:
    """Whether a candidate keeps the share `keep` of the baseline, and forgets anything.

    All accuracies are 0..1.
    """
    return control >= keep * baseline and forget != 1


@dataclass(frozen=True)
class Choice:
    """A candidate, and how it was chosen."""

    # the vector's name, or that of a trained model; None if there is nothing to choose
    vector: str | None
    coefficient: float  # its scale; 1 for a trained model, 0 if the base is left as it is
    # on validation data, in percent; the latter on what is to be kept
    forget_accuracy: float | None
    control_accuracy: float | None
    control_baseline: float | None  # that of the base on the same images
    # its coefficient, or an option, is the largest that was tried, so a larger one might do
    # better
    upper_end: bool = False
    lower_end: bool = False  # the same for the smallest; a coefficient then is next to 0
    tried: int = 0  # how many candidates there were beside the base
    # average gap to Retrain on validation data, in points, where that is the rule
    gap: float | None = None
    # the vectors or trained models that could not be chosen, since their training diverged
    diverged: Sequence[str] = field(default_factory=list)

    def record(
        self, labels: Mapping[str, str], rule: str | None, about: Mapping[str, object]
    ) -> dict[str, object]:
        """Return a record of the choice, as `selected/{method}.json` and scores hold it."""
        unchanged = self.vector is not None and self.coefficient == 0
        how = {"unchanged": unchanged, "rule": rule}
        return {key: labels[key] for key in LABELS} | asdict(self) | how | dict(about)


@dataclass(frozen=True)
class Rule:
    """A rule that chooses among points.

    `control` and `retain` take the lowest forget accuracy that keeps accuracy on the role of that
    name, see `select_coefficient`; `gap` takes the smallest `evaluation.average_gap` to Retrain
    over all measures, as SalUn's authors do, so it needs Retrain. Among equals the smaller
    coefficient is chosen, then the first name.
    """

    name: str  # `control`, `retain` or `gap`
    keep: float  # share of the base's accuracy to keep, 0..1
    # for `gap`, the measures of Retrain in percent by name
    reference: Mapping[str, float] | None = None

    def order(self, base: Point) -> Callable[[Point], tuple]:
        """Return a key by which the better of two points is the smaller one."""
        if self.name == GAP:
            return lambda point: (self._gap(point), point.coefficient, point.vector)

        def key(point: Point) -> tuple:
            if qualifies(point.forget, point.control, base.control, self.keep):
                return 0, point.forget, point.coefficient, point.vector
            # If none does, the base stays, and refinement continues where most is kept.
            return 1, point.coefficient != 0, -point.control, point.coefficient, point.vector

        return key

    def choose(self, points: Sequence[Point]) -> Choice:
        """Choose among the base and its candidates.

        Points that this rule may not choose (`Point.rules`) only say how far was searched.
        """
        base = find_base(points)
        own = [point for point in points if self.name in point.rules]
        diverged = sorted({point.vector for point in own if not point.accuracy})
        measured = [point for point in own if point.vector not in diverged]
        tried = sum(point.coefficient != 0 for point in own)
        if diverged and not any(point.coefficient for point in measured):
            return nothing_left(base, diverged, tried)
        found = min(measured, key=self.order(base), default=base)
        lower, upper = _ends(found, points)
        return Choice(
            vector=found.vector,
            coefficient=found.coefficient,
            forget_accuracy=100 * found.forget,
            control_accuracy=100 * found.control,
            control_baseline=100 * base.control,
            upper_end=upper,
            lower_end=lower,
            tried=tried,
            gap=self._gap(found) if self.name == GAP else None,
            diverged=diverged,
        )

    def _gap(self, point: Point) -> float:
        return average_gap(point.percentages, self.reference or {})


def nothing_left(base: Point, diverged: Sequence[str], tried: int) -> Choice:
    """Return the choice where the training of all that could be chosen diverged."""
    baseline = 100 * base.control
    return Choice(None, 0.0, None, None, baseline, tried=tried, diverged=diverged)


def find_base(points: Sequence[Point]) -> Point:
    """Return the point of the base: the first of those at coefficient 0, by its name.

    A vector that diverged does not give the base its name, since it is no candidate.
    """
    bases = [point for point in points if point.coefficient == 0]
    if not bases:
        raise UserError(
            f"{len(points)} measured candidates, none at coefficient 0: expected the base too"
        )
    diverged = {point.vector for point in points if not point.accuracy}
    return min(bases, key=lambda point: (point.vector in diverged, point.vector))


def _ends(found: Point, points: Sequence[Point]) -> tuple[bool, bool]:
    """Whether one of a point's settings is the smallest, or the largest, that was tried."""
    if found.coefficient == 0:
        return False, False
    alike = [p for p in points if p.coefficient and (found.options or p.vector == found.vector)]
    lower = upper = False
    for name, value in found.settings.items():
        tried = {point.settings.get(name) for point in alike}
        if not isinstance(value, int | float) or None in tried:
            continue
        if len(tried) >= (FEWEST_COEFFICIENTS if name == COEFFICIENT else FEWEST_VALUES):
            lower, upper = lower or value == min(tried), upper or value == max(tried)
    return lower, upper


def load_rules(names: Iterable[str], keep: float, reference: Sequence[str | Path]) -> list[Rule]:
    """Load rules by name; `reference` is the file of Retrain's measures, where `gap` needs it."""
    measures = None
    if reference:
        (path,) = reference
        (retrain,) = read_points(path)
        measures = retrain.percentages
    return [Rule(name, keep, measures) for name in names]
