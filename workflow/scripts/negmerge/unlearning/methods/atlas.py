"""aTLAS: learn by how much each tensor of each vector is added, not one coefficient for all.

Read in the authors' code, fredzzhang/atlas at 557d7fb, and in the paper, which agree. Theirs is
one vector in the scenario zero-shot; merges, whole pools, classifiers and language models are
this project's use. It reads the items to forget and those to retain, with their labels.
"""

import math
import time

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from negmerge.checkpoints.states import require_finite
from negmerge.errors import NotFinite
from negmerge.settings.recipe import NonNegative, Positive
from negmerge.unlearning.core import Data, Method, TrainingOptions, endless, evaluating, trainable


class Options(TrainingOptions):
    """The options of aTLAS; a study searches the epochs, which they choose by validation, too."""

    scenarios = ("classifier", "language", "zero-shot")
    data_used = "all"
    vectors = "any"
    batches_per_step = 2

    epochs: PositiveInt = Field(
        5, description="Passes over the forget set; 2 to 20 in the authors' code, by data set."
    )
    learning_rate: Positive = Field(
        0.005,
        description="Rate, which stays; 0.001 times 2 to 10 in the authors' code, by data set.",
    )
    weight_decay: NonNegative = Field(
        0.1,
        description="Weight decay, which pulls the coefficients to 0; 0.1 in the authors' code.",
    )

    @property
    def passes(self) -> tuple[str, ...]:
        return ("forget",)


def slopes(gradients: list[Tensor], vectors: list[list[Tensor]]) -> Tensor:
    """Return the slope of a loss by each coefficient: (vectors, tensors).

    It is the product of the weights' gradient with the vector, summed over the tensor.
    """
    rows = [
        [torch.sum(g * tau) for g, tau in zip(gradients, vector, strict=True)] for vector in vectors
    ]
    return torch.stack([torch.stack(row) for row in rows])


@torch.no_grad()
def move(
    parameters: list[nn.Parameter],
    base: list[Tensor],
    vectors: list[list[Tensor]],
    coefficients: Tensor,
) -> None:
    """Set weights to base + the sum over vectors of coefficient * vector, tensor by tensor."""
    for place, (parameter, start) in enumerate(zip(parameters, base, strict=True)):
        total = start.clone()
        for row, vector in zip(coefficients, vectors, strict=True):
            total += row[place] * vector[place]
        parameter.copy_(total)


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise loss(retain batch) - loss(forget batch) by a coefficient for each tensor.

    Weights = base + sum over vectors k and tensors j of c_kj tau_kj. The coefficients start at 0
    and may have any sign. AdamW at a constant rate trains them, in float32, with gradients clipped
    to norm 1. An epoch is a pass over the forget set, with a retain batch beside each of its
    batches. In evaluation mode, so the statistics of batch normalisation stay. The loss has no
    lower bound: rate and epochs hold it.
    """
    moved = {n: p for n, p in trainable(model).items() if all(n in one for one in data.vectors)}
    names, parameters = list(moved), list(moved.values())
    base = [parameter.detach().clone() for parameter in parameters]
    vectors = [[one[name] for name in names] for one in data.vectors]
    shape = len(vectors), len(names)
    coefficients = nn.Parameter(torch.zeros(shape, device=data.objective.device))
    settings = {"lr": options.learning_rate, "weight_decay": options.weight_decay}
    optimizer = torch.optim.AdamW([coefficients], **settings)
    smoothing = data.recipe.label_smoothing
    forget_loss = data.objective.loss(model, smoothing)
    retain_loss = (data.retain_objective or data.objective).loss(model, smoothing)
    others, device = endless(data.retain), data.objective.device
    for epoch in range(options.epochs):
        start, total, steps = time.monotonic(), 0.0, 0
        for batch in data.forget:
            with evaluating(model):
                retained = retain_loss(*(part.to(device) for part in next(others)))
                loss = retained - forget_loss(*(part.to(device) for part in batch))
            gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
            coefficients.grad = slopes([*gradients], vectors)
            nn.utils.clip_grad_norm_([coefficients], 1.0)
            optimizer.step()
            move(parameters, base, vectors, coefficients.detach())
            total, steps = total + loss.item(), steps + 1
        rate = steps / (time.monotonic() - start)
        mean = coefficients.detach().mean().item()
        print(f"atlas, epoch {epoch + 1}: loss {total / steps:.4f}, {rate:.1f} steps/s")
        if not math.isfinite(total + mean):
            raise NotFinite(f"atlas: epoch {epoch + 1} ends with {mean}; lower the rate")
    for name, parameter in zip(names, parameters, strict=True):
        require_finite(parameter.detach(), name, "atlas: lower the rate")


METHOD = Method(
    run,
    title="aTLAS",
    reference="Zhang et al., Knowledge Composition using Task Vectors (NeurIPS 2024)",
    options=Options,
)
