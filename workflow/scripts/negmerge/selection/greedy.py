"""Greedy merging: which vectors of a pool stay in the mean, by what it forgets on validation data.

The public function and what it takes need no validation items; `merge_greedily` gives it those.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from negmerge.checkpoints.states import State, read_state
from negmerge.errors import UserError
from negmerge.selection.choice import Choice
from negmerge.selection.search import search
from negmerge.selection.validation import Validation
from negmerge.vectors import widen


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


class RunningMean:
    """The mean of the first vectors of a growing list, from the running sum of all but the last.

    It holds one sum, however long the list is. The mean is that sum, in the order of the list, with
    the last vector added and then divided by their number: nothing is rounded but sum and quotient.
    """

    def __init__(self, paths: Mapping[str, str | Path]):
        self._paths = paths
        self._total: State = {}
        self._summed = 0

    def __call__(self, names: Sequence[str]) -> State:
        """Average vectors: those of an earlier call, with or without its last, and new ones."""
        for name in names[self._summed : -1]:
            self._total = self._plus(name)
        whole = len(names) == self._summed
        self._summed = max(self._summed, len(names) - 1)
        total = self._total if whole else self._plus(names[-1])
        return {name: tensor / len(names) for name, tensor in total.items()}

    def _plus(self, name: str) -> State:
        vector = read_state(self._paths[name])
        if not self._total:
            return {key: widen(tensor) for key, tensor in vector.items()}
        return {key: total + vector[key] for key, total in self._total.items()}


def merge_greedily(
    paths: Mapping[str, str | Path],
    validation: Validation,
    coefficients: Sequence[float],
    keep: float,
    halvings: int = 0,
    **options: bool,
) -> tuple[State, dict]:
    """Merge the files of a pool by `greedy`.

    The report names the accepted vectors in the order of their sum, and counts forward passes.
    """
    passes = 0

    def measure(
        name: str, vector: State, where: str | Path, coefficient: float | None = None
    ) -> Choice:
        nonlocal passes
        count = validation.counting(lambda _: (vector, where))
        grid, again = coefficients, halvings
        if coefficient is not None:
            grid, again = sorted({0.0, coefficient}), 0
        chosen = search([name], grid, validation.sizes, count, keep, again)
        passes += chosen.passes
        return chosen.choices[0]

    mean = RunningMean(paths)

    def trial(names: Sequence[str], coefficient: float | None) -> Choice:
        choice = measure("greedy", mean(names), paths[names[-1]], coefficient)
        print(f"{' + '.join(names)}: {choice}")
        return choice

    own = {name: measure(name, read_state(path), path) for name, path in paths.items()}
    trials = greedy(paths, own, trial, **options)
    accepted = [trial.name for trial in trials if trial.accepted]
    report = {"accepted": accepted, "trials": [asdict(trial) for trial in trials], "images": passes}
    return mean(accepted), report
