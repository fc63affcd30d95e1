"""Choosing the coefficient of a vector, and the vector among several."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from negmerge.errors import UserError
from negmerge.evaluation.gap import average_gap
from negmerge.files import write_text

if TYPE_CHECKING:
    from negmerge.evaluation.validation import Measured

# The columns of a sweep's file; accuracies are kept as counts, which lose nothing.
LABELS = ("experiment", "task", "vector")
COUNTS = ("correct", "n")
# The roles on which accuracy must be kept; each scenario has one of them.
KEPT_ROLES = ("control", "retain")


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
        if control >= keep * control_baseline and forget != 1
    ]
    return min(qualified)[1] if qualified else None


@dataclass(frozen=True)
class Sweep:
    """Validation accuracy at each coefficient of a vector, 0..1.

    Attributes:
        coefficients: the grid; its first entry is 0, where the model is the base.
        forget, control: the accuracy at each of them; `control` is that on what to keep.
        measures: everything that was measured, in percent, by name.
    """

    coefficients: Sequence[float]
    forget: Sequence[float]
    control: Sequence[float]
    measures: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """A vector and its coefficient, and how they were chosen.

    Attributes:
        vector: the vector's name, or that of a trained model; None if the base is left as it is.
        coefficient: its scale; 1 for a trained model.
        forget_accuracy, control_accuracy: on validation data, in percent.
        control_baseline: that of the base on the same images.
        upper_end: the coefficient is the largest of the grid, so a larger one might do better.
        gap: average gap to Retrain on validation data, in points, where that is the rule.
    """

    vector: str | None
    coefficient: float
    forget_accuracy: float | None
    control_accuracy: float | None
    control_baseline: float | None
    upper_end: bool
    gap: float | None = None


# The base as it is: there is nothing to choose, and nothing is measured for it.
UNCHANGED = Choice(None, 0.0, None, None, None, False)


def choose(sweeps: Mapping[str, Sweep], keep: float) -> Choice:
    """Choose a vector and its coefficient by `select_coefficient`.

    Among several vectors, the lowest forget accuracy at their own coefficients wins; ties go to
    the smaller coefficient, then to the first name.

    Args:
        sweeps: a sweep for each vector; coefficient 0 is in each and gives the baseline.
        keep: share of the control accuracy to keep, 0..1.

    Raises:
        UserError: no sweep, or a sweep that does not start at 0.
    """
    if not sweeps:
        raise UserError("no sweeps to choose from")
    choices = []
    for name, sweep in sweeps.items():
        _require_base(name, sweep)
        accuracies = sweep.forget, sweep.control, sweep.control[0]
        chosen = select_coefficient(sweep.coefficients, *accuracies, keep)
        # None: every image is classified rightly whatever is subtracted, so nothing is.
        place = 0 if chosen is None else list(sweep.coefficients).index(chosen)
        choices.append(_choice(name, sweep, place, chosen is not None))
    return min(choices, key=lambda c: (c.forget_accuracy, c.coefficient, c.vector))


def choose_by_gap(sweeps: Mapping[str, Sweep], reference: Mapping[str, float]) -> Choice:
    """Choose the vector and the coefficient whose model is closest to Retrain.

    The gap is `evaluation.average_gap` over all measures; ties go to the smaller coefficient, then
    to the first name. It needs Retrain, as the rule of SalUn's authors does.

    Args:
        sweeps: as for `choose`, with `measures`.
        reference: the same measures of Retrain, in percent.

    Raises:
        UserError: no sweep, one that does not start at 0, or other measures than Retrain's.
    """
    if not sweeps:
        raise UserError("no sweeps to choose from")
    points = []
    for name, sweep in sweeps.items():
        _require_base(name, sweep)
        for place, coefficient in enumerate(sweep.coefficients):
            here = {measure: values[place] for measure, values in sweep.measures.items()}
            points.append((average_gap(here, reference), coefficient, name, place))
    gap, _, name, place = min(points)
    return replace(_choice(name, sweeps[name], place, True), gap=gap)


def _require_base(name: str, sweep: Sweep) -> None:
    if not sweep.coefficients or sweep.coefficients[0] != 0:
        raise UserError(f"the sweep of {name} does not start at coefficient 0")


def _choice(name: str, sweep: Sweep, place: int, qualified: bool) -> Choice:
    coefficient = sweep.coefficients[place]
    return Choice(
        vector=name,
        coefficient=coefficient,
        forget_accuracy=100 * sweep.forget[place],
        control_accuracy=100 * sweep.control[place],
        control_baseline=100 * sweep.control[0],
        upper_end=qualified and coefficient == max(sweep.coefficients),
    )


@dataclass(frozen=True)
class Trial:
    """One step of greedy merging.

    Attributes:
        name: the vector that was tried.
        choice: what the mean of the accepted vectors and this one reaches.
        accepted: whether the vector stays in the merge.
    """

    name: str
    choice: Choice
    accepted: bool


def _forget(choice: Choice) -> float:
    return choice.forget_accuracy


def greedy(
    names: Iterable[str],
    own: Mapping[str, Choice],
    evaluate: Callable[[Sequence[str], float | None], Choice],
    *,
    order: Callable[[Choice], float] = _forget,
    criterion: Callable[[Choice], float] = _forget,
    research: bool = True,
    strict: bool = True,
) -> list[Trial]:
    """Merge greedily: try one vector after the other, and keep those that lower a criterion.

    The greedy soup of Wortsman et al. (ICML 2022), turned round for negation. The best vector by
    itself comes first and stays; each other one is tried once.

    Args:
        names: the vectors.
        own: the choice of each by itself.
        evaluate: gives the choice for the mean of some vectors, of which the last is on trial. With
            a coefficient it chooses only between that one and 0, else from the whole grid.
        order: a number of the own choice; the lowest is tried first, and among equal ones the first
            name. By default the forget accuracy.
        criterion: a number of a trial's choice, which must fall. By default the forget accuracy.
        research: search the coefficient anew for each trial; otherwise all trials use that of the
            first vector.
        strict: an equal criterion is not enough.

    Returns:
        The trials in their order. The accepted ones make the merge, in this order.

    Raises:
        UserError: no vector.
    """
    in_order = sorted(names, key=lambda name: (order(own[name]), name))
    if not in_order:
        raise UserError("no vectors to merge, at least one is needed")
    first, *others = in_order
    best = own[first]
    coefficient = None if research else best.coefficient
    trials, accepted = [Trial(first, best, True)], [first]
    for name in others:
        choice = evaluate([*accepted, name], coefficient)
        before, after = criterion(best), criterion(choice)
        lowered = after < before or (after == before and not strict)
        trials.append(Trial(name, choice, lowered))
        if lowered:
            best = choice
            accepted.append(name)
    return trials


def write_sweep(
    path: str | Path, labels: Mapping[str, str], rows: Iterable[tuple[float, "Measured"]]
) -> None:
    """Write a sweep as CSV: a row per coefficient with the counts of right answers by role.

    Args:
        path: the file.
        labels: experiment, task and vector; more are left out.
        rows: coefficient and what was measured at it.
    """
    text = io.StringIO()
    table = None
    for coefficient, measured in rows:
        row = {label: labels[label] for label in LABELS} | {"coefficient": coefficient}
        for role, accuracy in measured.accuracy.items():
            row |= {f"{role}_correct": accuracy.correct, f"{role}_n": accuracy.n}
        row |= measured.further
        if table is None:
            table = csv.DictWriter(text, list(row), lineterminator="\n")
            table.writeheader()
        table.writerow(row)
    write_text(path, text.getvalue())


def read_sweep(path: str | Path) -> tuple[str, Sweep]:
    """Read what `write_sweep` wrote: the vector's name and its sweep.

    Raises:
        UserError: the file is not a sweep.
    """
    try:
        with open(path, newline="") as stream:
            rows = list(csv.DictReader(stream))
        roles = [key.removesuffix("_n") for key in rows[0] if key.endswith("_n")]
        accuracies = {
            role: [int(row[f"{role}_correct"]) / int(row[f"{role}_n"]) for row in rows]
            for role in roles
        }
        known = (*LABELS, "coefficient", *(f"{r}_{what}" for r in roles for what in COUNTS))
        further = {key: [float(row[key]) for row in rows] for key in rows[0] if key not in known}
        (kept,) = [role for role in KEPT_ROLES if role in roles]
        measures = {role: [100 * value for value in found] for role, found in accuracies.items()}
        return rows[0]["vector"], Sweep(
            [float(row["coefficient"]) for row in rows],
            accuracies["forget"],
            accuracies[kept],
            measures | further,
        )
    except (KeyError, IndexError, ValueError, TypeError, ZeroDivisionError) as error:
        raise UserError(f"{path}: not a sweep ({error!r}); delete it and run again") from error
