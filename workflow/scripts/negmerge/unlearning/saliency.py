"""SalUn's saliency mask (Fan et al., ICLR 2024), and training of the weights inside a mask."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from negmerge.checkpoints.states import require_finite
from negmerge.unlearning.core import Loader, summed_gradients, trainable


def saliency_mask(model: nn.Module, forget_loader: Loader, keep: float) -> dict[str, Tensor]:
    """Choose the weights on which forgetting depends most: a mask of each parameter, True if so.

    A weight's saliency is the absolute value of the sum, over the batches of images to forget, of
    the gradient of the batch's mean loss, in evaluation mode; so a smaller last batch counts as
    much as the others. As in the official code, the P numbers of all parameters that require a
    gradient are ranked together, those of batch normalisation included, and int(P * keep) of them
    are chosen; among equal ones, those that come first in the model. The model, from images to
    logits, stays as it is with its mode and gradients. A gradient that is not finite is a
    UserError.
    """
    parameters = trainable(model)
    sums, _ = summed_gradients(model, forget_loader)
    for name, total in sums.items():
        require_finite(total, name, "saliency mask: gradients")
    saliency = torch.cat([total.detach().flatten().abs() for total in sums.values()])
    order = saliency.argsort(descending=True, stable=True)
    chosen = torch.zeros_like(saliency, dtype=torch.bool)
    chosen[order[: int(len(saliency) * keep)]] = True
    parts = chosen.split([parameter.numel() for parameter in parameters.values()])
    return {
        name: part.reshape(parameter.shape).clone()
        for (name, parameter), part in zip(parameters.items(), parts, strict=True)
    }


@contextmanager
def only_masked(
    model: nn.Module, mask: Mapping[str, Tensor]
) -> Iterator[Callable[[Optimizer], None]]:
    """Let training move only the weights where a mask is True; yield `training.fit`'s `after_step`.

    Weight decay and momentum move weights without a gradient, so they are put back after each step,
    as in the official code since February 2026.
    """
    fixed = [
        (parameter, ~mask[name].to(parameter.device), parameter.detach().clone())
        for name, parameter in trainable(model).items()
    ]
    # Masked before the step, too, so that only what may move counts when gradients are clipped.
    hooks = [
        parameter.register_hook(lambda gradient, outside=outside: gradient.masked_fill(outside, 0))
        for parameter, outside, _ in fixed
    ]

    @torch.no_grad()
    def restore(optimizer: Optimizer) -> None:
        for parameter, outside, original in fixed:
            parameter.copy_(original.where(outside, parameter))
            for key, value in optimizer.state.get(parameter, {}).items():
                # AdamW also keeps the number of its steps there.
                if key != "step" and isinstance(value, Tensor):
                    value.masked_fill_(outside, 0)

    try:
        yield restore
    finally:
        for hook in hooks:
            hook.remove()
