"""SalUn: random labels, for the weights on which forgetting depends most."""

import torch
from torch import nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.salun import Options
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.relabelling import train_on_random_labels
from negmerge.unlearning.saliency import only_masked, saliency_mask


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Train the weights inside `saliency.saliency_mask`, which is made before the first step.

    Weights outside the mask stay bit for bit as they are; the statistics of batch normalisation
    are not weights and move. The training is that of `relabelling.train_on_random_labels`.
    """
    images = data.forget if options.augmented else data.forget_in_order
    mask = saliency_mask(model, images, options.mask_share)
    with only_masked(model, mask) as after_step:
        train_on_random_labels(model, data, options.retain, recipe, device, after_step)


METHOD = Method(
    run,
    title="SalUn",
    reference="Fan et al., SalUn (ICLR 2024)",
    options=Options,
)
