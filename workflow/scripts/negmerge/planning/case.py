"""What a job has to do, and all that this follows from."""

from dataclasses import dataclass

from negmerge.planning.jobs import Job
from negmerge.planning.networks import Network
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.counts import Counts
from negmerge.settings.experiment import Experiment


@dataclass(frozen=True)
class Work:
    """What one job does.

    Attributes:
        basis: how its largest number comes about, in words.
        trained: images in training steps, each loaded anew.
        models: that are trained, at most.
        workers: processes that load those.
        passed: images in forward passes.
        pruned: images in forward passes of whole sweeps, of which a pruned search takes a share.
        loaded: images that the job itself reads, decodes and transforms before it computes.
        prompts: prompts encoded, on the CPU.
        moved: bytes of weights read and written.
        unpacked: bytes of archives read; None where a size is not known.
        fetched: bytes from the internet; None where a size is not known.
    """

    basis: str
    trained: float = 0
    models: int = 1
    workers: int = 0
    passed: float = 0
    pruned: float = 0
    loaded: float = 0
    prompts: int = 0
    moved: float = 0
    unpacked: float | None = 0
    fetched: float | None = 0


@dataclass(frozen=True)
class Case:
    """A job with all that its work follows from."""

    job: Job
    experiment: Experiment
    network: Network
    known: Catalogue

    @property
    def counts(self) -> Counts:
        """The images of the task."""
        return self.experiment.image_counts(self.job.task, self.known)

    @property
    def coefficients(self) -> int:
        """How many there are on the grid."""
        return len(self.experiment.coefficients.values)

    @property
    def beside(self) -> int:
        """How many values one rule tries beside its choice, at most."""
        return 2 * self.experiment.selection.halvings

    @property
    def kept(self) -> str:
        """The role of images on which accuracy is to be kept."""
        return self.experiment.ROLES[1]

    def selecting(self, *roles: str) -> int:
        """Count the images that choose a coefficient."""
        return sum(self.counts[role]["select"] for role in roles)
