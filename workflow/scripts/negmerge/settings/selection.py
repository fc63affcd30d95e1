"""How an experiment chooses: the grid of coefficients, criteria, and further choices by others."""

import math
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, PositiveInt, model_validator

from negmerge.settings.checks import to_three_digits
from negmerge.settings.recipe import FileName, Positive, Settings, Share, advanced

Criterion = Literal["control", "retain", "gap", "unlabelled"]


class Coefficients(Settings):
    """The grid of coefficients, in equal steps or by equal factors; 0 is always in it."""

    step: Positive = Field(0.05, description="Distance of two coefficients.")
    stop: Positive = Field(1.0, description="The largest coefficient.")
    first: Positive | None = Field(
        None,
        alias="from",
        description="The smallest coefficient above 0 of a logarithmic grid, which `from`, `to` "
        "and `per_decade` give in place of `step` and `stop`.",
    )
    to: Positive | None = Field(None, description="The largest coefficient of such a grid.")
    per_decade: Annotated[int, Field(ge=1, le=50)] | None = Field(
        None, description="How many coefficients are between one and ten times as much."
    )

    @model_validator(mode="after")
    def _one_form(self):
        form = {"from": self.first, "to": self.to, "per_decade": self.per_decade}
        given = {name for name, value in form.items() if value is not None}
        # All keys of a study that is written out are there, with their defaults.
        defaults = {name: type(self).model_fields[name].default for name in ("step", "stop")}
        given |= {name for name, value in defaults.items() if getattr(self, name) != value}
        if given.isdisjoint(form):
            if abs(self.values[-1] - self.stop) > 1e-9:
                raise ValueError(
                    f"stop is {self.stop}, which is not a multiple of step, {self.step}"
                )
        elif given != {*form}:
            raise ValueError(
                f"found {', '.join(sorted(given))}; expected `step` and `stop`, or `from`, `to` "
                "and `per_decade`"
            )
        elif self.first >= self.to:
            raise ValueError(f"from is {self.first}, expected less than to, {self.to}")
        return self

    @cached_property
    def values(self) -> list[float]:
        """The coefficients, rounded so that they print as they are meant."""
        if self.first is None:
            count = round(self.stop / self.step)
            return [round(number * self.step, 10) for number in range(count + 1)]
        # One that is less than half a factor below the last would only repeat it.
        count = math.ceil(self.per_decade * math.log10(self.to / self.first) - 0.5)
        between = (self.first * 10 ** (place / self.per_decade) for place in range(1, count))
        return [0.0, self.first, *map(to_three_digits, between), self.to]


class OtherChoice(Settings):
    """One more choice among the same candidates."""

    criterion: Criterion = Field(description="The criterion that chooses.")
    coefficients: Coefficients | None = Field(
        None, description="The grid of coefficients that it chooses among; null: the experiment's."
    )
    halvings: Annotated[int, Field(ge=0, le=6)] | None = Field(
        None,
        description="How many times to halve the distance for this choice; null: as often as for "
        "the main one.",
    )
    halves: bool = Field(
        False,
        description="For `gap`: choose on every second one of the images that choose, and score on "
        "the rest, so that nothing that chose is scored.",
    )


class Selection(Settings):
    """How a coefficient or a trained model is chosen; see `selection.choice`."""

    criterion: Criterion = Field(
        "control",
        description="control (zero-shot), retain (classifier): lowest forget accuracy that keeps "
        "the accuracy on the control or retain set; gap (classifier): smallest average gap to "
        "Retrain, which must be known for it; unlabelled (classifier): predictions that agree best "
        "among test images with alike features, without their labels.",
    )
    other_criteria: list[Criterion] = Field(
        [],
        description="More criteria that choose for each method, for columns of tables that name "
        "one of them.",
    )
    other_choices: dict[FileName, OtherChoice] = Field(
        {},
        description="Further choices by names of their own, with another grid or number of "
        "halvings, for columns of tables whose `criterion` is that name.",
    )
    keep: Share = advanced(0.95, description="Share of the base's accuracy to keep.")
    halvings: int = Field(
        0,
        ge=0,
        le=6,
        description="How many times, after the grid, to halve the distance of the choice to its "
        "neighbours, for each vector and each method that trains with a grid: the distance of "
        "coefficients, or the factor between those of a logarithmic grid and between the values of "
        "an option. Beyond the largest coefficient, if that is chosen, the distance doubles. 0 as "
        "in the released code.",
    )
    search: Literal["full", "exact-pruned"] = advanced(
        "full",
        description="full: a sweep of every vector, which figures draw; exact-pruned: the same "
        "choice with fewer forward passes.",
    )
    images: PositiveInt | None = Field(
        None,
        description="At most this many images of each role measure a coefficient; null: all.",
    )

    @property
    def criteria(self) -> dict[str, Criterion]:
        """All criteria by the names of what they choose, the main one first."""
        own = {name: name for name in (self.criterion, *self.other_criteria)}
        return own | {name: choice.criterion for name, choice in self.other_choices.items()}

    @property
    def is_compared(self) -> bool:
        """Whether a criterion compares with Retrain."""
        return "gap" in self.criteria.values()

    @property
    def reads_test_images(self) -> bool:
        """Whether a criterion chooses by test images, with their labels or without."""
        return self.is_compared or "unlabelled" in self.criteria.values()

    def choices(self, coefficients: Coefficients) -> list[dict[str, Any]]:
        """What chooses, by its name: the criterion, its grid, and what records say of it."""
        choices = []
        for name, criterion in self.criteria.items():
            grid, halvings, halves, view = coefficients.values, self.halvings, False, {}
            if other := self.other_choices.get(name):
                grid = other.coefficients.values if other.coefficients else grid
                halvings = halvings if other.halvings is None else other.halvings
                halves = other.halves
                among = f"`{criterion}` among {len(grid)} coefficients from 0 to {grid[-1]:g}"
                among += f" with {halvings} halvings"
                if halves:
                    among += ", on every other image that chooses and scored on all the others"
                view = {"by": criterion, "among": among}
            # Without others all choose among all that are tried.
            own = grid if self.other_choices else []
            choice = {"name": name, "by": criterion, "coefficients": own, "halvings": halvings}
            choices.append(choice | {"halves": halves, "view": view})
        return choices

    def tried(self, coefficients: Coefficients) -> list[float]:
        """The coefficients of the grids of all choices."""
        grids = [coefficients, *(other.coefficients for other in self.other_choices.values())]
        return sorted({value for grid in filter(None, grids) for value in grid.values})

    @model_validator(mode="after")
    def _names_of_their_own(self):
        for name, choice in self.other_choices.items():
            if name in get_args(Criterion):
                raise ValueError(f"other_choices: {name!r} is a criterion; expected another name")
            if choice.halves and choice.criterion != "gap":
                raise ValueError(
                    f"other_choices.{name}: halves with the criterion {choice.criterion!r}; "
                    "expected `gap`"
                )
        return self


class RetainSelection(Selection):
    """How a coefficient or a model is chosen; without a criterion, it is `retain`."""

    criterion: Criterion = Field(
        "retain", description=Selection.model_fields["criterion"].description
    )
