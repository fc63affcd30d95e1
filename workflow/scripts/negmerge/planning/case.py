"""A job as estimates see it: what it is about, and what it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from negmerge.planning.memory import Memory, Shape
from negmerge.settings.catalogue import Catalogue, Counts
from negmerge.settings.costs import Costs
from negmerge.settings.experiment import Experiment
from negmerge.settings.models import Cost, Model

NOTHING = Memory()


@dataclass(frozen=True)
class Work:
    """What one job does.

    Attributes:
        network: the row of `config/models.yaml` whose passes count.
        gflop: billion operations of an image forward through it.
        trained: images in training steps; a network in the tangent space counts several times.
        passed: images in passes without gradients, likewise.
        flops: floating point operations of other networks.
        precision: in which the networks compute.
        loading: seconds in which one process reads, decodes and transforms the images.
        attack: seconds of a core for the membership attack.
        moved: bytes of weights read and written.
        unpacked: bytes of archives read.
        fetched: bytes from the internet.
        written: bytes of the outputs; small files do not count.
        memory: what it holds.
    """

    network: str = ""
    gflop: float = 0
    trained: float = 0
    passed: float = 0
    flops: float = 0
    precision: str = "fp32"
    loading: float = 0
    attack: float = 0
    moved: float = 0
    unpacked: float = 0
    fetched: float = 0
    written: float = 0
    memory: Memory = NOTHING

    @property
    def computes(self) -> bool:
        """Whether it passes anything through a network."""
        return bool(self.trained or self.passed or self.flops)


@dataclass(frozen=True)
class Case:
    """A job: its wildcards, and all that its work follows from.

    Attributes:
        experiment: that the wildcards name; None for data sets and weights, which have none.
        precision: in which the study computes.
        measured: how many candidates of a method its own job measures.
        is_pruned: whether a pruned search does.
    """

    wildcards: Mapping[str, str]
    known: Catalogue
    costs: Costs
    experiment: Experiment | None = None
    precision: str = "fp32"
    measured: int = 0
    is_pruned: bool = False

    @cached_property
    def cost(self) -> Cost:
        """The cost of the experiment's model, or that of a large one where it is not known."""
        large = self.costs.unknown.gflop.value, self.costs.unknown.megabytes.value
        unknown = Cost.model_construct(
            gflop=large[0],
            megabytes=large[1],
            text_gflop=large[0],
            text_megabytes=large[1],
            train_megabytes=None,
            pass_megabytes=None,
        )
        return self.model.cost or unknown

    @cached_property
    def shape(self) -> Shape:
        """The network and its items in bytes; a linearised one computes a derivative beside."""
        row, cost, unknown = self.model, self.cost, self.costs.unknown
        trained = cost.train_megabytes or cost.gflop * unknown.train_megabytes.value
        passed = cost.pass_megabytes or cost.gflop * unknown.pass_megabytes.value
        # A text is two whole numbers for each token; an image has three channels.
        stored, normalised = (
            (16 * row.size,) * 2 if row.reads_text else (size * row.size**2 for size in (3, 12))
        )
        return Shape(
            weights=self.state,
            trained=self.times * trained * 1e6,
            passed=self.times * passed * 1e6,
            item=stored,
            normalised=normalised,
            known=self.model.cost is not None,
        )

    @property
    def model(self) -> Model:
        """The row of the experiment's model."""
        return self.known.models[self.experiment.model]

    @property
    def times(self) -> float:
        """What the experiment's mode takes, relative to the network itself."""
        linear = getattr(self.experiment, "mode", "standard") == "linear"
        return self.costs.linear.value if linear else 1

    @property
    def state(self) -> float:
        """The bytes of a state that is fine-tuned: an image encoder, or a classifier."""
        return self.cost.megabytes * 1e6

    @cached_property
    def counts(self) -> Counts:
        """The images of the task by role and purpose."""
        return self.experiment.image_counts(self.wildcards["task"], self.known)

    def validation(self, *roles: str) -> int:
        """Count the images that choose a coefficient."""
        return sum(self.counts[role]["select"] for role in roles)

    def attack(self, purpose: str, features: str = "confidence") -> float:
        """Return the seconds of a membership attack on the images of a purpose.

        Nothing where the scenario has no attack, or where images that choose come without tests.
        """
        roles = self.experiment.selection_roles if purpose == "select" else self.experiment.ROLES
        if self.experiment.attack_features is None or "test" not in roles:
            return 0
        images = 2 * min(self.counts[role][purpose] for role in ("retain", "test"))
        return images**2 * getattr(self.costs.attack, features).value

    def work(
        self, *, trained: float = 0, passed: float = 0, loaded: float = 0, **further: Any
    ) -> Work:
        """Return the work of images: those of training steps, of passes, and read beforehand."""
        loading, row = self.costs.loading, self.model
        pixels = 0 if row.reads_text else row.size**2
        each = loading.per_image.value + pixels * loading.per_pixel.value
        return Work(
            network=self.experiment.model,
            gflop=self.cost.gflop,
            trained=trained * self.times,
            passed=passed * self.times,
            precision=self.precision,
            loading=(trained + loaded) * each,
            **further,
        )
