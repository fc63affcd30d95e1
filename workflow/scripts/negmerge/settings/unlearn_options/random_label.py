"""The options of Random Labelling."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import Relabelling


class Options(Relabelling):
    """The options of random labels."""

    epochs: PositiveInt = Field(
        10, description="Passes over the sets; 10 by SalUn's authors (WorstCase, issue 1)."
    )
    learning_rate: Positive = Field(
        0.013,
        description="Peak rate; that of SalUn's README, of which this is the case without a mask. "
        "Its authors search from 1e-4 to 0.1 (Unlearn-WorstCase, issue 1).",
    )
