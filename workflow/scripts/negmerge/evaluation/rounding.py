"""Rounding weights to 8 or 4 bits, as for a small device, and how much of a change survives it.

Each row of a weight is cut into groups of neighbours with a scale of their own. No data are read.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

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

    Parameters of two dimensions or more that a layer calls its weight; no norms, biases,
    embeddings.
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
