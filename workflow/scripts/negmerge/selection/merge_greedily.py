"""Greedy merging of the vectors of a pool, by what their mean forgets on validation images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from negmerge.checkpoints.states import State, read_state
from negmerge.selection.choice import Choice
from negmerge.selection.greedy import greedy
from negmerge.selection.search import search
from negmerge.selection.validation import Validation
from negmerge.vectors import widen

# What a mean on trial is called.
TRIAL = "greedy"


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
    """Merge the files of a pool by `selection.greedy`.

    The report names the accepted vectors in the order of their sum, and counts forward passes.
    """
    images = 0

    def measure(
        name: str, vector: State, where: str | Path, coefficient: float | None = None
    ) -> Choice:
        nonlocal images
        count = validation.counting(lambda _: (vector, where))
        given = coefficient is not None
        grid = sorted({0.0, coefficient}) if given else coefficients
        found = search([name], grid, validation.sizes, count, keep, 0 if given else halvings)
        images += found.images
        return found.choice

    mean = RunningMean(paths)

    def trial(names: Sequence[str], coefficient: float | None) -> Choice:
        choice = measure(TRIAL, mean(names), paths[names[-1]], coefficient)
        print(f"{' + '.join(names)}: {choice}")
        return choice

    own = {name: measure(name, read_state(path), path) for name, path in paths.items()}
    trials = greedy(paths, own, trial, **options)
    accepted = [one.name for one in trials if one.accepted]
    report = {"accepted": accepted, "trials": [asdict(one) for one in trials], "images": images}
    return mean(accepted), report
