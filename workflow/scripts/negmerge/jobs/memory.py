"""What a job holds in memory, from its study: weights, what training adds to them, and items.

All is counted in float32 and in bytes. Items are images, or questions with their answers.
"""

from dataclasses import dataclass, fields

from negmerge.jobs.costs import Processes
from negmerge.settings.catalogue import Cost, Model
from negmerge.settings.recipe import Recipe

# Numbers that an optimizer keeps for each weight.
OPTIMIZERS = {"adamw": 2, "sgd": 1}
# Batches on their way from each loader process: two that it has ready, and one that is pinned.
ON_THEIR_WAY = 3


@dataclass(frozen=True)
class Shape:
    """The bytes of a network and its items."""

    weights: float
    trained: float  # that a training step keeps of an item until its gradient is there
    passed: float  # that a pass without gradients needs of an item at a time
    item: float  # as it is stored: an image as uint8
    normalised: float  # as the network takes it
    known: bool = True  # whether the row of the model says how large it is

    @classmethod
    def of(cls, row: Model, large: Cost, times: float) -> "Shape":
        """Of a row, with the cost of a large model for what is not known.

        `times`: how much more its mode keeps of an item.
        """
        cost, share = row.cost or large, (row.cost or large).gflop / large.gflop
        # A text is two whole numbers for each token; an image has three channels.
        stored, normalised = (
            (16 * row.size,) * 2 if row.reads_text else (size * row.size**2 for size in (3, 12))
        )
        return cls(
            weights=cost.megabytes * 1e6,
            trained=times * (cost.train_megabytes or share * large.train_megabytes) * 1e6,
            passed=times * (cost.pass_megabytes or share * large.pass_megabytes) * 1e6,
            item=stored,
            normalised=normalised,
            known=row.cost is not None,
        )


@dataclass(frozen=True)
class Memory:
    """The bytes that a job holds."""

    states: float = 0  # weights in the memory of the machine, such as vectors
    kept: float = 0  # items of all coefficients; on a GPU where they fit, else in the machine
    batch: float = 0  # one batch as it is loaded
    network: float = 0  # where it computes: weights, gradients, optimizer, and what a batch needs
    known: bool = True

    def beside(self, other: "Memory") -> "Memory":
        """What a job holds that does first the one and then the other."""
        most = {f.name: max(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return Memory(**most | {"known": self.known and other.known})

    def of_machine(self, costs: Processes, *, device: str, loaders: int) -> float:
        """What the job needs of the machine, GPUs aside; `device` is `cpu` or a GPU."""
        # What is assumed of an unknown model may be more than any machine has.
        if not self.known:
            return costs.unknown
        beside = self.network if device == "cpu" else costs.cuda
        loading = loaders * (costs.loader + ON_THEIR_WAY * self.batch)
        return costs.process + self.states + self.kept + self.batch + beside + loading

    def of_gpu(self, costs: Processes) -> float:
        """What the job needs of its GPU, with the items that it keeps."""
        return costs.gpu + self.network + self.kept


NOTHING = Memory()


def held(
    shape: Shape, states: float, networks=1, recipe: Recipe | None = None, passed=0, kept: float = 0
) -> Memory:
    """What a job holds that has so many states, of which `networks` lie where it computes.

    To these training by the recipe adds gradients and the optimizer's numbers. `passed` counts the
    items of a pass without gradients, `kept` those that stay in memory.
    """
    batch, needed = passed * shape.item, passed * (shape.passed + shape.item + shape.normalised)
    if recipe is not None:
        networks += 1 + OPTIMIZERS[recipe.optimizer]
        batch = max(batch, recipe.batch_size * shape.normalised)
        needed = max(needed, recipe.batch_size * (shape.trained + shape.normalised))
    states, network = states * shape.weights, networks * shape.weights + needed
    return Memory(states, kept * shape.item, batch, network, shape.known)
