"""Choosing the coefficient of a vector, and the vector among several."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from negmerge.errors import UserError
from negmerge.files import write_text

if TYPE_CHECKING:
    from negmerge.evaluation.accuracy import Accuracy

# The columns of a sweep's file; accuracies are kept as counts, which lose nothing.
LABELS = ("experiment", "task", "vector")
COUNTS = ("forget_correct", "forget_n", "control_correct", "control_n")


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
        forget, control: the accuracy at each of them.
    """

    coefficients: Sequence[float]
    forget: Sequence[float]
    control: Sequence[float]


@dataclass(frozen=True)
class Choice:
    """A vector and its coefficient, and how they were chosen.

    Attributes:
        vector: the vector's name; None if the base is left as it is.
        coefficient: its scale.
        forget_accuracy, control_accuracy: on validation data, in percent.
        control_baseline: that of the base on the same images.
        upper_end: the coefficient is the largest of the grid, so a larger one might do better.
    """

    vector: str | None
    coefficient: float
    forget_accuracy: float | None
    control_accuracy: float | None
    control_baseline: float | None
    upper_end: bool


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
    choices = [_choose_coefficient(name, sweep, keep) for name, sweep in sweeps.items()]
    return min(choices, key=lambda c: (c.forget_accuracy, c.coefficient, c.vector))


def _choose_coefficient(name: str, sweep: Sweep, keep: float) -> Choice:
    if not sweep.coefficients or sweep.coefficients[0] != 0:
        raise UserError(f"the sweep of {name} does not start at coefficient 0")
    baseline = sweep.control[0]
    chosen = select_coefficient(sweep.coefficients, sweep.forget, sweep.control, baseline, keep)
    # None: every image is classified rightly whatever is subtracted, so nothing is.
    place = 0 if chosen is None else list(sweep.coefficients).index(chosen)
    return Choice(
        vector=name,
        coefficient=sweep.coefficients[place],
        forget_accuracy=100 * sweep.forget[place],
        control_accuracy=100 * sweep.control[place],
        control_baseline=100 * baseline,
        upper_end=chosen == max(sweep.coefficients),
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
    path: str | Path,
    labels: Mapping[str, str],
    rows: Iterable[tuple[float, "Accuracy", "Accuracy"]],
) -> None:
    """Write a sweep as CSV: a row per coefficient with the counts of right answers.

    Args:
        path: the file.
        labels: experiment, task and vector; more are left out.
        rows: coefficient, accuracy on the forget and on the control set.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*LABELS, "coefficient", *COUNTS))
    for coefficient, forget, control in rows:
        names = [labels[label] for label in LABELS]
        counts = [forget.correct, forget.n, control.correct, control.n]
        table.writerow([*names, coefficient, *counts])
    write_text(path, text.getvalue())


def read_sweep(path: str | Path) -> tuple[str, Sweep]:
    """Read what `write_sweep` wrote: the vector's name and its sweep.

    Raises:
        UserError: the file is not a sweep.
    """
    try:
        with open(path, newline="") as stream:
            rows = list(csv.DictReader(stream))
        return rows[0]["vector"], Sweep(
            [float(row["coefficient"]) for row in rows],
            [int(row["forget_correct"]) / int(row["forget_n"]) for row in rows],
            [int(row["control_correct"]) / int(row["control_n"]) for row in rows],
        )
    except (KeyError, IndexError, ValueError, TypeError, ZeroDivisionError) as error:
        raise UserError(f"{path}: not a sweep ({error!r}); delete it and run again") from error
