"""The pool of an experiment: points and what each changes in the recipe, or models of others."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from pydantic import Field

from negmerge.errors import UserError, find, unknown
from negmerge.settings.recipe import Recipe, Settings, file_name

# Of a folder, what decides the numbers: weights, and what says what they are.
READ = (".safetensors", ".json", ".bin", ".pt", ".pth", ".th")


class Given(Settings):
    """A model of others."""

    file: str = Field(description="The path of a file or a folder.")
    key: str | None = Field(
        None, description="The place of the weights, such as `ema`, in a file with several states."
    )
    manual: str | None = Field(
        None, description="How a person gets it; it is told where it is missing."
    )


def files_of(place: str) -> list[str]:
    """Return the files of a model: itself, or those in its folder; none where it is missing."""
    path = Path(place)
    if path.name.endswith(".index.json"):  # its shards lie beside it
        path = path.parent
    if path.is_dir():
        return sorted(str(file) for file in path.rglob("*") if file.suffix in READ)
    return [place] if path.exists() else []


def by_hand(models: Iterable[Given]) -> str:
    """Name some missing models, and how a person gets them, in one line."""
    missing = {model.file: model.manual for model in models}
    first, *others = missing
    more = f" and {len(others)} more" if others else ""
    told = [text.strip().rstrip(".") for text in dict.fromkeys(missing.values()) if text]
    found = f"{first}{more}: no such file or folder, but the study is given this model"
    return ". ".join([found, *told])


class Inputs:
    """Looks up the files of models, and notes what is missing, since a plan needs no files."""

    def __init__(self):
        self._missing: list[Given] = []

    def files(self, model: Given | None) -> list[str]:
        """Return the files of a model; none, if there is no model or it is missing."""
        found = files_of(model.file) if model else []
        if model and not found:
            self._missing.append(model)
        return found

    def require(self) -> None:
        """Check that nothing that was looked up is missing."""
        if self._missing:
            raise UserError(by_hand(self._missing))


# What becomes the task in the path of a given model.
TASK = "{task}"


class Pool(Settings):
    """The points: models to be fine-tuned, by a grid, single points or both; or given ones.

    A grid point is named after its axes and values, e.g. `epochs40-weight_decay1e-4`.
    """

    grid: dict[str, list[int | float | str]] = Field(
        {},
        description="Values per axis; the points are all combinations. An axis is a key of "
        "`finetune`, such as `epochs` or `augmentation.flip`, or a name in the braces of `recipe`.",
    )
    short: dict[str, str] = Field(
        {}, description="Shorter names of axes in the names of the points."
    )
    recipe: dict = Field(
        {},
        description="What all points change in `finetune`; `{axis}` in a text becomes its value.",
    )
    points: dict[str, dict] = Field(
        {},
        description="Changes for single points; without a grid, these are the points.",
    )
    files: dict[str, str] = Field(
        {},
        description="In place of all other keys: a fine-tuned model of others for each point, the "
        "path of a file or a folder. `{task}` in it becomes the task. Nothing is fine-tuned then.",
    )
    manual: str | None = Field(
        None, description="How a person gets the `files`; it is told where one is missing."
    )

    @cached_property
    def changes(self) -> dict[str, dict]:
        """The changes to `finetune` by point, in the order of the points' names."""
        if self.files:
            return self._in_order({point: {} for point in self.files}, "files")
        for axis in self.short:
            if axis not in self.grid:
                raise UserError(f"pool.short: {unknown('axis', axis, self.grid)}")
        combinations = itertools.product(*self.grid.values()) if self.grid else ()
        points = [dict(zip(self.grid, values, strict=True)) for values in combinations]
        named = {self._name(values): self._change(values) for values in points}
        if len(named) < len(points):
            raise UserError("pool.grid: two points have the same name; expected other values")
        for point, change in self.points.items():
            if self.grid and point not in named:
                raise UserError(f"pool.points: {unknown('point', point, named)}")
            named[point] = update(named.get(point, self.recipe), change)
        return self._in_order(named, "points")

    @property
    def vectors(self) -> str:
        """The folder of the points' vectors."""
        return "given" if self.files else "vectors"

    def file(self, task: str, point: str) -> str:
        """Return the path of the model that is given for a point."""
        return find("point of pool.files", point, self.files).replace(TASK, task)

    def check_files(self, tasks: Sequence[str]) -> None:
        """Check that given models are the whole pool, and one for each task and point."""
        if self.manual is not None and not self.files:
            raise UserError("pool: `manual` goes with `files`, and only with it")
        for key in ("grid", "short", "recipe", "points") if self.files else ():
            if getattr(self, key):
                raise UserError(f"pool: both `files` and `{key}`; given models have no recipe")
        points: dict[str, str] = {}
        for point, place in self.files.items():
            if place in points:
                raise UserError(
                    f"pool.files: {points[place]!r} and {point!r} are both {place}; expected "
                    "another model for each point"
                )
            points[place] = point
            for name in set(re.findall(r"{.*?}", place)) - {TASK}:
                raise UserError(f"pool.files.{point}: {unknown('braces', name, [TASK])}")
            if len(tasks) > 1 and TASK not in place:
                raise UserError(
                    f"pool.files.{point}: {place} has no {TASK}, but there are {len(tasks)} tasks "
                    f"({', '.join(tasks)}); expected another model for each"
                )

    def _in_order(self, named: Mapping[str, dict], key: str) -> dict[str, dict]:
        try:
            return {file_name(name): named[name] for name in sorted(named)}
        except ValueError as error:
            raise UserError(f"pool.{key}: {error}") from error

    def _name(self, values: Mapping) -> str:
        """Name a point of the grid."""
        return "-".join(f"{self.short.get(axis, axis)}{spell(values[axis])}" for axis in values)

    def _change(self, values: Mapping) -> dict:
        """Return the change of a point of the grid."""
        texts = {axis: spell(value) for axis, value in values.items()}
        used: set[str] = set()
        change = _fill(self.recipe, texts, used)
        for axis, value in values.items():
            keys = axis.split(".")
            if keys[0] in Recipe.model_fields:
                for key in reversed(keys):
                    value = {key: value}
                change = update(change, value)
            elif axis not in used:
                valid = Recipe.model_fields
                raise UserError(
                    f"pool.grid: axis {axis!r} is not a key of finetune, and no text of "
                    f"pool.recipe has {{{axis}}}; {unknown('key', axis, valid)}"
                )
        return change


