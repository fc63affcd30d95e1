"""The choice of `selection.choice.Rule` with fewer forward passes than full sweeps need.

A coefficient is dropped as soon as the items not yet counted cannot change that it is not chosen.
All bounds are sums of scores, which are exact (`accuracy.Objective.scores`), and the comparisons
are those of the full search, so the choice is the same in every bit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from negmerge.errors import UserError
from negmerge.evaluation.counts import Accuracy
from negmerge.selection.choice import FEWEST_COEFFICIENTS, Choice, qualifies
from negmerge.selection.points import Point
from negmerge.selection.refinement import CoefficientGrid

# Vector, coefficient, role and number of the batch -> right answers in that batch, or the sum of
# their scores, each 0..1.
Count = Callable[[str, float, str, int], int | float]

# The forget images come first where they alone are likely to rule a coefficient out: where the last
# counts come to this share of the best so far. Below 1, since they are those of a larger
# coefficient, at which fewer answers are right. It changes the number of passes only.
LIKELY = 0.8


@dataclass(frozen=True)
class Searched:
    """A choice and what it took."""

    choice: Choice  # the vector and its coefficient, with its exact accuracies
    images: int  # forward passes, one for each image each time it was counted
    images_full: int  # forward passes of full sweeps of all vectors
    points: list[Point]  # the base and the choice, which are counted whole


def search(
    vectors: Sequence[str],
    coefficients: Sequence[float],
    sizes: Mapping[str, Sequence[int]],
    count: Count,
    keep: float,
    halvings: int = 0,
) -> Searched:
    """Choose a vector and its coefficient.

    The base is counted first, at coefficient 0 of the first name: there all vectors are the same.
    Of each vector the largest coefficients come first, since they forget most. Without halvings the
    vectors share the bound on the forget accuracy; with them each vector has a choice of its own,
    around which it is refined, before the best of them is taken.

    Args:
        vectors: their names, in the order in which they are tried; it does not change the choice.
        coefficients: the grid, ascending from 0.
        sizes: images in each batch of `forget` and then of the role to keep, e.g. `control`. Few
            passes are needed where batches are small, the forget images most surely right come
            first, and likewise the other images least surely right; see `validation.Validation`.
        count: counts the right answers of base - coefficient * vector in one batch of a role.
        keep: share of the base's control accuracy to keep, 0..1.
        halvings: see `refinement`.

    Raises:
        UserError: no vector, another kind of grid, or a role without images.
    """
    if not vectors:
        raise UserError("no vectors to choose from")
    if coefficients[0] != 0 or sorted(set(coefficients)) != list(coefficients):
        raise UserError(f"coefficients {list(coefficients)}, expected them to ascend from 0")
    for role in sizes:
        if sum(sizes[role]) <= 0:
            raise UserError(f"no {role} images to choose a coefficient with")
    return _Search(sizes, count, keep, CoefficientGrid(coefficients), halvings).run(vectors)


class _Search:
    """The state of a search: the last counts, the coefficients tried, and the passes used."""

    def __init__(
        self,
        sizes: Mapping[str, Sequence[int]],
        count: Count,
        keep: float,
        grid: CoefficientGrid,
        halvings: int,
    ):
        self.sizes, self.count, self.keep = sizes, count, keep
        self.grid, self.halvings = grid, halvings
        self.images = 0
        _, self.control = sizes
        self.last = {role: list(sizes[role]) for role in sizes}
        self.n = {role: sum(sizes[role]) for role in sizes}
        self.tried: dict[str, list[float]] = {}

    def run(self, vectors: Sequence[str]) -> Searched:
        base = best = _Point(self, min(vectors), 0.0)
        for role in self.sizes:
            base.finish(role)
        self.baseline = base.right[self.control] / self.n[self.control]
        self.limit = self.keep * self.baseline
        for vector in vectors:
            # With halvings, the other vectors' best would hide what this one is refined around.
            found = self._best_of(vector, base if self.halvings else best)
            best = min(best, found, key=_Point.rank)
        images_full = sum(len(tried) + 1 for tried in self.tried.values()) * sum(self.n.values())
        choice = self._choice(best)
        points = [found.measured() for found in dict.fromkeys((base, best))]
        return Searched(choice, self.images, images_full, points)

    def _best_of(self, vector: str, best: "_Point") -> "_Point":
        """Search the grid of a vector, from the largest coefficient, and then around its choice."""
        tried = self.tried[vector] = []
        best = self._better(vector, reversed(self.grid.start), best)
        for halving in range(1, self.halvings + 1):
            beside = [c for c in self.grid.around(best.coefficient, halving) if c not in tried]
            best = self._better(vector, beside, best)
        return best

    def _better(self, vector: str, coefficients: Iterable[float], best: "_Point") -> "_Point":
        for coefficient in coefficients:
            self.tried[vector].append(coefficient)
            point = _Point(self, vector, coefficient)
            if self._is_better(point, best):
                best = point
        return best

    def _choice(self, best: "_Point") -> Choice:
        best.finish(self.control)
        shares = {role: best.right[role] / self.n[role] for role in self.sizes}
        # If every image is classified correctly whatever is subtracted, nothing qualifies.
        fits = qualifies(shares["forget"], shares[self.control], self.baseline, self.keep)
        tried = self.tried[best.vector] if fits and best.coefficient else []
        tried = tried if len(tried) >= FEWEST_COEFFICIENTS else []
        return Choice(
            vector=best.vector,
            coefficient=best.coefficient,
            forget_accuracy=100 * shares["forget"],
            control_accuracy=100 * shares[self.control],
            control_baseline=100 * self.baseline,
            upper_end=bool(tried) and best.coefficient == max(tried),
            lower_end=bool(tried) and best.coefficient == min(tried),
            tried=sum(map(len, self.tried.values())),
        )

    def _is_better(self, point: "_Point", best: "_Point") -> bool:
        """Count until it is sure whether a point is better than the best so far, or not."""
        if sum(self.last["forget"]) >= LIKELY * best.right["forget"]:
            return point.forgets_more(best) and point.keeps_control()
        return point.keeps_control() and point.forgets_more(best)


class _Point:
    """A vector and a coefficient, of which some batches are counted."""

    def __init__(self, search: _Search, vector: str, coefficient: float):
        self.search, self.vector, self.coefficient = search, vector, coefficient
        self.right = dict.fromkeys(search.sizes, 0)
        self.unseen = dict(search.n)
        self._next = dict.fromkeys(search.sizes, 0)

    def finish(self, role: str) -> None:
        """Count all batches of a role."""
        while self.unseen[role]:
            self._step(role)

    def forgets_more(self, best: "_Point") -> bool:
        """Whether `choose` prefers this point: what is counted already can only grow.

        A forget accuracy of 1 is never preferred, since the base's is 1 or lower.
        """
        while self.rank() < best.rank() and self.unseen["forget"]:
            self._step("forget")
        return self.rank() < best.rank()

    def keeps_control(self) -> bool:
        """Whether the control accuracy reaches the limit."""
        control = self.search.control
        while not self._reaches(self.right[control]):
            if not self._reaches(self.right[control] + self.unseen[control]):
                return False
            self._step(control)
        return True

    def measured(self) -> Point:
        """Return the point with its counts, once all batches are counted."""
        counts = {role: Accuracy(self.right[role], n) for role, n in self.search.n.items()}
        return Point(self.vector, self.coefficient, counts)

    def rank(self) -> tuple[float, float, str]:
        """Return what is smaller for the better of two points that keep the control accuracy."""
        return self.right["forget"], self.coefficient, self.vector

    def _reaches(self, right: float) -> bool:
        return right / self.search.n[self.search.control] >= self.search.limit

    def _step(self, role: str) -> None:
        """Count the next batch of a role."""
        batch = self._next[role]
        size = self.search.sizes[role][batch]
        right = self.search.count(self.vector, self.coefficient, role, batch)
        self.search.last[role][batch] = right
        self.search.images += size
        self.right[role] += right
        self.unseen[role] -= size
        self._next[role] += 1
