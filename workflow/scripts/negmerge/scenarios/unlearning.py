"""Running an unlearn method on the items of a scenario."""

from collections.abc import Mapping, Sequence

from torch import nn

from negmerge.checkpoints.states import State
from negmerge.errors import NotFinite
from negmerge.scenarios.task import Task
from negmerge.settings.recipe import Recipe
from negmerge.unlearning.core import Data, Method, recipe_for


def unlearn(
    model: nn.Module,
    method: Method,
    options: Mapping[str, object],
    task: Task,
    classes: int,
    recipe: Recipe,
    seed: int,
    loaders: int = 0,
    vectors: Sequence[State] = (),
) -> nn.Module:
    """Let a model forget, in place, and return it or what takes its place."""
    checked = method.check(method.title, options)
    if checked.vectors != "none" and len(vectors) <= checked.one_more:
        raise NotFinite("the vectors to move along diverged")
    recipe = recipe_for(recipe, checked)
    forget, retain = (task.role(name, "train") for name in task.roles[:2])
    refusals = None
    if checked.refusals:
        refusals = task.role("refusals", "train").epochs(recipe, seed, loaders=loaders)
    data = Data(
        forget=forget.epochs(recipe, seed, loaders=loaders),
        retain=retain.epochs(recipe, seed, loaders=loaders),
        forget_in_order=forget.batches(recipe.batch_size),
        retain_in_order=retain.batches(recipe.batch_size),
        retain_augmented=retain.epochs(recipe, seed, in_order=True, loaders=loaders),
        objective=forget.objective,
        classes=classes,
        seed=seed,
        recipe=recipe,
        refusals=refusals,
        retain_objective=retain.objective,
        vectors=tuple(
            {name: tensor.to(forget.objective.device) for name, tensor in vector.items()}
            for vector in vectors
        ),
    )
    other = method.run(model, data, checked)
    return model if other is None else other
