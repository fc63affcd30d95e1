"""Seconds of jobs, from their work and the assumptions; and the longest chain of jobs."""

from collections.abc import Mapping, Sequence
from itertools import product

from negmerge.planning.assumptions import Assumptions, Device
from negmerge.planning.case import Work
from negmerge.planning.jobs import Job
from negmerge.planning.networks import Network
from negmerge.planning.work import ON_DEVICE
from negmerge.settings.experiment import Experiment
from negmerge.settings.study import Study

# One after the other; the jobs of one stage do not wait for each other.
STAGES = (
    ("download", "weights"), ("prepare",), ("split",), ("base", "train"), ("head",),
    ("measure",), ("finetune", "unlearn"), ("vector",), ("merge", "greedy"), ("sweep", "search"),
    ("select",), ("evaluate", "negate", "gradcam", "sparsity", "signs"),
    ("table", "figure"), ("report",),
)  # fmt: skip

# A model comes about by negation or by training; each way does without the steps of the other.
WAYS = (
    ("unlearn",),
    ("finetune", "vector", "merge", "greedy", "sweep", "search", "sparsity", "signs"),
)


class Clock:
    """Tells how long jobs of a study take.

    Args:
        assumed: the assumptions.
        study: the study; its device computes.
    """

    def __init__(self, assumed: Assumptions, study: Study):
        self.assumed, self.study = assumed, study

    def on_gpu(self, rule: str) -> bool:
        """Say whether the jobs of a rule hold a GPU."""
        return self.study.device == "cuda" and rule in ON_DEVICE

    def _device(self, rule: str) -> Device:
        return self.assumed.devices.cuda if self.on_gpu(rule) else self.assumed.devices.cpu

    def rate(self, network: Network, experiment: Experiment, rule: str, passes: float) -> float:
        """Give images per second that a network computes; a training step has several passes."""
        linear = getattr(experiment, "mode", "standard") == "linear"
        factor = passes * (self.assumed.linear.value if linear else 1)
        return self._device(rule).flops.value / (network.image_flops * factor)

    def seconds(self, job: Job, work: Work | None, network: Network | None) -> float | None:
        """Give the seconds of one job; None where something about its work is not known."""
        if work is None or work.fetched is None or work.unpacked is None:
            return None
        assumed = self.assumed
        total = self._device(job.rule).start.value
        total += work.fetched / assumed.network.value
        total += work.unpacked / assumed.archives.value
        total += work.moved / assumed.weights.value
        if network is None:
            return total
        total += work.prompts * network.prompt_flops / assumed.devices.cpu.flops.value
        total += work.loaded * assumed.load_seconds(network.size)
        experiment = self.study.experiments[job.experiment]
        passed = work.passed + assumed.pruned.value * work.pruned
        total += passed / self.rate(network, experiment, job.rule, 1)
        steps = work.trained / self.rate(network, experiment, job.rule, assumed.training.value)
        loading = work.trained * assumed.load_seconds(network.size)
        # Without processes for it, images are loaded between the steps.
        return total + (max(steps, loading / work.workers) if work.workers else steps + loading)


def longest_chain(times: Mapping[Job, float | None], study: Study) -> tuple[list[str], float]:
    """Find the longest chain of jobs, however many machines there are.

    Within each stage the longest job of a task counts, so the chain is never shorter than the true
    one; but a merge that masks a chosen single vector has its own search behind that of the vector,
    which is not added. Jobs of unknown time count as nothing.

    Returns:
        Rules in their order with the longest job of each, and the seconds of all of them.
    """
    best: tuple[list[str], float] = ([], 0.0)
    places = sorted({(job.experiment, job.task) for job in times})
    for (experiment, task), other_way in product(places, WAYS):
        sets = set(study.experiments[experiment].datasets) if experiment else set()
        steps, total = [], 0.0
        for stage in STAGES:
            rules = set(stage) - set(other_way)
            jobs = [j for j in times if j.rule in rules and _belongs(j, experiment, task, sets)]
            if jobs:
                slowest = max(jobs, key=lambda job: (times[job] or 0, job.benchmark))
                steps.append(f"{slowest.rule} {_place(slowest)}".strip())
                total += times[slowest] or 0
        if total > best[1]:
            best = steps, total
    return best


def _belongs(job: Job, experiment: str, task: str, datasets: set[str]) -> bool:
    if job.experiment:
        return job.experiment == experiment and job.task in ("", task)
    if job.rule in ("download", "prepare"):
        return job.name.split("/")[0] in datasets
    return True


def _place(job: Job) -> str:
    return "/".join(filter(None, (job.experiment, job.task, job.name)))


def total_hours(seconds: Sequence[float | None]) -> float:
    """Add seconds up as hours; unknown ones count as nothing."""
    return sum(filter(None, seconds)) / 3600
