"""What an unlearn method is, what it may read, and what options of many methods have in common."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import torch
from pydantic import Field, PositiveInt
from torch import nn

from negmerge import plugins
from negmerge.evaluation.accuracy import Batch, Objective
from negmerge.settings.checks import Described
from negmerge.settings.recipe import NonNegative, Positive, Recipe, Settings


class Loader(Protocol):
    """Gives the batches of one epoch each time it is iterated; its length counts them.

    A batch is images (n, 3, height, width) float32 in 0..1 and labels (n,) int64. For language
    models it is token ids and labels, both (n, tokens) int64, padded on the right: a label is the
    id in its own place, or `answer_tokens.WITHOUT_LOSS` where the token is none of an answer.
    """

    def __iter__(self) -> Iterator[Batch]: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Data:
    """What an unlearning method may read.

    Attributes:
        forget: what is to be forgotten, shuffled and augmented as in training, each time anew.
        retain: the rest of the training items, likewise; in the scenario zero-shot images of the
            control set.
        forget_in_order: what is to be forgotten, neither shuffled nor augmented.
        retain_in_order: the rest, likewise.
        retain_augmented: the rest, augmented but not shuffled.
        objective: the loss by which models are trained on both.
        classes: how many classes there are.
        seed: what a method draws at random is drawn from this seed.
        refusals: for language models, the forget set as pairs: ids and labels (n, 2, tokens), of
            the question with its answer, and with one that says that the model does not know.
        retain_objective: the loss on the rest where it is another one, since it has other classes.
    """

    forget: Loader
    retain: Loader
    forget_in_order: Loader
    retain_in_order: Loader
    retain_augmented: Loader
    objective: Objective
    classes: int
    seed: int
    refusals: Loader | None = None
    retain_objective: Objective | None = None


@dataclass(frozen=True)
class Method(Described):
    """An unlearning method.

    Attributes:
        run: changes a model in place, given its data, the checked options, the recipe of
            `recipe_for` and the device on which the model is. What it draws at random, and what the
            model does in training, such as dropout, is drawn from the seed of the data.
    """

    run: Callable[[nn.Module, Data, Any, Recipe, torch.device], None]


# By name: one file in `methods/` each, imported when it is asked for.
METHODS: plugins.Registry[Method] = plugins.Registry(plugins.UNLEARN_METHODS, "METHOD")

DataUsed = Literal["forget", "retain", "all"]


class UnlearnOptions(Settings):
    """The options of a method.

    Attributes:
        scenarios: those whose models the method can make forget.
        data_used: which items the method reads; a property where the options decide it.
        refusals: whether it reads answers that say that the model does not know.
        batches_per_step: how many batches make a step; each of the same size.
    """

    scenarios: ClassVar[tuple[str, ...]] = ("classifier",)
    data_used: ClassVar[DataUsed]
    refusals: ClassVar[bool] = False
    batches_per_step: ClassVar[int] = 1

    @property
    def passes(self) -> tuple[str, ...]:
        """The sets that an epoch is a pass over, one after the other."""
        return ("forget", "retain") if self.data_used == "all" else (self.data_used,)


class TrainingOptions(UnlearnOptions):
    """The options that all methods share which train."""

    epochs: PositiveInt = Field(description="Passes over the images.")
    learning_rate: Positive = Field(description="Peak learning rate.")


class Balanced(TrainingOptions):
    """The options of methods that weigh a loss on the forget set against one on the retain set.

    An epoch is a pass over the forget set, with a retain batch beside each of its batches.
    """

    scenarios = ("language",)

    epochs: PositiveInt = Field(
        10, description="Passes over the forget set; 10 in open-unlearning's code."
    )
    learning_rate: Positive = Field(
        1e-5,
        description="Peak rate; 1e-5 in open-unlearning's code. The best of searches on TOFU with "
        "a model of 10^9 numbers were 2e-5 and 5e-5 (unlearning-depth-score); small models need a "
        "search of their own.",
    )
    gamma: Positive = Field(
        1.0, description="Weight of the forget set's loss; 1 in open-unlearning's code."
    )
    alpha: NonNegative = Field(
        1.0,
        description="Weight of the retain set's loss; 1 in open-unlearning's code, which users "
        "search up to 5. 0: the retain set is not read.",
    )

    @property
    def weights(self) -> tuple[float, float]:
        """The weights of the forget and of the retain set."""
        return self.gamma, self.alpha

    @property
    def data_used(self) -> DataUsed:
        """Which items are read."""
        return "all" if self.alpha else "forget"

    @property
    def passes(self) -> tuple[str, ...]:
        """The forget set."""
        return ("forget",)

    @property
    def batches_per_step(self) -> int:
        """A batch of the forget set, and one of the retain set where it is read."""
        return 2 if self.alpha else 1


class Relabelling(TrainingOptions):
    """The option that random-label and salun share."""

    retain: bool = Field(
        True,
        description="A pass over the retain set after each pass over the forget set, as in "
        "Unlearn-Saliency's code; otherwise the forget set only.",
    )

    @property
    def data_used(self) -> DataUsed:
        """Which images are read."""
        return "all" if self.retain else "forget"


class Boundary(TrainingOptions):
    """The options that boundary-shrink and boundary-expand share."""

    data_used = "forget"

    epochs: PositiveInt = Field(
        10, description="Passes over the forget set; 10 by SalUn's authors (WorstCase, issue 1)."
    )
    learning_rate: Positive = Field(
        1e-5,
        description="Peak rate; this project's choice. SalUn's authors search upwards from 1e-8 "
        "(Unlearn-WorstCase, issue 1).",
    )


def recipe_for(recipe: Recipe, options: Settings) -> Recipe:
    """Return the recipe with a method's own epochs and learning rate, if it has these options."""
    if not isinstance(options, TrainingOptions):
        return recipe
    change = {"epochs": options.epochs, "learning_rate": options.learning_rate}
    return recipe.model_copy(update=change)
