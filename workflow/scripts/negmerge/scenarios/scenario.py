"""What a job needs to know of the scenario it works in, in one form for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from torch import Tensor, nn

from negmerge.data.augmentation import Transform
from negmerge.settings.recipe import Augmentation
from negmerge.states import State

# What images are used for. Choosing a coefficient and scoring share none in the scenario zero-shot.
Purpose = Literal["train", "select", "score"]
# Logits (n, classes) and labels (n,) by role.
Outputs = Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Role:
    """The images of a role, and how features become logits.

    Attributes:
        items: gives (PIL image, label) for each number below its length.
        head: (classes, dimensions), for models that give features; None where they give logits.
    """

    items: Sequence
    head: Tensor | None = None


class Scenario(Protocol):
    """A scenario, for one task.

    Attributes:
        roles: those that are scored: `forget`, then the one whose accuracy must be kept, then
            others.
    """

    roles: Sequence[str]

    def network(self, state: State, where: str) -> nn.Module:
        """Build the model that forgets, with the given weights; errors call them `where`."""

    def role(self, name: str, purpose: Purpose, most: int | None = None) -> Role:
        """Return the images of a role for a purpose, at most so many of them."""

    def training_transform(self, augmentation: Augmentation) -> Transform:
        """Build the random transform of training images."""

    def evaluation_transform(self) -> Transform:
        """Build the transform without randomness."""

    def selection_metrics(self, found: Outputs, seed: int) -> dict[str, float]:
        """Return metrics beside the accuracy that choose a model, in percent.

        Args:
            found: of the selection images.
            seed: of what is drawn; models that are compared share it.
        """

    def scores(
        self,
        network: nn.Module,
        found: Outputs,
        batch_size: int,
        relearning: Mapping | None,
        attack: str | None,
        seed: int,
    ) -> tuple[dict[str, object], dict[str, np.ndarray]]:
        """Return what a score holds beside the accuracies; relearning uses the network up.

        And what more there is to say of single images, see `evaluation.outcomes.Outcomes`.
        """

    def settle(self, network: nn.Module, batch_size: int, most: int | None = None) -> None:
        """Measure the statistics of batch normalisation anew, on at most so many images."""
