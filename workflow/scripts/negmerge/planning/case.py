"""A job as estimates see it: what it is about, and what it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from negmerge.settings.catalogue import Catalogue
from negmerge.settings.costs import Costs
from negmerge.settings.counts import Counts
from negmerge.settings.experiment import Experiment
from negmerge.settings.models import Cost


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
    """

    wildcards: Mapping[str, str]
    known: Catalogue
    costs: Costs
    experiment: Experiment | None = None
    precision: str = "fp32"

    @cached_property
    def cost(self) -> Cost:
        """The cost of the experiment's model, or that of a large one where it is not known."""
        large = self.costs.unknown.gflop.value, self.costs.unknown.megabytes.value
        unknown = Cost.model_construct(
            gflop=large[0], megabytes=large[1], text_gflop=large[0], text_megabytes=large[1]
        )
        return self.known.models[self.experiment.model].cost or unknown

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
        self, *, trained: float = 0, passed: float = 0, loaded: float = 0, **further: float
    ) -> Work:
        """Return the work of images: those of training steps, of passes, and read beforehand."""
        loading, row = self.costs.loading, self.known.models[self.experiment.model]
        pixels = 0 if row.reads_text else row.size**2
        each = loading.per_image.value + pixels * loading.per_pixel.value
        linear = getattr(self.experiment, "mode", "standard") == "linear"
        times = self.costs.linear.value if linear else 1
        return Work(
            network=self.experiment.model,
            gflop=self.cost.gflop,
            trained=trained * times,
            passed=passed * times,
            precision=self.precision,
            loading=(trained + loaded) * each,
            **further,
        )
