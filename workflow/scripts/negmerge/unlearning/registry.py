"""The unlearning methods by name: one file in `methods/` each, imported when it is asked for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from pydantic import Field, PositiveInt, ValidationError
from torch import Tensor, nn

from negmerge import plugins
from negmerge.errors import UserError
from negmerge.settings.recipe import Positive, Recipe, Settings
from negmerge.settings.yaml_files import explain

Batch = tuple[Tensor, Tensor]
Uses = Literal["forget", "retain", "all"]


class Loader(Protocol):
    """Gives the batches of one epoch each time it is iterated; its length counts them.

    A batch is images (n, 3, height, width) float32 in 0..1 and labels (n,) int64.
    """

    def __iter__(self) -> Iterator[Batch]: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Data:
    """What an unlearning method may read.

    Attributes:
        forget: what is to be forgotten, shuffled and augmented as in training, each time anew.
        retain: the rest of the training images, likewise.
        forget_in_order: what is to be forgotten, neither shuffled nor augmented.
        retain_in_order: the rest, likewise.
        retain_augmented: the rest, augmented but not shuffled.
        classes: how many classes there are.
        seed: what a method draws at random is drawn from this seed.
    """

    forget: Loader
    retain: Loader
    forget_in_order: Loader
    retain_in_order: Loader
    retain_augmented: Loader
    classes: int
    seed: int


class TrainingOptions(Settings):
    """The options that all methods share which train."""

    epochs: PositiveInt = Field(description="Passes over the images.")
    learning_rate: Positive = Field(description="Peak learning rate.")


@dataclass(frozen=True)
class Method:
    """An unlearning method.

    Attributes:
        run: changes a model in place, given its data, the checked options, the recipe of
            `recipe_for` and the device on which the model is. What it draws at random, and what the
            model does in training, such as dropout, is drawn from the seed of the data.
        title: the name in tables.
        reference: where the method comes from.
        reads: which images it reads; a function of the options where they decide it.
        options: the options, with their defaults.
    """

    run: Callable[[nn.Module, Data, Any, Recipe, torch.device], None]
    title: str
    reference: str
    reads: Uses | Callable[[Any], Uses]
    options: type[Settings] = Settings

    def uses(self, options: Settings) -> Uses:
        """Say which images the method reads with these options."""
        return self.reads(options) if callable(self.reads) else self.reads

    def check(self, name: str, options: Mapping[str, object]) -> Settings:
        """Fill in the defaults.

        Raises:
            UserError: an unknown option, or a value of another type or out of range.
        """
        try:
            return self.options.model_validate(dict(options))
        except ValidationError as error:
            raise UserError(f"{name}: {explain(error, self.options)}") from error


def recipe_for(recipe: Recipe, options: Settings) -> Recipe:
    """Give the recipe with a method's own epochs and learning rate, if it has these options."""
    if not isinstance(options, TrainingOptions):
        return recipe
    change = {"epochs": options.epochs, "learning_rate": options.learning_rate}
    return recipe.model_copy(update=change)


class _Methods(Mapping[str, Method]):
    """name -> method; a name is a file's name in `methods/` with `-` for `_`."""

    def __iter__(self) -> Iterator[str]:
        return iter(plugins.names(plugins.UNLEARN_METHODS))

    def __len__(self) -> int:
        return len(plugins.names(plugins.UNLEARN_METHODS))

    def __getitem__(self, name: str) -> Method:
        if name not in plugins.names(plugins.UNLEARN_METHODS):
            raise KeyError(name)
        return plugins.load(plugins.UNLEARN_METHODS, name).METHOD


METHODS: Mapping[str, Method] = _Methods()
