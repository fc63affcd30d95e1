"""What a job does and holds, counted from its model's cost and its study.

Operations, bytes and seconds; all numbers are float32. Items are images, or questions with answers.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

from negmerge.settings.catalogue import Catalogue
from negmerge.settings.experiment import Experiment
from negmerge.settings.load import Folders, find_file, read_yaml
from negmerge.settings.models import Cost, Model
from negmerge.settings.recipe import Positive, Recipe, Settings
from negmerge.settings.runs import Counts

# Numbers that an optimizer keeps for each weight.
OPTIMIZERS = {"adamw": 2, "sgd": 1}
# Batches on their way from each loader process: two that it has ready, and one that is pinned.
ON_THEIR_WAY = 3


class Device(Settings):
    """A machine that computes one job: operations per second, and seconds until a job computes."""

    title: str
    flops: dict[Literal["fp32", "tf32", "bf16"], Positive]
    start: Positive


class Processes(Settings):
    """The bytes of a job's processes, beside what follows from its study."""

    process: Positive
    loader: Positive
    cuda: Positive
    gpu: Positive
    unknown: Positive


class Attack(Settings):
    """The seconds of a membership attack for each pair of images, by its features."""

    confidence: Positive
    all: Positive


class Costs(Settings):
    """All of `config/costs.yaml`, which says what each rate means."""

    devices: dict[str, Device]
    language: Positive
    training: Positive
    unlearning: Positive
    linear: Positive
    generation: Positive
    move: Positive
    pruned: Positive
    attack: Attack
    image: Positive
    pixel: Positive
    weights: Positive
    archives: Positive
    network: Positive
    margin: Positive
    minutes: Positive
    memory: Processes
    unknown_model: Cost
    unknown_file: Positive
    unknown_image: Positive
    image_bytes: dict[str, Positive]


def load_costs(config: Folders) -> Costs:
    return read_yaml(find_file(config, "costs.yaml"), Costs)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The bytes that a job holds."""

    states: float = 0  # weights in the memory of the machine, such as vectors
    kept: float = 0  # items of all coefficients; on a GPU where they fit, else in the machine
    batch: float = 0  # one batch as it is loaded
    network: float = 0  # where it computes: weights, gradients, optimizer, and what a batch needs
    known: bool = True  # whether the row of the model says how large it is

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


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a job does; the sum of two is what a job does that has both."""

    flops: float = 0  # floating point operations of networks
    loading: float = 0  # seconds in which one process reads, decodes and transforms images
    attack: float = 0  # seconds of a core
    moved: float = 0  # bytes of weights read, built into a network, and written
    unpacked: float = 0  # bytes of archives
    fetched: float = 0  # bytes from the internet
    written: float = 0  # bytes of outputs; small files do not count
    start: float = 0  # seconds beside the usual start
    memory: Memory = NOTHING

    def __add__(self, other: "Work") -> "Work":
        sums = {name: value + getattr(other, name) for name, value in vars(self).items()
                if name not in ("start", "memory")}  # fmt: skip
        start, memory = max(self.start, other.start), self.memory.beside(other.memory)
        return Work(**sums, start=start, memory=memory)

    def seconds(self, costs: Costs, device: str, precision: str, loaders: int) -> float:
        """How long it takes, with networks on a device of `costs`, and the rest on a core.

        Loader processes work beside the network, which waits for them where they are slower.
        """
        where = costs.devices[device if self.flops else "cpu"]
        computing = self.flops / where.flops.get(precision, where.flops["fp32"])
        waiting = max(0, self.loading / loaders - computing) if loaders else self.loading
        files = self.fetched / costs.network + self.unpacked / costs.archives
        weights = self.moved / costs.weights
        return where.start + self.start + computing + waiting + self.attack + weights + files


