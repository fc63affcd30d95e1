"""Influence unlearning: one step along an approximate influence of the forget set, no training."""

from collections.abc import Iterable
from itertools import islice

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from negmerge.checkpoints.states import require_finite
from negmerge.settings.recipe import Positive
from negmerge.unlearning.core import (
    Data,
    Loader,
    Method,
    UnlearnOptions,
    batch_gradients,
    one_by_one,
    trainable,
)


class Options(UnlearnOptions):
    data_used = "all"

    alpha: Positive = Field(
        0.2,
        description="Length of the step; 0.2 in Unlearn-Saliency's code, 1 to 20 in SalUn's paper; "
        "users needed less than 1 (its issue 11).",
    )
    samples: PositiveInt = Field(
        1000,
        description="N of the recursion, which reads N + 2 retain images one by one; 1000 in "
        "Unlearn-Saliency's code.",
    )
    augmented: bool = Field(
        False,
        description="Take all gradients on images that are augmented as in training, as in "
        "Unlearn-Saliency's code; otherwise on the images as they are, this project's choice.",
    )


def inverse_fisher(vector: Tensor, gradients: Iterable[Tensor], samples: int = 1000) -> Tensor:
    """Multiply a vector (P,) by an approximate inverse Fisher matrix (WoodFisher).

    The gradients (P,) are of single samples, of which the first N + 2 are read. With o the first
    gradient and k the vector, each later gradient g changes both: k -= (k.g) / (N + o.g) * o and
    o -= (o.g) / (N + o.g) * o. So o keeps its direction, and the result differs from the vector by
    a multiple of the first gradient only, which is what OPTML-Group/Unlearn-Saliency computes.
    """
    result, direction = vector.clone(), None
    for gradient in islice(gradients, samples + 2):
        if direction is None:
            direction = gradient.clone()
            continue
        overlap = direction @ gradient
        result -= (result @ gradient) / (samples + overlap) * direction
        direction -= overlap / (samples + overlap) * direction
    return result


def influence_direction(model: nn.Module, forget: Loader, retain: Loader) -> Tensor:
    """Return v = |Df| / (|Df| + |Dr|) * (mean gradient on Df - mean gradient on Dr), (P,)."""
    (on_forget, forgotten), (on_retain, retained) = (_mean(model, s) for s in (forget, retain))
    return forgotten / (forgotten + retained) * (on_forget - on_retain)


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Add alpha times the inverse Fisher of v to the weights; all gradients in evaluation mode.

    The single samples of the recursion are the first of the retain set, in its order; where it has
    fewer than N + 2, all of them.

    Raises:
        UserError: a weight becomes infinite or NaN.
    """
    forget, retain, in_order = data.forget_in_order, data.retain_in_order, data.retain_in_order
    if options.augmented:
        forget, retain, in_order = data.forget, data.retain, data.retain_augmented
    vector = influence_direction(model, forget, retain)
    singles = (_flat(g) for _, g in batch_gradients(model, one_by_one(in_order)))
    change = inverse_fisher(vector, singles, options.samples)
    parameters = trainable(model)
    parts = change.split([parameter.numel() for parameter in parameters.values()])
    for (name, parameter), part in zip(parameters.items(), parts, strict=True):
        parameter.detach().add_(options.alpha * part.view_as(parameter))
        require_finite(parameter.detach(), name, f"influence with alpha {options.alpha}")


def _mean(model: nn.Module, loader: Loader) -> tuple[Tensor, int]:
    total, count = 0, 0
    for size, gradients in batch_gradients(model, loader):
        total, count = total + size * _flat(gradients), count + size
    return total / count, count


def _flat(gradients: dict[str, Tensor]) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients.values()])


METHOD = Method(
    run,
    title="Influence",
    reference="Izzo et al., Approximate Data Deletion (AISTATS 2021), as in Jia et al. (2023)",
    options=Options,
)
