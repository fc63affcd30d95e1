"""What the options of unlearn methods have in common; those of each are in `unlearn_options`."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import NonNegative, Positive, Settings

DataUsed = Literal["forget", "retain", "all"]


class UnlearnOptions(Settings):
    """The options of a method.

    Attributes:
        scenarios: those whose models the method can make forget.
        data_used: which items the method reads; a property where the options decide it.
        refusals: whether it reads answers that say that the model does not know.
        batches_per_step: how many batches make a step; each of the same size.
    """

    scenarios: ClassVar[tuple[str, ...]] = ("classifier",)
    data_used: ClassVar[DataUsed]
    refusals: ClassVar[bool] = False
    batches_per_step: ClassVar[int] = 1

    @property
    def passes(self) -> tuple[str, ...]:
        """The sets that an epoch is a pass over, one after the other."""
        return ("forget", "retain") if self.data_used == "all" else (self.data_used,)


class SharedRecipe(Settings):
    """What is alike in the recipes that the methods of a scenario share; before `Recipe` as a base.

    Epochs and rate are options of each method.
    """

    epochs: PositiveInt = Field(10, description="Overridden by the method's option.")
    warmup_steps: int = Field(0, ge=0, description="Steps of linear warm-up.")


class TrainingOptions(UnlearnOptions):
    """The options that all methods share which train."""

    epochs: PositiveInt = Field(description="Passes over the images.")
    learning_rate: Positive = Field(description="Peak learning rate.")


class Balanced(TrainingOptions):
    """The options of methods that weigh a loss on the forget set against one on the retain set.

    An epoch is a pass over the forget set, with a retain batch beside each of its batches.
    """

    scenarios = ("language",)

    epochs: PositiveInt = Field(
        10, description="Passes over the forget set; 10 in open-unlearning's code."
    )
    learning_rate: Positive = Field(
        1e-5,
        description="Peak rate; 1e-5 in open-unlearning's code. The best of searches on TOFU with "
        "a model of 10^9 numbers were 2e-5 and 5e-5 (unlearning-depth-score); small models need a "
        "search of their own.",
    )
    gamma: Positive = Field(
        1.0, description="Weight of the forget set's loss; 1 in open-unlearning's code."
    )
    alpha: NonNegative = Field(
        1.0,
        description="Weight of the retain set's loss; 1 in open-unlearning's code, which users "
        "search up to 5. 0: the retain set is not read.",
    )

    @property
    def weights(self) -> tuple[float, float]:
        """The weights of the forget and of the retain set."""
        return self.gamma, self.alpha

    @property
    def data_used(self) -> DataUsed:
        """Which items are read."""
        return "all" if self.alpha else "forget"

    @property
    def passes(self) -> tuple[str, ...]:
        """The forget set."""
        return ("forget",)

    @property
    def batches_per_step(self) -> int:
        """A batch of the forget set, and one of the retain set where it is read."""
        return 2 if self.alpha else 1


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
