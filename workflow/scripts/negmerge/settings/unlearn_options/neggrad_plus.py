"""The options of NegGrad+."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Positive, Share
from negmerge.settings.unlearning import TrainingOptions


class Options(TrainingOptions):
    """The options of NegGrad+."""

    scenarios = ("classifier", "language")
    data_used = "all"
    batches_per_step = 2

    epochs: PositiveInt = Field(
        10, description="Passes over the retain set; 10, this project's choice as for the others."
    )
    learning_rate: Positive = Field(
        0.01, description="Peak rate; 0.01, this project's choice: that of fine-tuning."
    )
    alpha: Share = Field(
        0.9,
        description="Weight of the retain set's loss, 1 - alpha that of the forget set's; this "
        "project's choice: the share of retained images when a tenth is forgotten.",
    )

    @property
    def passes(self) -> tuple[str, ...]:
        """The retain set."""
        return ("retain",)
