"""Training a network on the items of a role."""

from torch import nn

from negmerge.scenarios.task import Role
from negmerge.settings.recipe import Recipe
from negmerge.training import Resumable, fit


def teach(
    network: nn.Module,
    role: Role,
    recipe: Recipe,
    seed: int,
    loaders: int,
    *,
    saved: Resumable | None = None,
    fused: bool = False,
) -> None:
    """Train a network by a recipe, in place; see `training.fit`."""
    batches = role.training_batches(recipe, seed, loaders)
    loss, device = role.objective.loss(network, recipe.label_smoothing), role.objective.device
    steps = len(batches)
    fit(network, batches, steps, loss, recipe, device, seed=seed, saved=saved, fused=fused)
