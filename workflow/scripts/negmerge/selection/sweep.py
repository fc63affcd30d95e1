"""What a method chooses among, measured on validation items, and the choice by each rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from negmerge.checkpoints.divergence import sift
from negmerge.checkpoints.states import read_state
from negmerge.selection.choice import Choice, Rule, nothing_left
from negmerge.selection.points import Point
from negmerge.selection.refinement import CoefficientGrid, explore
from negmerge.selection.search import search
from negmerge.selection.validation import Validation


@dataclass(frozen=True)
class Chosen:
    """The choice by each rule, what was measured for it, and the forward passes that it took.

    `passes_full` are those of full sweeps: a pruned search comes to the same choice with fewer.
    """

    choices: list[Choice]
    points: list[Point]
    passes: int
    passes_full: int

    def records(
        self, labels: Mapping[str, str], rules: Sequence[str], about: Mapping[str, object]
    ) -> list[dict]:
        """Return the records of the choices, see `Choice.record`, with the passes."""
        about = {**about, "passes": self.passes, "passes_full": self.passes_full}
        named = zip(self.choices, rules, strict=True)
        return [choice.record(labels, rule, about) for choice, rule in named]


def sweep(
    validation: Validation,
    path: str | Path,
    coefficients: Sequence[float],
    rules: Sequence[Rule],
    halvings: int,
) -> list[Point]:
    """Measure base - coefficient * vector on a grid, and near what each rule would choose.

    The points ascend by coefficient. Of a vector that diverged only the base is measured.
    """
    name, state = Path(path).stem, read_state(path)
    vector = validation.placed(state)

    def measure(coefficient: float) -> Point:
        if coefficient and not state:
            return Point(name, coefficient, {})
        validation.move(vector, coefficient, path)
        point = validation.measure(name, coefficient)
        print(point)
        return point

    grid = CoefficientGrid(coefficients)
    points = explore(measure(0.0), 0.0, grid, measure, rules, halvings)
    return sorted(points, key=lambda point: point.coefficient)


def choose(points: list[Point], rules: Sequence[Rule]) -> Chosen:
    """Choose by each rule among points that were measured."""
    passes = sum(found.n for point in points for found in point.accuracy.values())
    return Chosen([rule.choose(points) for rule in rules], points, passes, passes)


def choose_with_pruning(
    validation: Validation,
    paths: Sequence[str | Path],
    coefficients: Sequence[float],
    rules: Sequence[Rule],
    halvings: int,
) -> Chosen:
    """Choose a vector and its coefficient as full sweeps would, see `search`."""
    whole, diverged = sift(paths)
    vectors: Mapping[str, str | Path] = {Path(path).stem: path for path in whole}
    names = tuple(rule.name for rule in rules)
    if not vectors:
        base = validation.measure(diverged[0], 0.0)
        found = replace(choose([base], []), choices=[nothing_left(base, diverged, 0)])
    else:
        count = validation.counting(lambda name: (read_state(vectors[name]), vectors[name]))
        keep = rules[0].keep
        searched = search(list(vectors), coefficients, validation.sizes, count, keep, halvings)
        print(searched)
        choice = replace(searched.choice, diverged=diverged)
        found = Chosen([choice], searched.points, searched.images, searched.images_full)
    points = [replace(point, rules=names) for point in found.points]
    return replace(found, choices=found.choices * len(rules), points=points)
