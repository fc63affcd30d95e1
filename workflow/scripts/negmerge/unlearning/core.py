"""What an unlearn method is, what it may read, and the loops in which methods train."""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from negmerge import plugins
from negmerge.checkpoints.states import State
from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Batch, Loss, Objective
from negmerge.settings.checks import Described
from negmerge.settings.recipe import NonNegative, Positive, Recipe, Settings
from negmerge.training import fit


class Loader(Protocol):
    """Gives the batches of one epoch each time it is iterated; its length counts them.

    A batch is images (n, 3, height, width) float32 in 0..1 and labels (n,) int64; or token ids and
    labels, both (n, tokens) int64, padded on the right, see `tokenising.WITHOUT_LOSS`.
    """

    def __iter__(self) -> Iterator[Batch]: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Data:
    """What an unlearning method may read, and how it is to train."""

    forget: Loader  # what is to be forgotten, shuffled and augmented as in training, each time anew
    retain: Loader  # the other training items, likewise; in zero-shot images of the control set
    forget_in_order: Loader  # what is to be forgotten, neither shuffled nor augmented
    retain_in_order: Loader  # the other items, likewise
    retain_augmented: Loader  # the other items, augmented but not shuffled
    objective: Objective  # the loss of training, and the device on which the model is
    classes: int  # how many there are; 0 where answers are not chosen among classes
    seed: int  # what a method draws at random is drawn from it
    recipe: Recipe  # the settings of training, with the method's own epochs and learning rate
    # Of language models, the forget set as pairs: ids and labels (n, 2, tokens) of the question
    # with its answer, and with one that says that the model does not know.
    refusals: Loader | None = None
    retain_objective: Objective | None = None  # for the other items where they have other classes
    vectors: tuple[State, ...] = ()  # task vectors of the base, for methods that move along them

    def loss(self, model: nn.Module) -> Loss:
        """Make the loss of training, which calls the model."""
        return self.objective.loss(model, self.recipe.label_smoothing)


@dataclass(frozen=True)
class Method(Described):
    """An unlearning method."""

    # Changes a model, which is on the objective's device, in place, by its data and the checked
    # options; or returns another in its place. What it draws at random, as for dropout, is drawn
    # from the seed of the data.
    run: Callable[[nn.Module, Data, Any], nn.Module | None]


# By name: one file in `methods/` each, imported when it is asked for.
METHODS: plugins.Registry[Method] = plugins.Registry(plugins.UNLEARN_METHODS, "METHOD")

DataUsed = Literal["forget", "retain", "all"]


class UnlearnOptions(Settings):
    """The options of a method."""

    scenarios: ClassVar[tuple[str, ...]] = ("classifier",)  # whose models it can make forget
    data_used: ClassVar[DataUsed]  # which items it reads; a property where the options decide it
    refusals: ClassVar[bool] = False  # whether it reads answers that the model does not know
    vectors: ClassVar[Literal["none", "one", "any"]] = "none"  # how many a use's `along` gives
    one_more: ClassVar[bool] = False  # whether another one follows them, see rule `unlearn`
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
        return self.gamma, self.alpha

    @property
    def data_used(self) -> DataUsed:
        return "all" if self.alpha else "forget"

    @property
    def passes(self) -> tuple[str, ...]:
        return ("forget",)

    @property
    def batches_per_step(self) -> int:
        return 2 if self.alpha else 1


def recipe_for(recipe: Recipe, options: Settings) -> Recipe:
    """Return the recipe with a method's own epochs and learning rate, if it has these options."""
    if not isinstance(options, TrainingOptions):
        return recipe
    change = {"epochs": options.epochs, "learning_rate": options.learning_rate}
    return recipe.model_copy(update=change)


def passes(loader: Loader, count: int) -> Iterator[Batch]:
    """Yield the batches of `count` epochs, one after the other."""
    for _ in range(count):
        yield from loader


def endless(loader: Loader) -> Iterator[Batch]:
    """Yield the batches of pass after pass."""
    while True:
        yield from loader


def frozen_copy(model: nn.Module) -> nn.Module:
    """Copy a model as it is, in evaluation mode and without gradients."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def minus(loss: Loss) -> Loss:
    """Make the loss whose descent is an ascent of another."""

    def ascent(*batch: Tensor) -> Tensor:
        return -loss(*batch)

    return ascent


def fit_set(model: nn.Module, data: Data, loader: Loader, loss: Loss) -> None:
    """Train with a loss on the batches of one set, pass after pass."""
    recipe, device = data.recipe, data.objective.device
    count = recipe.epochs * len(loader)
    fit(model, passes(loader, recipe.epochs), count, loss, recipe, device, seed=data.seed)


def fit_both(
    model: nn.Module,
    data: Data,
    options: Any,
    forget_loss: Loss,
    retain_loss: Loss | None = None,
    forget: Loader | None = None,
) -> None:
    """Minimise gamma * forget loss + alpha * retain loss, of a batch of each set in each step.

    The options have both as `weights`; their `passes` name the set that an epoch is a pass over.
    The two batches go through the model one after the other, so batch normalisation does not mix
    them.
    """
    forget = data.forget if forget is None else forget
    (gamma, alpha), recipe, device = options.weights, data.recipe, data.objective.device
    by_retain = options.passes == ("retain",)
    if not len(forget):
        raise UserError("unlearning: the forget set is empty")
    if not by_retain and not alpha:
        fit_set(model, data, forget, lambda *batch: gamma * forget_loss(*batch))
        return
    if not len(data.retain):
        raise UserError("unlearning: the retain set is empty")
    retain_loss = retain_loss or data.loss(model)

    def loss(*members: Tensor) -> Tensor:
        retained, forgotten = retain_loss(*members[:2]), forget_loss(*members[2:])
        return alpha * retained + gamma * forgotten

    whole, other = (data.retain, forget) if by_retain else (forget, data.retain)
    pairs = zip(passes(whole, recipe.epochs), endless(other), strict=False)
    batches = ((*one, *two) if by_retain else (*two, *one) for one, two in pairs)
    fit(model, batches, recipe.epochs * len(whole), loss, recipe, device, seed=data.seed)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and each of its modules back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """List the parameters that require a gradient, in the model's order."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def batch_gradients(
    model: nn.Module, batches: Iterable[Batch], loss: Loss | None = None
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yield each batch's size, and the gradient of its mean loss in evaluation mode."""
    of_batch = loss or (lambda images, labels: cross_entropy(model(images), labels))
    parameters = trainable(model)
    device = next(iter(parameters.values())).device
    for inputs, labels in batches:
        # Not around the whole loop: the caller may train or stop between two batches.
        with evaluating(model):
            value = of_batch(inputs.to(device), labels.to(device))
        # A parameter that the logits do not depend on has a gradient of zeros.
        slopes = torch.autograd.grad(value, [*parameters.values()], materialize_grads=True)
        yield len(inputs), dict(zip(parameters, slopes, strict=True))


def summed_gradients(
    model: nn.Module, batches: Iterable[Batch], loss: Loss | None = None, squared: bool = False
) -> tuple[dict[str, Tensor], int]:
    """Sum the gradients of `batch_gradients`, or their squares, and count the batches."""
    sums, count = {name: torch.zeros_like(p) for name, p in trainable(model).items()}, 0
    for _, gradients in batch_gradients(model, batches, loss):
        count += 1
        for name, gradient in gradients.items():
            sums[name] += gradient.square() if squared else gradient
    return sums, count


def one_by_one(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the items of batches as batches of one."""
    for inputs, labels in batches:
        yield from zip(inputs.split(1), labels.split(1), strict=True)
