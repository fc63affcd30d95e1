"""What a job asks for: minutes and megabytes, estimated from its work and `config/costs.yaml`."""

from collections.abc import Callable
from math import ceil
from typing import Any

from negmerge.planning.case import Case, Work
from negmerge.settings.costs import Costs, Device

Step = Callable[[Case], Work]
# Processes that load images beside a job that computes on a GPU.
LOADERS = 4


def seconds(work: Work, costs: Costs, *, device: str, loaders: int) -> float:
    """Estimate how long a job takes; see `spent`."""
    return sum(spent(work, costs, device=device, loaders=loaders).values())


def spent(work: Work, costs: Costs, *, device: str, loaders: int) -> dict[str, float]:
    """Estimate on what a job spends its seconds.

    Args:
        work: what it does.
        costs: the numbers.
        device: where networks compute, a name in `costs.devices`; other jobs take one core.
        loaders: processes that load images while it computes; with none, it loads them between.

    Returns:
        Seconds by what they are spent on. `decoding` is the time in which a network waits for
        images.
    """
    where = costs.devices[device if work.computes else "cpu"]
    computing = _computing(work, costs, where)
    return {
        "start": where.start.value,
        "network": work.fetched / costs.network.value,
        "disk": work.unpacked / costs.archives.value + work.moved / costs.weights.value,
        "computing": computing,
        "decoding": max(0, work.loading / loaders - computing) if loaders else work.loading,
        "attack": work.attack,
    }


def _computing(work: Work, costs: Costs, device: Device) -> float:
    """Return the seconds of passes through networks."""
    flops = (getattr(device.flops, work.precision) or device.flops.fp32).value
    rate = device.rates.get(work.network)
    if rate is not None and work.precision == rate.precision:
        return work.trained / rate.train + work.passed / rate.evaluate + work.flops / flops
    images = work.trained * costs.training.value + work.passed
    return (images * work.gflop * 1e9 + work.flops) / flops


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
            device = "cuda" if work.computes and self._gpus(wildcards) else "cpu"
            return ceil(seconds(work, self._costs, device=device, loaders=threads - 1))

        return look_up

    def minutes(self, step: Step) -> Callable:
        """Look up how long a job may take: as much again with each attempt."""
        estimate = self.seconds(step)

        def look_up(wildcards: Any, threads: int, attempt: int) -> int:
            return attempt * limit(estimate(wildcards, threads), self._costs)

        return look_up

    def memory(self, step: Step) -> Callable:
        """Look up the megabytes of memory that a job asks for: as much again with each attempt."""

        def look_up(wildcards: Any, threads: int, attempt: int) -> int:
            device = "cuda" if self._gpus(wildcards) else "cpu"
            how = {"device": device, "loaders": threads - 1}
            needed = self._work(step, wildcards).memory.of_machine(self._costs, **how)
            return attempt * ceil(needed / 1e6)

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
