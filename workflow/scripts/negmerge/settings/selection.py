"""How a coefficient or a trained model is chosen, as studies say it."""

from functools import cached_property
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from negmerge.settings.recipe import Positive, Settings, Share

Rule = Literal["control", "retain", "gap"]


class Coefficients(Settings):
    """The grid of coefficients; it starts at 0, which changes nothing."""

    step: Positive = Field(0.05, description="Distance of two coefficients.")
    stop: Positive = Field(1.0, description="The largest coefficient.")

    @model_validator(mode="after")
    def _whole(self):
        if abs(self.values[-1] - self.stop) > 1e-9:
            raise ValueError(f"stop is {self.stop}, which is not a multiple of step, {self.step}")
        return self

    @cached_property
    def values(self) -> list[float]:
        """The coefficients, rounded to 10 places so that they print as they are meant."""
        count = round(self.stop / self.step)
        return [round(number * self.step, 10) for number in range(count + 1)]


class Selection(Settings):
    """How a coefficient is chosen; see `selection.choose`."""

    rule: Rule = Field(
        "control",
        description="control (zero-shot), retain (classifier): lowest forget accuracy that keeps "
        "the accuracy on the control or retain set; gap (classifier): smallest average gap to "
        "Retrain, which must be known for it.",
    )
    other_rules: list[Rule] = Field(
        [],
        description="More rules that choose for each method, for columns of tables that name one "
        "of them as `rule`.",
    )
    keep: Share = Field(0.95, description="Share of the base's accuracy to keep.")
    halvings: int = Field(
        0,
        ge=0,
        le=6,
        description="How many times, after the grid, to halve the distance of the choice to its "
        "neighbours, for each vector and each method that trains with a grid: the distance of "
        "coefficients, or the factor between the values of an option. 0 as in the released code.",
    )
    search: Literal["full", "exact-pruned"] = Field(
        "full",
        description="full: a sweep of every vector, which figures draw; exact-pruned: the same "
        "choice with fewer forward passes.",
    )
    images: PositiveInt | None = Field(
        None,
        description="At most this many images of each role measure a coefficient; null: all.",
    )

    @property
    def rules(self) -> list[Rule]:
        """All rules, the main one first."""
        return list(dict.fromkeys([self.rule, *self.other_rules]))


class RetainSelection(Selection):
    """How a coefficient or a model is chosen; without a rule, it is `retain`."""

    rule: Rule = Field("retain", description=Selection.model_fields["rule"].description)
