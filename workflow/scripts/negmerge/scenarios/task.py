"""What a job needs to know of the task it works on, in one form for all scenarios."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from negmerge.checkpoints.states import State
from negmerge.data.augmentation import Transform, evaluation_transform, training_transform
from negmerge.data.loading import Epochs, EvaluationBatches, TrainingBatches
from negmerge.evaluation.accuracy import Objective, Outputs
from negmerge.models.devices import tuned
from negmerge.settings.compute import Compute
from negmerge.settings.recipe import Augmentation, Recipe

# What items are used for. Choosing a coefficient and scoring share none in the scenario zero-shot.
Purpose = Literal["train", "select", "score"]
# What is kept of a network's answers, by role.
RoleOutputs = Mapping[str, Outputs]


@dataclass(frozen=True)
class Role:
    """The items of a role, and what a network is to do with them."""

    # Gives an input and what it should give, such as (PIL image, label), for each number below its
    # length.
    items: Sequence
    objective: Objective  # how a network is trained and measured on them
    transform: Transform  # of inputs, without randomness
    augmented: Callable[[Augmentation], Transform]  # makes the random transform of training

    @classmethod
    def of_images(cls, items: Sequence, objective: Objective, *form: Any) -> "Role":
        """Return a role of images; `form` is their size, mean and standard deviation."""
        return cls(
            items, objective, evaluation_transform(*form), lambda by: training_transform(by, *form)
        )

    def batches(self, batch_size: int, loaders: int = 0) -> EvaluationBatches:
        """Return the items once, in their order, without randomness."""
        device = self.objective.device
        return EvaluationBatches(self.items, self.transform, batch_size, loaders, device)

    def training_batches(self, recipe: Recipe, seed: int, loaders: int = 0) -> TrainingBatches:
        """Return the batches of all epochs, shuffled and changed at random."""
        transform, device = self.augmented(recipe.augmentation), self.objective.device
        return TrainingBatches(self.items, transform, recipe, seed, loaders=loaders, device=device)

    def epochs(self, recipe: Recipe, seed: int, in_order: bool = False, loaders: int = 0) -> Epochs:
        """Return the batches of one epoch each time one iterates; `in_order`: not shuffled."""
        transform, device = self.augmented(recipe.augmentation), self.objective.device
        return Epochs(self.items, transform, recipe, seed, in_order, loaders, device)


@dataclass(frozen=True)
class Scoring:
    """How models are scored, beside their answers."""

    batch_size: int
    relearning: Mapping | None  # its settings, if relearning is measured
    attack: str | None  # the features of the membership attack, if there is one
    seed: int


# What a score holds beside the accuracies, and arrays of its single items.
Further = tuple[dict[str, object], dict[str, np.ndarray]]


class Task(ABC):
    """A task of a scenario in a job: builds its networks and gives its items."""

    def __init__(self, settings: Mapping, files: Mapping[str, str], device: torch.device):
        # Those that are scored: `forget`, then the one whose accuracy must be kept, then others.
        self.roles: Sequence[str] = settings["roles"]
        self._model, self._files, self._device = settings["model"], files, device
        self._compute = Compute.model_validate(settings.get("compute", {}))

    def placed(self, network: nn.Module) -> nn.Module:
        """Put a network where the job computes, in the form that its settings ask for."""
        return tuned(network.to(self._device), self._compute)

    @abstractmethod
    def network(self, state: State, where: str) -> nn.Module:
        """Build the model that forgets, with the given weights; errors call them `where`."""

    @abstractmethod
    def role(self, name: str, purpose: Purpose, most: int | None = None) -> Role:
        """Return the items of a role for a purpose, at most so many of them."""

    def untrained(self, weights: Path | None) -> nn.Module:
        """Build the model that rule `train` trains, in the scenarios whose base it makes."""
        raise NotImplementedError

    def selection_metrics(self, outputs: RoleOutputs, seed: int) -> dict[str, float]:
        """Return metrics beside the accuracy that choose a model, in percent."""
        return {}

    def scores(self, network: nn.Module, outputs: RoleOutputs, scoring: Scoring) -> Further:
        """Return what a score holds beside accuracies, and arrays of items; it uses the network."""
        return {}, {}

    def reset_batchnorm(self, network: nn.Module, batch_size: int, most: int | None = None) -> None:  # noqa: B027
        """Measure the statistics of batch normalisation anew, on at most so many images."""
