"""What a job asks for: minutes and megabytes, estimated from its work and `config/costs.yaml`."""

from collections.abc import Callable
from math import ceil
from typing import Any

from negmerge.planning.work import Case, Work
from negmerge.settings.costs import Costs

Step = Callable[[Case], Work]


def seconds(work: Work, costs: Costs, *, gpu: bool, loaders: int) -> float:
    """Estimate how long a job takes.

    Args:
        work: what it does.
        costs: the numbers.
        gpu: whether it computes on a GPU; else on one core.
        loaders: processes that load images while it computes; with none, it loads them between.
    """
    device = costs.devices.cuda if gpu else costs.devices.cpu
    computing = work.flops / device.flops.value if work.computing is None else work.computing
    waiting = max(computing, work.loading / loaders) if loaders else computing + work.loading
    return (
        device.start.value
        + work.fetched / costs.network.value
        + work.unpacked / costs.archives.value
        + work.moved / costs.weights.value
        + waiting
    )


def limit(estimate: float, costs: Costs) -> int:
    """Return the minutes that a job may take, from its estimate in seconds."""
    return ceil(costs.limit.start.value + costs.limit.margin.value * estimate / 60)


class Estimates:
    """Look-ups of what a job asks for, in the form of Snakemake's resources.

    Args:
        case: gives the case of a job by its wildcards.
        gpus: gives the number of GPUs of a job that computes, by its wildcards.
        costs: the numbers.
    """

    def __init__(self, case: Callable[[Any], Case], gpus: Callable[[Any], int], costs: Costs):
        self._case, self._gpus, self._costs = case, gpus, costs
        self._works: dict[tuple, Work] = {}

    def seconds(self, step: Step) -> Callable:
        """Look up how long a job takes, by what its step does."""

        def look_up(wildcards: Any, threads: int) -> int:
            work = self._work(step, wildcards)
            gpu = bool(work.flops and self._gpus(wildcards))
            return ceil(seconds(work, self._costs, gpu=gpu, loaders=threads - 1))

        return look_up

    def minutes(self, step: Step) -> Callable:
        """Look up how long a job may take: as much again with each attempt."""
        estimate = self.seconds(step)

        def look_up(wildcards: Any, threads: int, attempt: int) -> int:
            return attempt * limit(estimate(wildcards, threads), self._costs)

        return look_up

    def megabytes(self, step: Step) -> Callable:
        """Look up the disk that the outputs of a job take."""
        return lambda wildcards: ceil(self._work(step, wildcards).written / 1e6)

    def _work(self, step: Step, wildcards: Any) -> Work:
        """Return the work of a job, which each of its resources asks for."""
        key = step, tuple(wildcards.items())
        if key not in self._works:
            self._works[key] = step(self._case(wildcards))
        return self._works[key]
