"""The scores of an unlearned model as it is, when it is rounded, and when it is taught again."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import torch
from torch import nn

from negmerge.checkpoints.states import State
from negmerge.data.splits import evenly_spread
from negmerge.errors import NotFinite
from negmerge.evaluation.accuracy import all_outputs, total
from negmerge.evaluation.outcomes import outcomes_of
from negmerge.evaluation.rounding import LARGEST, Survival, rounded, rounded_names, survival
from negmerge.scenarios.scoring import Scored
from negmerge.scenarios.task import Task
from negmerge.scenarios.teaching import teach
from negmerge.settings.durability import AS_IS, Durability


def treated_scores(
    task: Task,
    network: nn.Module,
    base: State,
    choice: Mapping,
    settings: Durability,
    loaders: int,
    *,
    batch_size: int,
    seed: int,
    fused: bool,
) -> Scored:
    """Score a model under all treatments, one after the other; each starts from it as it is."""
    roles = {name: task.role(name, "score", settings.images) for name in task.roles[:2]}
    # In the memory of the CPU: on a GPU the model may leave no place for two.
    weights = {name: tensor.cpu().clone() for name, tensor in network.state_dict().items()}
    taught, items = settings.taught, {}
    record = _what_is_done(network, base, settings)
    for treatment in (AS_IS, *settings.all_treatments):
        network.load_state_dict(weights)
        try:
            if treatment in taught:
                lesson = task.role(taught[treatment].role, "train", taught[treatment].items)
                recipe = settings.recipe(treatment)
                teach(network, lesson, recipe, seed, loaders, fused=fused)
            elif treatment != AS_IS:
                round_weights(network, treatment, settings.group_size)
        except NotFinite as error:
            print(f"{treatment}: diverged, so it has no scores: {error}")
            record |= dict.fromkeys(f"{name}_{treatment}" for name in roles)
            continue
        for name, role in roles.items():
            outputs = all_outputs(network, role.objective, role.batches(batch_size, loaders))
            scores = role.objective.scores(outputs)
            if treatment in taught and taught[treatment].role == name and name == task.roles[0]:
                scores = scores[untaught(len(scores), taught[treatment].items)]
            record[f"{name}_{treatment}"] = asdict(total(scores))
            of_items = np.asarray(scores)
            is_right = of_items.dtype == bool
            items[f"{name}_{treatment}"] = of_items.astype(np.uint8) if is_right else of_items
    return record, outcomes_of(choice, {}, {}, items)


def _what_is_done(network: nn.Module, base: State, settings: Durability) -> dict[str, object]:
    """Return what records say of the treatments, and of how much a rounding leaves of a change."""
    size = settings.group_size
    return {
        "rounded": sum(network.get_parameter(name).numel() for name in rounded_names(network)),
        "numbers": sum(tensor.numel() for tensor in network.state_dict().values()),
        "group_size": size,
        "epochs": settings.relearn.epochs,
        "learning_rate": settings.relearn.learning_rate,
        "survival": {
            form: asdict(change_survival(network, base, form, size))
            for form in settings.treatments
            if form in LARGEST
        },
    }


def untaught(count: int, items: int | None) -> list[int]:
    """Number the items that are not among the so many that are taught; all, if none are left."""
    taught = set(evenly_spread(count, items))
    return [number for number in range(count) if number not in taught] or list(range(count))


@torch.no_grad()
def round_weights(network: nn.Module, form: str, group_size: int) -> None:
    """Round the weights of a network's layers in place; see `evaluation.rounding`."""
    for name in rounded_names(network):
        weight = network.get_parameter(name)
        weight.copy_(rounded(weight, form, group_size))


def change_survival(network: nn.Module, base: State, form: str, group_size: int) -> Survival:
    """Compare what was changed in a network's rounded weights with half a step."""
    pairs = [(base[name], network.get_parameter(name)) for name in rounded_names(network)]
    survivals = [
        survival(before, after.detach().cpu(), form, group_size)
        for before, after in pairs
        if before.shape == after.shape
    ]
    return sum(survivals, Survival())
