"""Fine-tuning a model on the items to forget, for one point of a pool."""

from collections.abc import Mapping

from negmerge.checkpoints.states import State
from negmerge.models.clip import freeze
from negmerge.models.language import adapted, freeze_below, merged
from negmerge.scenarios.task import Task
from negmerge.scenarios.teaching import teach
from negmerge.settings.recipe import Recipe
from negmerge.training import Resumable

# The keys of a recipe that say which part of a language model is trained, and from where.
PARTS = ("lora", "layers", "start")


def finetune(
    task: Task,
    base: State,
    where: str,
    role: str,
    settings: Mapping,
    frozen: str,
    seed: int,
    adapter_seed: int,
    loaders: int,
    saved: Resumable,
    fused: bool,
) -> State:
    """Fine-tune a base on a role, all of it or by an adapter that is then merged into it."""
    recipe = Recipe.model_validate({key: settings[key] for key in settings if key not in PARTS})
    adapter = settings.get("lora")
    network = task.network(base, where)
    freeze(network, frozen)
    if settings.get("layers"):
        freeze_below(network, settings["layers"])
    if adapter:
        trained = adapted(network, adapter, adapter_seed if adapter["same_start"] else seed)
    else:
        trained = network
    teach(trained, task.role(role, "train"), recipe, seed, loaders, saved=saved, fused=fused)
    whole = merged(trained) if adapter else network
    return {name: tensor.cpu() for name, tensor in whole.state_dict().items()}
