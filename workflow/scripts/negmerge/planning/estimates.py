"""What a job asks for: minutes and megabytes, estimated from its work and `config/costs.yaml`."""

from math import ceil

from negmerge.planning.work import Work
from negmerge.settings.costs import Costs


def seconds(work: Work, costs: Costs, *, gpu: bool, loaders: int) -> float:
    """Estimate how long a job takes.

    Args:
        work: what it does.
        costs: the numbers.
        gpu: whether it computes on a GPU; else on one core.
        loaders: processes that load images while it computes; with none, it loads them between.
    """
    device = costs.devices.cuda if gpu else costs.devices.cpu
    computing = work.flops / device.flops.value
    waiting = max(computing, work.loading / loaders) if loaders else computing + work.loading
    return (
        device.start.value
        + work.fetched / costs.network.value
        + work.unpacked / costs.archives.value
        + work.moved / costs.weights.value
        + waiting
    )


def limit(estimate: float, costs: Costs) -> int:
    """Give the minutes that a job may take whose estimate is so many seconds."""
    return ceil(costs.limit.start.value + costs.limit.margin.value * estimate / 60)
