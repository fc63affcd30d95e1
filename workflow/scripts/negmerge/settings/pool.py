"""The pool of an experiment: points and what each changes in the recipe, or models of others."""

import itertools
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from pydantic import Field, model_validator

from negmerge.errors import UserError, find, unknown
from negmerge.settings import methods
from negmerge.settings.recipe import FileName, Recipe, Settings, advanced, file_name

# Of a folder, what decides the numbers: weights, and what says what they are.
READ = (".safetensors", ".json", ".bin", ".pt", ".pth", ".th", ".gguf")


class Given(Settings):
    """A model of others."""

    file: str = Field(description="The path of a file or a folder.")
    key: str | None = advanced(
        None, description="The place of the weights, such as `ema`, in a file with several states."
    )
    manual: str | None = advanced(
        None, description="How a person gets the file; the error about a missing one says so."
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
    ways = [text.strip().rstrip(".") for text in dict.fromkeys(missing.values()) if text]
    reason = f"{first}{more}: no such file or folder, but the study is given this model"
    return ". ".join([reason, *ways])


class Inputs:
    """Looks up the files of models, and notes what is missing, since a plan needs no files."""

    def __init__(self):
        self._missing: list[Given] = []

    def files(self, model: Given | None) -> list[str]:
        """Return the files of a model; none, if there is no model or it is missing."""
        files = files_of(model.file) if model else []
        if model and not files:
            self._missing.append(model)
        return files

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
    short: dict[str, str] = advanced(
        {}, description="Shorter names of axes in the names of the points."
    )
    recipe: dict = Field(
        {},
        description="What all points change in `finetune`; `{axis}` in a text becomes its value.",
    )
    points: dict[FileName, dict] = Field(
        {},
        description="Changes for single points; without a grid, these are the points.",
    )
    files: str | dict[FileName, str] = Field(
        {},
        description="Fine-tuned models of others; nothing is fine-tuned then. Either by point the "
        "path of a file or a folder, in place of all other keys; or one path for all points of "
        "`grid` or `points`, in which `{point}` becomes a point's name, and `{axis}` its value. "
        "`{task}` becomes the task.",
    )
    manual: str | None = advanced(
        None, description="How a person gets the `files`; the error about a missing one says so."
    )

    @cached_property
    def changes(self) -> dict[str, dict]:
        """The changes to `finetune` by point, in the order of the points' names."""
        if isinstance(self.files, dict) and self.files:
            changes = {point: {} for point in self.files}
        elif self.files:
            changes = {point: {} for point in (*self.combinations, *self.points)}
        else:
            changes = {point: self._change(axes) for point, axes in self.combinations.items()}
            for point, change in self.points.items():
                if self.grid and point not in changes:
                    raise ValueError(f"points: {unknown('point', point, changes)}")
                changes[point] = update(changes.get(point, self.recipe), change)
        return {point: changes[point] for point in sorted(changes)}

    @cached_property
    def paths(self) -> dict[str, str]:
        """The paths of given models by point, in which `{task}` stands for the task."""
        if isinstance(self.files, dict):
            return {point: _fill(path, {"task": TASK}) for point, path in self.files.items()}
        axes = {point: {} for point in self.points} | self.combinations
        return {
            point: _fill(self.files, {"task": TASK, "point": point, **_spelled(axes[point])})
            for point in self.changes
        }

    @property
    def vectors(self) -> str:
        """The folder of the points' vectors."""
        return "given" if self.files else "vectors"

    def file(self, task: str, point: str) -> str:
        return find("point of pool.files", point, self.paths).replace(TASK, task)

    @model_validator(mode="after")
    def _consistent(self):
        for axis in self.short:
            if axis not in self.grid:
                raise ValueError(f"short: {unknown('axis', axis, self.grid)}")
        if not self.changes:
            raise ValueError("no points; give a grid, points or files")
        for point in self.changes:
            if methods.is_known(point):
                raise ValueError(f"a point must not have a method's name: {point!r}")
        if self.manual is not None and not self.files:
            raise ValueError("`manual` goes with `files`, and only with it")
        if self.files:
            self._check_files()
        return self

    def _check_files(self) -> None:
        """Check that given models have no recipe, and that each point has a model of its own."""
        named = ("grid", "short", "points") if isinstance(self.files, dict) else ()
        for key in ("recipe", *named):
            if getattr(self, key):
                raise ValueError(f"both `files` and `{key}`; given models have no recipe")
        if any(self.points.values()):
            raise ValueError("both `files` and changes in `points`; given models have no recipe")
        points: dict[str, str] = {}
        for point, path in self.paths.items():
            if path in points:
                raise ValueError(
                    f"files: {points[path]!r} and {point!r} are both {path}; expected another "
                    "model for each point"
                )
            points[path] = point

    @cached_property
    def combinations(self) -> dict[str, dict[str, int | float | str]]:
        """The values of each point of the grid, by axis."""
        combinations = itertools.product(*self.grid.values()) if self.grid else ()
        points = [dict(zip(self.grid, values, strict=True)) for values in combinations]
        named = {file_name(self._name(axes)): axes for axes in points}
        if len(named) < len(points):
            raise ValueError("grid: two points have the same name; expected other values")
        return named

    def _name(self, axes: Mapping) -> str:
        return "-".join(f"{self.short.get(axis, axis)}{spell(axes[axis])}" for axis in axes)

    def _change(self, axes: Mapping) -> dict:
        used: set[str] = set()
        change = _fill_all(self.recipe, _spelled(axes), used)
        for axis, value in axes.items():
            keys = axis.split(".")
            if keys[0] in Recipe.model_fields:
                for key in reversed(keys):
                    value = {key: value}
                change = update(change, value)
            elif axis not in used:
                raise ValueError(
                    f"grid: axis {axis!r} is not a key of finetune, and no text of recipe has "
                    f"{{{axis}}}; {unknown('key', axis, Recipe.model_fields)}"
                )
        return change


def spell(value: int | float | str) -> str:
    """Spell a value in a name; a fraction in the shorter of its two ways, `0.05` and `1e-4`."""
    if not isinstance(value, float):
        return str(value)
    plain = f"{Decimal(repr(value)).normalize():f}"
    digits, _, power = f"{Decimal(repr(value)).normalize():e}".partition("e")
    return min(plain, f"{digits}e{int(power)}", key=len)


def _spelled(axes: Mapping) -> dict[str, str]:
    return {axis: spell(value) for axis, value in axes.items()}


def _fill(text: str, values: Mapping[str, str]) -> str:
    try:
        return text.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError):
        names = ", ".join(values)
        raise ValueError(f"{text!r} has braces around something other than {names}") from None


def _fill_all(template, values: Mapping[str, str], used: set[str]):
    """Put the values of a grid point into all texts of a nested template, and note which."""
    if isinstance(template, Mapping):
        return {key: _fill_all(inner, values, used) for key, inner in template.items()}
    if not isinstance(template, str):
        return template
    for axis in values:
        if template == f"{{{axis}}}":
            raise ValueError(
                f"recipe: {template!r} is nothing but an axis; expected the key itself as an axis "
                f"of grid, and {axis!r} under short"
            )
        if f"{{{axis}}}" in template:
            used.add(axis)
    return _fill(template, values)


def update(settings: Mapping, change: Mapping) -> dict:
    """Return nested settings with some of them changed."""
    merged = dict(settings)
    for key, value in change.items():
        inner = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        merged[key] = update(inner, value) if both else value
    return merged
