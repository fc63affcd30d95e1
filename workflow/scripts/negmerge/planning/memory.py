"""What a job holds in memory, from its study: weights, what training adds to them, and images.

What its processes take beside it is in `config/costs.yaml`. All is counted in float32.
"""

from dataclasses import dataclass

from negmerge.settings.costs import Costs
from negmerge.settings.recipe import Recipe

# Numbers that an optimizer keeps for each weight.
OPTIMIZERS = {"adamw": 2, "sgd": 1}
# Batches on their way from each loader process: two that it has ready, and one that is pinned.
ON_THEIR_WAY = 3


@dataclass(frozen=True)
class Shape:
    """A network and its items, in bytes.

    Attributes:
        weights: of the network.
        trained: what a training step keeps of an item until its gradient is there.
        passed: what a pass without gradients needs of an item at a time.
        item: of an item as it is stored: an image as uint8.
        normalised: of an item as the network takes it.
        known: whether the row of the model says how large it is.
    """

    weights: float
    trained: float
    passed: float
    item: float
    normalised: float
    known: bool = True


@dataclass(frozen=True)
class Memory:
    """What a job holds, in bytes.

    Attributes:
        states: weights in the memory of the machine, such as vectors.
        kept: items that all coefficients pass over; on a GPU where they fit, else in the memory of
            the machine.
        batch: one batch as it is loaded.
        network: where the network computes: its weights, gradients and optimizer, and what
            the items of a batch need.
        known: whether the row of the model says how large it is.
    """

    states: float = 0
    kept: float = 0
    batch: float = 0
    network: float = 0
    known: bool = True

    def of_machine(self, costs: Costs, *, device: str, loaders: int) -> float:
        """Return what the job needs of the machine, GPUs aside.

        Args:
            costs: the numbers.
            device: `cpu` or `cuda`, where networks compute.
            loaders: processes that load the items.
        """
        # What is assumed of an unknown model may be more than any machine has.
        if not self.known:
            return costs.memory.unknown.value
        beside = costs.memory.cuda.value if device == "cuda" else self.network
        loading = loaders * (costs.memory.loader.value + ON_THEIR_WAY * self.batch)
        return costs.memory.process.value + self.states + self.kept + self.batch + beside + loading

    def of_gpu(self, costs: Costs) -> float:
        """Return what the job needs of its GPU, with the items that it keeps."""
        return costs.memory.gpu.value + self.network + self.kept


def held(
    shape: Shape,
    *,
    states: float,
    networks: int = 1,
    recipe: Recipe | None = None,
    passed: int = 0,
    kept: float = 0,
) -> Memory:
    """Return what a job holds.

    Args:
        shape: of its network and items.
        states: how many states are in the memory of the machine at a time.
        networks: how many states are where the network computes, beside gradients and optimizer.
        recipe: how it trains, if it does.
        passed: items in a pass without gradients.
        kept: items that all coefficients pass over.
    """
    batch, needed = passed * shape.item, passed * (shape.passed + shape.item + shape.normalised)
    if recipe is not None:
        networks += 1 + OPTIMIZERS[recipe.optimizer]
        batch = max(batch, recipe.batch_size * shape.normalised)
        needed = max(needed, recipe.batch_size * (shape.trained + shape.normalised))
    return Memory(
        states=states * shape.weights,
        kept=kept * shape.item,
        batch=batch,
        network=networks * shape.weights + needed,
        known=shape.known,
    )
