"""SCRUB: move away from the original on what is to be forgotten, and stay close on the rest."""

from collections.abc import Iterator

from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.training import fit
from negmerge.unlearning.core import Data, Method, TrainingOptions, frozen_copy


class Options(TrainingOptions):
    """The options of SCRUB; all defaults are those of meghdadk/SCRUB's small-scale notebook."""

    data_used = "all"

    epochs: PositiveInt = Field(
        10, description="Passes over the retain set; 10 in SCRUB's notebook."
    )
    learning_rate: Positive = Field(
        5e-4,
        description="Peak rate; 5e-4 with Adam in SCRUB's notebook. With SGD search from 1e-4 to "
        "0.1 (Unlearn-WorstCase, issue 1).",
    )
    max_epochs: NonNegativeInt = Field(
        3, description="Epochs that begin with a pass over the forget set; 3 in SCRUB's notebook."
    )
    gamma: NonNegative = Field(
        1.0, description="Weight of the retain set's cross-entropy; 1 in SCRUB's notebook."
    )
    alpha: NonNegative = Field(
        0.5, description="Weight of the retain set's divergence; 0.5 in SCRUB's notebook."
    )
    temperature: Positive = Field(
        2.0, description="Temperature of the divergence; 2 in SCRUB's notebook."
    )


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 * KL(teacher || student) of logits (n, classes) over T, the mean over the batch.

    Hinton et al. (2015); T^2 keeps the size of gradients the same for all T.
    """
    student, teacher = (log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Alternate passes that raise and that lower the divergence from the original.

    In the first `max_epochs` epochs a pass over the forget set minimises minus the divergence. Each
    epoch then has a pass over the retain set, minimising gamma * CE + alpha * divergence. One
    optimizer serves all passes. The original is a copy in evaluation mode.
    """
    recipe, teacher = data.recipe, frozen_copy(model)

    def batches() -> Iterator[tuple[Tensor, Tensor, bool]]:
        for epoch in range(recipe.epochs):
            for images, labels in data.forget if epoch < options.max_epochs else ():
                yield images, labels, True
            for images, labels in data.retain:
                yield images, labels, False

    def loss(images: Tensor, labels: Tensor, forget: bool) -> Tensor:
        logits = model(images)
        distance = divergence(logits, teacher(images), options.temperature)
        if forget:
            return -distance
        entropy = cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        return options.gamma * entropy + options.alpha * distance

    passes_away = min(recipe.epochs, options.max_epochs)
    count = recipe.epochs * len(data.retain) + passes_away * len(data.forget)
    fit(model, batches(), count, loss, recipe, data.objective.device, seed=data.seed)


METHOD = Method(
    run,
    title="SCRUB",
    reference="Kurmanji et al., Towards Unbounded Machine Unlearning (NeurIPS 2023)",
    options=Options,
)
