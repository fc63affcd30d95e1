"""The validation items of a task, on which models are measured to choose among them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from negmerge.checkpoints.states import read_state
from negmerge.errors import UserError
from negmerge.scenarios.task import Task
from negmerge.selection.choice import load_criteria
from negmerge.selection.points import read_points
from negmerge.selection.search import Chosen
from negmerge.selection.validation import Validation, choose, choose_with_pruning, sweep
from negmerge.settings.checks import Value


def load_validation(
    task: Task,
    base: str,
    loaders: int = 0,
    *,
    batch_size: int,
    most: int | None,
    re_estimates: bool,
    roles: Iterable[str] | None = None,
    seed: int = 0,
    halves: bool = False,
    unlabelled: str | None = None,
) -> Validation:
    """Read the base and the items that choose a coefficient."""
    state = read_state(base)
    network = task.network(state, base)
    sets = {}
    for name in roles or task.roles[:2]:
        role = task.role(name, "select", most)
        if not len(role.items):
            raise UserError(f"too few {name} images to choose a coefficient with")
        sets[name] = role.objective, role.batches(batch_size, loaders)
    return Validation(
        network,
        state,
        sets,
        (lambda moved: task.reset_batchnorm(moved, batch_size, most)) if re_estimates else None,
        lambda outputs: task.selection_metrics(outputs, seed),
        halves,
        unlabelled,
    )


def choose_candidate(
    task: Task,
    inputs: Any,
    loaders: int,
    validation: Mapping[str, Any],
    *,
    criteria: Sequence[Mapping],
    keep: float,
    coefficients: Sequence[float],
    halvings: int,
    is_pruned: bool,
    roles: Sequence[str],
    options: Mapping[str, Mapping[str, Value]],
) -> Chosen:
    """Choose a vector and its coefficient by each criterion, by sweeps if there are.

    `options` are those by which a method's vectors differ, by their names.
    """
    loaded = load_criteria(criteria, keep, inputs.get("reference", []))
    grid = coefficients, loaded, halvings
    if is_pruned:
        measured = load_validation(task, inputs.base, loaders, **validation)
        return choose_with_pruning(measured, inputs.candidates, *grid, options)
    swept = {Path(path).stem: path for path in inputs.get("sweeps", [])}
    if len(swept) < len(inputs.candidates):
        measured = load_validation(task, inputs.base, loaders, roles=roles, **validation)
    points = []
    for path in inputs.candidates:
        there = swept.get(Path(path).stem)
        points += read_points(there) if there else sweep(measured, path, *grid)
    points = [replace(point, options=options.get(point.vector, {})) for point in points]
    return choose(points, loaded)
