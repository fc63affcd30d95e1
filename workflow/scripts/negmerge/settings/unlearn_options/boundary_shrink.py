"""The options of Boundary Shrink."""

from pydantic import Field

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import Boundary


class Options(Boundary):
    """The options of Boundary Shrink."""

    bound: Positive = Field(
        0.1,
        le=1,
        description="Size of the adversarial step, where images are in 0..1; 0.1 in the paper "
        "and in Unlearn-Saliency's code.",
    )
