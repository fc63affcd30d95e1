"""SalUn: random labels, for the weights on which forgetting depends most."""

from pydantic import Field, PositiveInt
from torch import nn

from negmerge.settings.recipe import Positive
from negmerge.unlearning.core import Data, Method
from negmerge.unlearning.methods import random_label
from negmerge.unlearning.saliency import only_masked, saliency_mask


class Options(random_label.Options):
    epochs: PositiveInt = Field(10, description="Passes over the sets; 10 in SalUn's README.")
    learning_rate: Positive = Field(
        0.013,
        description="Peak rate; 0.013 in SalUn's README for a tenth of CIFAR-10. Its authors "
        "search from 1e-4 to 0.1 (Unlearn-WorstCase, issue 1).",
    )
    mask_share: Positive = Field(
        0.5,
        le=1,
        description="Share of the weights that the mask lets move; 0.5 in SalUn's README.",
    )
    augmented: bool = Field(
        False,
        description="Make the mask of images that are shuffled and augmented as in training, as in "
        "SalUn's code; otherwise of the images as they are, this project's choice.",
    )


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Train the weights inside `saliency.saliency_mask`, which is made before the first step.

    Weights outside the mask stay bit for bit as they are; the statistics of batch normalisation
    are not weights and move. The training is that of random labels.
    """
    images = data.forget if options.augmented else data.forget_in_order
    mask = saliency_mask(model, images, options.mask_share)
    with only_masked(model, mask) as after_step:
        random_label.run(model, data, options, after_step)


METHOD = Method(run, title="SalUn", reference="Fan et al., SalUn (ICLR 2024)", options=Options)
