"""Right answers, counted; or how right they are, summed up."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """How many of n images were classified correctly; or the sum of n scores, each 0..1."""

    correct: int | float
    n: int

    @property
    def share(self) -> float:
        """The share of right answers, or the mean score, 0..1."""
        return self.correct / self.n
