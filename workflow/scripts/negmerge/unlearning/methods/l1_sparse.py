"""l1-sparse: fine-tuning on what is retained, with an l1 penalty on the weights that fades out."""

from collections.abc import Iterator

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.training import fit
from negmerge.unlearning.core import Data, Method, TrainingOptions


class Options(TrainingOptions):
    data_used = "retain"

    epochs: PositiveInt = Field(
        10, description="Passes over the retain set; 10 in Unlearn-Sparse's README."
    )
    learning_rate: Positive = Field(0.01, description="Peak rate; 0.01 in Unlearn-Sparse's README.")
    alpha: NonNegative = Field(
        1e-4,
        description="Weight of the penalty in the first epoch; this project's choice. The code's "
        "default, 0.2, is shared with influence unlearning and far too large.",
    )
    plain_epochs: NonNegativeInt = Field(
        0, description="Epochs at the end without a penalty; 0 in Unlearn-Saliency's code."
    )


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Train on the retain set with cross-entropy + weight * sum of |p|, in training mode.

    The sum is over all parameters, biases and batch normalisation's included. Nothing is pruned. In
    epoch e from 0 the weight is alpha * (1 - e / (E - e0)), and 0 in the last e0 of E epochs, as in
    OPTML-Group/Unlearn-Saliency; so there is no penalty at all if e0 = E.
    """
    recipe, fit_to = data.recipe, data.loss(model)

    def batches() -> Iterator[tuple[Tensor, Tensor, float]]:
        sparse = recipe.epochs - options.plain_epochs
        for epoch in range(recipe.epochs):
            weight = options.alpha * (1 - epoch / sparse) if epoch < sparse else 0.0
            for images, labels in data.retain:
                yield images, labels, weight

    def loss(images: Tensor, labels: Tensor, weight: float) -> Tensor:
        size = torch.stack([p.abs().sum() for p in model.parameters()]).sum()
        return fit_to(images, labels) + weight * size

    count, device = recipe.epochs * len(data.retain), data.objective.device
    fit(model, batches(), count, loss, recipe, device, seed=data.seed)


METHOD = Method(
    run,
    title="l1-sparse",
    reference="Jia et al., Model Sparsity Can Simplify Machine Unlearning (NeurIPS 2023)",
    options=Options,
)
