"""Whether forgetting lasts: a model rounded to fewer bits, or taught again, and how far it moves.

Only weights are rounded, to the nearest value, in groups: each row of a weight, all that one output
is computed from, is cut into groups of neighbouring numbers, and each group has a scale of its own,
from its largest magnitude. Nothing is calibrated and no data are read. This is what users do to a
model that they are given; it stands for no single library's code.

Ratios compare scores, which say how much of the forget set a model knows, 0..1. `nan` stands for
what is not defined. They take numbers or arrays of one shape, such as scores of many resamples.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from negmerge.evaluation.accuracy import Batch, accuracy

Form = Literal["int8", "int4", "nf4"]
# The largest whole number of each form; both signs have as many, so 0 stays 0.
LARGEST = {"int8": 127, "int4": 7}
# NormalFloat with 4 bits: quantiles of a normal distribution, as shares of a group's largest
# magnitude (Dettmers et al., QLoRA, 2023, appendix E).
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
)  # fmt: skip


def rounded(weights: Tensor, form: Form, group_size: int) -> Tensor:
    """Return weights rounded to the nearest value that a form can hold.

    int8 and int4: s * round(w / s) with the step s = (largest magnitude of the group) / 127 or 7; a
    number half way between two goes to the even one. nf4: the nearest of 16 values times the
    largest magnitude. A group of zeros stays as it is. Shape and dtype stay.
    """
    groups = _groups(weights, group_size)
    largest = groups.abs().amax(dim=-1, keepdim=True)
    scale = torch.where(largest > 0, largest, 1.0)
    if form == "nf4":
        values = torch.tensor(NF4, device=weights.device)
        between = (values[1:] + values[:-1]) / 2
        nearest = values[torch.bucketize((groups / scale).contiguous(), between)] * scale
    else:
        step = scale / LARGEST[form]
        nearest = (groups / step).round() * step
    rows = nearest.flatten(1)[:, : weights[0].numel()]
    return rows.reshape(weights.shape).to(weights.dtype)


@dataclass(frozen=True)
class Survival:
    """How much of a change of weights is large enough to survive rounding."""

    changed: int = 0  # numbers that were changed, of those that are rounded
    large: int = 0  # of them those that changed by half a step or more
    moved: int = 0  # of them those whose nearest whole number of steps is another one than before
    change: float = 0.0  # sum of the magnitudes of all changes
    large_change: float = 0.0  # the part of it that is of large ones

    def __add__(self, other: "Survival") -> "Survival":
        mine, others = vars(self), vars(other)
        return Survival(**{name: mine[name] + others[name] for name in mine})


def survival(before: Tensor, after: Tensor, form: Form, group_size: int) -> Survival:
    """Compare the change of a weight with half a rounding step: the largest error of rounding.

    The steps are those of the weight before, see `rounded`, for both; `form` is int8 or int4, whose
    steps are equal within a group. A smaller change may still carry a number over to the next
    value, if that was near: of many small changes the share (change / step) is expected to. `moved`
    counts what really happens.
    """
    first, second = _groups(before, group_size), _groups(after, group_size)
    step = first.abs().amax(dim=-1, keepdim=True) / LARGEST[form]
    change = (second - first).abs()
    is_changed = change > 0
    is_large = is_changed & (change >= step / 2)
    divisor = torch.where(step > 0, step, 1.0)
    is_moved = (first / divisor).round() != (second / divisor).round()
    # In a group of zeros each step is 0, and each change is large.
    is_moved |= is_changed & (step == 0)
    return Survival(
        int(is_changed.sum()),
        int(is_large.sum()),
        int(is_moved.sum()),
        change.sum(dtype=torch.float64).item(),
        change[is_large].sum(dtype=torch.float64).item(),
    )


def rounded_names(network: nn.Module) -> list[str]:
    """List the parameters that weight-only rounding rounds, by their names in the network.

    The matrices and convolutions of its layers: parameters of two dimensions or more that a layer
    calls its weight. Not norms and biases; not embeddings, and so not an output layer that shares
    its numbers with one; not what is no layer's weight, such as CLIP's last projection. A layer
    that keeps its weight transposed, as GPT-2's do, is cut into groups along its outputs.
    """
    embeddings = {
        id(layer.weight) for layer in network.modules() if isinstance(layer, nn.Embedding)
    }
    return [
        name
        for name, parameter in network.named_parameters()
        if name.endswith("weight") and parameter.ndim > 1 and id(parameter) not in embeddings
    ]


def _groups(weights: Tensor, group_size: int) -> Tensor:
    """Cut rows into groups, (rows, groups, group_size) float32, the last one filled with zeros."""
    rows = weights.detach().float().flatten(1)
    return functional.pad(rows, (0, -rows.shape[1] % group_size)).unflatten(1, (-1, group_size))


def relearn_epochs(
    network: nn.Module,
    epochs: Iterable[Iterable[Batch]],
    forget: Iterable[Batch],
    target: int,
    learning_rate: float,
    device: torch.device,
) -> int | None:
    """Count the epochs of plain SGD on the forget set until `target` of it are right.

    A model that only hides what it knew is back at once; compare it with Retrain, which learns
    these images for the first time. The target is what the original model gets right. The network,
    on `device`, does not reach it as it is, and is trained on the batches of each of the `epochs`;
    the batches of `forget` are for counting. At least 1; None if the model needs more epochs.
    """
    parameters = list(network.parameters())
    for number, batches in enumerate(epochs, 1):
        network.train()
        for images, labels in batches:
            loss = functional.cross_entropy(network(images.to(device)), labels.to(device))
            gradients = torch.autograd.grad(loss, parameters)
            # The first optimizer of torch's that is built takes a second.
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.add_(gradient, alpha=-learning_rate)
        if accuracy(network, None, forget, device).correct >= target:
            return number
    return None


def rounding_ratio(before: ArrayLike, after: ArrayLike) -> np.ndarray:
    """Return min(before / after, 1): how much of the score after rounding was there before it.

    0..1 float64, 1 where rounding brings nothing back; nan where both are 0. OpenUnlearning's Q
    (2506.12618, section 4.2), as code of others has it, is the inverse, min(after / before, 1), and
    so 1 where knowledge comes back; that is this function with its arguments exchanged.
    """
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    return np.where((before > 0) | (after > 0), np.minimum(_over(before, after), 1), np.nan)


def relearning_ratio(
    before: ArrayLike, after: ArrayLike, never_before: ArrayLike, never_after: ArrayLike
) -> np.ndarray:
    """Return min(gain of the model that never knew / gain of the unlearned model, 1), 0..1.

    OpenUnlearning's R, as code of others has it, of scores before and after teaching both again: 1
    where the unlearned model learns no faster than one that was trained without the forget set and
    learns it for the first time; near 0 where it is back at once; nan where the unlearned model
    gains nothing, or the other one loses.
    """
    gain = np.subtract(after, before, dtype=np.float64)
    first = np.subtract(never_after, never_before, dtype=np.float64)
    return np.where((gain > 0) & (first >= 0), np.minimum(_over(first, gain), 1), np.nan)


def likeness(one: ArrayLike, other: ArrayLike) -> np.ndarray:
    """Return 1 - |one - other| / (|one| + |other|), the ratio that asks for no direction.

    Of two scores, or of two gains: 1 where they are equal, 0 where one is 0 or they have unlike
    signs.
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    sizes = np.abs(one) + np.abs(other)
    return np.where(sizes > 0, 1 - _over(np.abs(one - other), sizes), np.nan)


def likeness_of_gains(
    before: ArrayLike, after: ArrayLike, never_before: ArrayLike, never_after: ArrayLike
) -> np.ndarray:
    """Return the likeness of two gains; the arguments are those of `relearning_ratio`."""
    return likeness(np.subtract(after, before), np.subtract(never_after, never_before))


def _over(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide; by 0 it is infinite, or nan for 0 / 0."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return numerator / denominator