@dataclass(frozen=True)
class Case:
    """A job: its wildcards, and all that its work follows from."""

    wildcards: Mapping[str, str]
    known: Catalogue
    costs: Costs
    experiment: Experiment | None = None  # data sets and weights have none
    precision: str = "fp32"
    device: str = "cpu"  # where networks compute, a name in `costs.devices`
    drawn: Set[str] = frozenset()  # the sweeps that tables and figures read

    @property
    def model(self) -> Model:
        return self.known.models[self.experiment.model]

    @property
    def cost(self) -> Cost:
        """The cost of the model, or that of a large one where it is not known."""
        return self.model.cost or self.costs.unknown_model

    @property
    def state(self) -> float:
        """The bytes of a state that is fine-tuned: an image encoder, or a whole model."""
        return self.cost.megabytes * 1e6

    @property
    def gflop(self) -> float:
        """Billion operations of an image; of a text at least those of its prompt and ten tokens."""
        row, numbers = self.model, self.state / 4
        # Two operations for each number and token, and about four characters a token.
        least = 2 * numbers * (len(row.prompt) / 4 + 10) / 1e9 if row.reads_text else 0
        return max(self.cost.gflop, least)

    @cached_property
    def times(self) -> float:
        """What the experiment's mode takes, relative to the network itself."""
        is_linear = getattr(self.experiment, "mode", "standard") == "linear"
        return self.costs.linear if is_linear else 1

    @cached_property
    def counts(self) -> Counts:
        return self.experiment.image_counts(self.wildcards["task"], self.known)

    @property
    def models(self) -> int:
        """How many models a method leaves: one for each criterion, where there is a choice."""
        searched = self.experiment.is_searched(self.wildcards["method"])
        return len(self.experiment.selection.criteria) if searched else 1

    @property
    def validation(self) -> int:
        """How many images choose a coefficient."""
        return sum(self.counts[role]["select"] for role in self.experiment.selection_roles)

    @property
    def coefficients(self) -> int:
        """How many coefficients there are on the grid, and beside the choice of each criterion."""
        return len(self.experiment.tried_coefficients) + 2 * self.halvings

    @property
    def halvings(self) -> int:
        """How often all criteria together halve distances."""
        return sum(choice["halvings"] for choice in self.experiment.choices)

    def attack(self, purpose: str, features: str = "confidence") -> float:
        """The seconds of a membership attack; 0 where there is none, or it lacks test images."""
        chosen = self.experiment
        roles = chosen.selection_roles if purpose == "select" else chosen.SCENARIO.roles
        if chosen.attack_features is None or "test" not in roles:
            return 0
        images = 2 * min(self.counts[role][purpose] for role in ("retain", "test"))
        return images**2 * getattr(self.costs.attack, features)

    def holds(
        self,
        states: float,
        *,
        networks: int = 1,
        recipe: Recipe | None = None,
        passed: int = 0,
        kept: float = 0,
        weights: float | None = None,
        trained: int = 1,
    ) -> Memory:
        """What a job holds that has so many states, of which `networks` lie where it computes.

        To these training by the recipe adds gradients and the optimizer's numbers, and `trained`
        times what a step keeps of an item. `passed` counts the items of a pass without gradients,
        `kept` those that stay in memory; `weights` are the bytes of a state, if not `state`.
        """
        row, cost, large = self.model, self.cost, self.costs.unknown_model
        weights, share = self.state if weights is None else weights, cost.gflop / large.gflop
        # A text is two whole numbers for each token; an image has three channels, stored as uint8.
        item, normalised = (
            (16 * row.size,) * 2 if row.reads_text else (size * row.size**2 for size in (3, 12))
        )
        of_pass = self.times * (cost.pass_megabytes or share * large.pass_megabytes) * 1e6
        batch, needed = passed * item, passed * (of_pass + item + normalised)
        if recipe is not None:
            of_step = self.times * (cost.train_megabytes or share * large.train_megabytes) * 1e6
            networks += 1 + OPTIMIZERS[recipe.optimizer]
            batch = max(batch, recipe.batch_size * normalised)
            needed = max(needed, recipe.batch_size * (trained * of_step + normalised))
        return Memory(
            states=states * weights,
            kept=kept * item,
            batch=batch,
            network=networks * weights + needed,
            known=row.cost is not None,
        )

    def validating(self, states: int, beside: int = 0, recipe: Recipe | None = None) -> Memory:
        """What a job holds that measures a moved network on the images which choose."""
        batch, kept = self.experiment.eval_batch_size, self.validation
        # On the device lie the base, the network, a vector, and for a moment the moved weights.
        return self.holds(states, networks=4 + beside, recipe=recipe, passed=batch, kept=kept)

    def copying(self, states: int) -> Work:
        """Read so many states but one, and write that one, without a network."""
        memory = self.holds(states)
        return Work(moved=states * self.state, written=self.state, memory=memory)

    def work(
        self, *, trained=0.0, passed=0.0, loaded=0.0, step=0.0, moves=0, moved=0, **further: Any
    ) -> Work:
        """The work of a network on images: those of training steps, of passes, and read before.

        A training step takes `step` passes, by default those of fine-tuning. `moves` counts the
        coefficients, `moved` the states that are read or written beside the base.
        """
        costs, row = self.costs, self.model
        pixels = 0 if row.reads_text else row.size**2
        passes = self.times * ((step or costs.training) * trained + passed)
        return Work(
            flops=passes * self.gflop * 1e9 + moves * self.state / 4 * costs.move,
            loading=(trained + loaded) * (costs.image + pixels * costs.pixel),
            # The base is read, a network is built with random weights, and then filled.
            moved=(3 + moved) * self.state,
            start=costs.language if row.reads_text else 0,
            **further,
        )
