"""Fine-tuning a base on the items that it should forget, for one point of a pool."""

from collections.abc import Mapping

import torch

from negmerge.checkpoints.states import State
from negmerge.models.clip import freeze
from negmerge.models.language import adapted, merged
from negmerge.scenarios.scenario import Scenario
from negmerge.settings.recipe import Recipe
from negmerge.training import Resumable, fit


def finetune(
    scenario: Scenario,
    base: State,
    where: str,
    settings: Mapping,
    frozen: str,
    seed: int,
    device: torch.device,
    loaders: int,
    saved: Resumable,
    fused: bool,
) -> State:
    """Fine-tune a base, all of it or by an adapter that is then merged into it.

    Args:
        scenario: gives the network and the items to forget.
        base: the weights to start from.
        where: the file of the base, for errors.
        settings: the recipe of the point; `lora`, where it has it, is the adapter's settings.
        frozen: what is left as it is, see `models.clip`.
        seed: decides the order of the items, their random changes and what the model draws.
        device: where to compute.
        loaders: processes that load the items.
        saved: the run's saved state.
        fused: whether a step of the optimizer is one kernel.

    Returns:
        The weights, on the CPU.

    Raises:
        NotFinite: the training diverges.
        UserError: the base does not fit, there are too few items, or a signal stopped the run.
    """
    recipe = Recipe.model_validate({key: settings[key] for key in settings if key != "lora"})
    adapter = settings.get("lora")
    network = scenario.network(base, where)
    freeze(network, frozen)
    trained = adapted(network, adapter) if adapter else network
    forget = scenario.role("forget", "train")
    batches = forget.training_batches(recipe, seed, loaders)
    fit(
        trained,
        batches,
        len(batches),
        forget.objective.loss(trained, recipe.label_smoothing),
        recipe,
        device,
        seed=seed,
        saved=saved,
        fused=fused,
    )
    whole = merged(trained) if adapter else network
    return {name: tensor.cpu() for name, tensor in whole.state_dict().items()}
