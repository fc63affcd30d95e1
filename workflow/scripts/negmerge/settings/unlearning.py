"""What the options of unlearn methods have in common; those of each are in `unlearn_options`."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Positive, Settings

DataUsed = Literal["forget", "retain", "all"]


class UnlearnOptions(Settings):
    """The options of a method.

    Attributes:
        data_used: which images the method reads; a property where the options decide it.
    """

    data_used: ClassVar[DataUsed]


class TrainingOptions(UnlearnOptions):
    """The options that all methods share which train."""

    epochs: PositiveInt = Field(description="Passes over the images.")
    learning_rate: Positive = Field(description="Peak learning rate.")


class Relabelling(TrainingOptions):
    """The option that random-label and salun share."""

    retain: bool = Field(
        True,
        description="A pass over the retain set after each pass over the forget set, as in "
        "Unlearn-Saliency's code; otherwise the forget set only.",
    )

    @property
    def data_used(self) -> DataUsed:
        """Which images are read."""
        return "all" if self.retain else "forget"


class Boundary(TrainingOptions):
    """The options that boundary-shrink and boundary-expand share."""

    data_used = "forget"

    epochs: PositiveInt = Field(
        10, description="Passes over the forget set; 10 by SalUn's authors (WorstCase, issue 1)."
    )
    learning_rate: Positive = Field(
        1e-5,
        description="Peak rate; this project's choice. SalUn's authors search upwards from 1e-8 "
        "(Unlearn-WorstCase, issue 1).",
    )
