"""Which vectors of a pool go into a mean: greedily, or the best k."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from negmerge.errors import UserError
from negmerge.selection.choice import Choice


@dataclass(frozen=True)
class Trial:
    """One step of greedy merging."""

    name: str  # the vector that was tried
    choice: Choice  # what the mean of the accepted vectors and this one reaches
    accepted: bool  # whether the vector stays in the merge


def _forget(choice: Choice) -> float:
    return choice.forget_accuracy


def greedy(
    names: Iterable[str],
    own: Mapping[str, Choice],
    evaluate: Callable[[Sequence[str], float | None], Choice],
    *,
    order: Callable[[Choice], float] = _forget,
    criterion: Callable[[Choice], float] = _forget,
    search_each_step: bool = True,
    strict: bool = True,
) -> list[Trial]:
    """Merge greedily: try one vector after the other, and keep those that lower a criterion.

    The greedy soup of Wortsman et al. (ICML 2022), turned round for negation. The best vector by
    itself comes first and stays; each other one is tried once. The accepted trials make the merge,
    in the order in which they are returned.

    Args:
        names: the vectors; none is a UserError.
        own: the choice of each by itself.
        evaluate: gives the choice for the mean of some vectors, of which the last is on trial. With
            a coefficient it chooses only between that one and 0, else from the whole grid.
        order: a number of the own choice; the lowest is tried first, and among equal ones the first
            name. By default the forget accuracy.
        criterion: a number of a trial's choice, which must fall. By default the forget accuracy.
        search_each_step: search the coefficient anew for each trial; otherwise all trials use
            that of the first vector.
        strict: an equal criterion is not enough.
    """
    in_order = sorted(names, key=lambda name: (order(own[name]), name))
    if not in_order:
        raise UserError("no vectors to merge, at least one is needed")
    first, *others = in_order
    best = own[first]
    coefficient = None if search_each_step else best.coefficient
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


# How many of the best vectors are tried, and the whole pool beside them; this project's choice.
COUNTS = (1, 2, 3, 5, 10)


def counts_of_best(models: int) -> list[int]:
    """List how many of the best vectors of a pool are tried."""
    return [*(count for count in COUNTS if count < models), models]


def mean_of_best(
    own: Mapping[str, Choice], evaluate: Callable[[Sequence[str]], Choice]
) -> dict[tuple[str, ...], Choice]:
    """Try means of the vectors that by themselves forget most; the first of those is to be taken.

    `own` are the choices of single vectors; `evaluate` gives that of a mean, of sorted names.
    """
    if not own:
        raise UserError("no vectors to merge, at least one is needed")
    in_order = sorted(own, key=lambda name: (_forget(own[name]), own[name].coefficient, name))
    tried = {}
    for count in counts_of_best(len(own)):
        names = tuple(sorted(in_order[:count]))
        tried[names] = own[names[0]] if count == 1 else evaluate(names)
    return dict(sorted(tried.items(), key=lambda item: (_forget(item[1]), len(item[0]))))
