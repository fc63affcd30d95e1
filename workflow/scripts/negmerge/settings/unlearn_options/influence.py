"""The options of Influence."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import UnlearnOptions


class Options(UnlearnOptions):
    """The options of influence unlearning."""

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
