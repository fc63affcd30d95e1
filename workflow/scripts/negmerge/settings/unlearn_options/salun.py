"""The options of SalUn."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import Relabelling


class Options(Relabelling):
    """The options of SalUn."""

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
