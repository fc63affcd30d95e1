"""Statistics of batch normalisation, measured anew after the weights were moved."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def re_estimate(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], device: torch.device
) -> None:
    """Replace running means and variances by their averages over some batches.

    Each batch counts alike, as with `momentum=None` of torch's layers; no weight changes.

    Args:
        network: the model, on `device`; left in eval mode.
        batches: images and labels, in an order without randomness.
        device: where to compute.
    """
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    for images, _ in batches:
        network(images.to(device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