def spell(value: int | float | str) -> str:
    """Spell a value in a name; a fraction in the shorter of its two ways, `0.05` and `1e-4`."""
    if not isinstance(value, float):
        return str(value)
    plain = f"{Decimal(repr(value)).normalize():f}"
    digits, _, power = f"{Decimal(repr(value)).normalize():e}".partition("e")
    return min(plain, f"{digits}e{int(power)}", key=len)


def _fill(template, texts: Mapping[str, str], used: set[str]):
    """Put the values of a grid point into all texts of a nested template, and note which."""
    if isinstance(template, Mapping):
        return {key: _fill(inner, texts, used) for key, inner in template.items()}
    if not isinstance(template, str):
        return template
    for axis in texts:
        if template == f"{{{axis}}}":
            raise UserError(
                f"pool.recipe: {template!r} is nothing but an axis; expected the key itself as an "
                f"axis of pool.grid, and {axis!r} under pool.short"
            )
    try:
        used |= {axis for axis in texts if f"{{{axis}}}" in template}
        return template.format(**texts)
    except (KeyError, IndexError, ValueError):
        raise UserError(
            f"pool.recipe: {template!r} has braces around something other than {', '.join(texts)}"
        ) from None


def update(settings: Mapping, change: Mapping) -> dict:
    """Return nested settings with some of them changed."""
    merged = dict(settings)
    for key, value in change.items():
        inner = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        merged[key] = update(inner, value) if both else value
    return merged
