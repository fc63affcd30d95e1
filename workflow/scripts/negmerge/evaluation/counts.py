"""Right answers, counted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """How many of n images were classified correctly."""

    correct: int
    n: int

    @property
    def share(self) -> float:
        """The share of right answers, 0..1."""
        return self.correct / self.n
