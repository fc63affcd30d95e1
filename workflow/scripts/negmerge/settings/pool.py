"""The pool of an experiment: its hyper-parameter points, and what each changes in the recipe."""

import itertools
from collections.abc import Mapping
from functools import cached_property

from pydantic import Field

from negmerge.errors import UserError, unknown
from negmerge.settings.recipe import Settings, file_name


class Pool(Settings):
    """The hyper-parameter points: a grid, single points, or both.

    A grid point is named after its axes and values, e.g. `m3-n2`.
    """

    grid: dict[str, list[int | float | str]] = Field(
        {}, description="Values per axis; the points are all combinations."
    )
    recipe: dict = Field(
        {},
        description="What the points change in `finetune`; `{axis}` in a text is its value.",
    )
    points: dict[str, dict] = Field(
        {},
        description="Changes for single points; without a grid, these are the points.",
    )

    @cached_property
    def changes(self) -> dict[str, dict]:
        """The changes to `finetune` by point, in the order of the points' names.

        Raises:
            UserError: an unknown or unfit point, or an unknown axis in the recipe.
        """
        combinations = [
            dict(zip(self.grid, values, strict=True))
            for values in itertools.product(*self.grid.values())
        ]
        named = {
            "-".join(f"{axis}{value}" for axis, value in values.items()): _fill(self.recipe, values)
            for values in (combinations if self.grid else [])
        }
        for point, change in self.points.items():
            if self.grid and point not in named:
                raise UserError(f"pool.points: {unknown('point', point, named)}")
            named[point] = update(named.get(point, self.recipe), change)
        try:
            return {file_name(name): named[name] for name in sorted(named)}
        except ValueError as error:
            raise UserError(f"pool.points: {error}") from error


def _fill(template, values: Mapping):
    """Put the values of a grid point into all texts of a nested template."""
    if isinstance(template, Mapping):
        return {key: _fill(inner, values) for key, inner in template.items()}
    if not isinstance(template, str):
        return template
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError):
        raise UserError(
            f"pool.recipe: {template!r} has braces around something else than {', '.join(values)}"
        ) from None


def update(settings: Mapping, change: Mapping) -> dict:
    """Give nested settings with some of them changed."""
    merged = dict(settings)
    for key, value in change.items():
        inner = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        merged[key] = update(inner, value) if both else value
    return merged
