"""The choice of `selection.choose` with fewer forward passes than full sweeps need.

A coefficient is given up as soon as the images not yet counted cannot change that it is not chosen.
All bounds are whole numbers of right answers, and the comparisons are those of the full search, so
the choice is the same in every bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from negmerge.errors import UserError
from negmerge.selection import Choice

# Vector, coefficient, role and number of the batch -> right answers in that batch.
Count = Callable[[str, float, str, int], int]

# The forget images come first where they alone are likely to rule a coefficient out: where the last
# counts come to this share of the best so far. Below 1, since they are those of a larger
# coefficient, at which fewer answers are right. It changes the number of passes only.
LIKELY = 0.8


@dataclass(frozen=True)
class Searched:
    """A choice and what it took.

    Attributes:
        choice: the vector and its coefficient, with its exact accuracies.
        images: forward passes, one for each image each time it was counted.
        images_full: forward passes of full sweeps of all vectors.
    """

    choice: Choice
    images: int
    images_full: int


def search(
    vectors: Sequence[str],
    coefficients: Sequence[float],
    sizes: Mapping[str, Sequence[int]],
    count: Count,
    keep: float,
) -> Searched:
    """Choose a vector and its coefficient; the vectors share the bound on the forget accuracy.

    The base is counted first, at coefficient 0 of the first name: there all vectors are the same.
    Of each vector the largest coefficients come first, since they forget most.

    Args:
        vectors: their names, in the order in which they are tried; it does not change the choice.
        coefficients: the grid, ascending from 0.
        sizes: images in each batch of `forget` and of the role to keep, e.g. `control`. Few passes
            are needed where batches are small, the forget images most surely right come first, and
            likewise the other images least surely right; see `validation.Validation`.
        count: counts the right answers of base - coefficient * vector in one batch of a role.
        keep: share of the base's control accuracy to keep, 0..1.

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
    return _Search(sizes, count, keep).run(vectors, coefficients)


class _Search:
    """The state of a search: the last counts, the best so far, and the passes used."""

    def __init__(self, sizes: Mapping[str, Sequence[int]], count: Count, keep: float):
        self.sizes, self.count, self.keep = sizes, count, keep
        self.images = 0
        (self.kept,) = set(sizes) - {"forget"}
        self.last = {role: list(sizes[role]) for role in sizes}
        self.n = {role: sum(sizes[role]) for role in sizes}

    def run(self, vectors: Sequence[str], coefficients: Sequence[float]) -> Searched:
        base = best = _Point(self, min(vectors), 0.0)
        for role in self.sizes:
            base.finish(role)
        baseline = base.right[self.kept] / self.n[self.kept]
        self.limit = self.keep * baseline
        for vector in vectors:
            for coefficient in reversed(coefficients[1:]):
                point = _Point(self, vector, coefficient)
                if self._is_better(point, best):
                    best = point
        best.finish(self.kept)
        # If every image is classified rightly whatever is subtracted, nothing qualifies.
        qualified = best.keeps_control() and best.right["forget"] != self.n["forget"]
        choice = Choice(
            vector=best.vector,
            coefficient=best.coefficient,
            forget_accuracy=100 * (best.right["forget"] / self.n["forget"]),
            control_accuracy=100 * (best.right[self.kept] / self.n[self.kept]),
            control_baseline=100 * baseline,
            upper_end=qualified and best.coefficient == coefficients[-1],
        )
        full = len(vectors) * len(coefficients) * sum(self.n.values())
        return Searched(choice, self.images, full)

    def _is_better(self, point: "_Point", best: "_Point") -> bool:
        """Count until it is sure whether a point is better than the best so far, or not."""
        if sum(self.last["forget"]) >= LIKELY * best.right["forget"]:
            return point.forgets_more(best) and point.keeps_control()
        return point.keeps_control() and point.forgets_more(best)


class _Point:
    """A vector and a coefficient, of which some batches are counted.

    Attributes:
        right: right answers so far by role.
        unseen: images not yet counted by role.
    """

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
        """Say whether `choose` prefers this point: what is counted already can only grow.

        A forget accuracy of 1 is never preferred, since the base's is 1 or lower.
        """
        while self._rank() < best._rank() and self.unseen["forget"]:
            self._step("forget")
        return self._rank() < best._rank()

    def keeps_control(self) -> bool:
        """Say whether the control accuracy reaches the limit."""
        kept = self.search.kept
        while not self._reaches(self.right[kept]):
            if not self._reaches(self.right[kept] + self.unseen[kept]):
                return False
            self._step(kept)
        return True

    def _rank(self) -> tuple[int, float, str]:
        return self.right["forget"], self.coefficient, self.vector

    def _reaches(self, right: int) -> bool:
        return right / self.search.n[self.search.kept] >= self.search.limit

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
