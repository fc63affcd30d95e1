"""Trying the options of a method, and keeping the models that a criterion chooses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from negmerge.checkpoints.states import State, StateFile
from negmerge.errors import NotFinite, UserError
from negmerge.selection.choice import Criterion
from negmerge.selection.points import Point
from negmerge.selection.search import OptionGrid, Options, explore
from negmerge.selection.validation import Validation
from negmerge.settings.checks import Value


@dataclass(frozen=True)
class Tuned:
    """What came out of a grid: the models as measured, the base first, and those chosen."""

    points: list[Point]
    states: dict[str, State]


def tune(
    name: str,
    grid: Mapping[str, Sequence[Value]],
    train: Callable[[dict[str, Value]], nn.Module],
    validation: Validation,
    criteria: Sequence[Criterion],
    halvings: int,
    base_name: str,
) -> Tuned:
    """Train a model for each combination of a grid, and then some around what criteria choose."""
    states: dict[str, State] = {}
    measured: list[Point] = []
    base = validation.measure(base_name, 0.0)

    def measure(setting: Options) -> Point:
        # Such as `learning_rate0.01-epochs5`.
        model_name = "-".join(f"{option}{value}" for option, value in setting) or name
        try:
            model = train(dict(setting))
            point = validation.measure(model_name, 1.0, model)
        except NotFinite as error:
            if not setting:
                raise
            print(f"{model_name}: diverged: {error}")
            return Point(model_name, 1.0, {}, options=dict(setting))
        point = replace(point, options=dict(setting))
        print(point)
        measured.append(point)
        states[point.vector] = {key: tensor.cpu() for key, tensor in model.state_dict().items()}
        best = {min(measured, key=criterion.order(base)).vector for criterion in criteria}
        for other in set(states) - best:
            del states[other]
        return point

    points = explore(base, None, OptionGrid(grid), measure, criteria, halvings)
    if not grid:
        # Nothing was searched: the model is what was asked for, even if the base is better.
        points[0] = replace(points[0], criteria=())
    chosen = {criterion.choose(points).vector for criterion in criteria} - {base_name, None}
    for point in points:
        # What was best for one criterion may have been dropped before another came to it.
        if point.vector in chosen and point.vector not in states:
            states[point.vector] = train(dict(point.options)).state_dict()
    return Tuned(points, {vector: states[vector] for vector in sorted(chosen)})


def stacked(states: Mapping[str, State]) -> State:
    """Put several states into one, whose tensors are named `{state}/{tensor}`."""
    return {
        f"{name}/{key}": tensor for name, state in states.items() for key, tensor in state.items()
    }


def read_candidate(path: str, name: str) -> State:
    """Read one state of a file of `stacked` ones."""
    stored = StateFile(path)
    names = [key for key in stored.names if key.startswith(f"{name}/")]
    if not names:
        others = ", ".join(sorted({key.split("/")[0] for key in stored.names})) or "none"
        raise UserError(f"{path}: no model {name!r}, found {others}; delete it and run again")
    return {key.removeprefix(f"{name}/"): stored[key] for key in names}
