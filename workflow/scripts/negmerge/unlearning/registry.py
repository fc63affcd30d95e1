"""The unlearning methods by name: one file in `methods/` each, imported when it is asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from negmerge import plugins
from negmerge.evaluation.accuracy import Batch, Objective
from negmerge.settings.options import Described
from negmerge.settings.recipe import Recipe, Settings
from negmerge.settings.unlearning import TrainingOptions


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


def recipe_for(recipe: Recipe, options: Settings) -> Recipe:
    """Return the recipe with a method's own epochs and learning rate, if it has these options."""
    if not isinstance(options, TrainingOptions):
        return recipe
    change = {"epochs": options.epochs, "learning_rate": options.learning_rate}
    return recipe.model_copy(update=change)


METHODS: plugins.Registry[Method] = plugins.Registry(plugins.UNLEARN_METHODS, "METHOD")
